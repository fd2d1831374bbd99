"""How many objects the tracker reports for made-up scenes whose true number is known."""

from collections.abc import Callable, Sequence

import pytest

from edge.detector.detection import Detection
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.tracker import Tracker, TrackerSettings
from protocol.classes import BICYCLE, PERSON
from protocol.units import Ppm, UnixMs

WIDTH_PX, HEIGHT_PX = 60, 150
Scene = Callable[[int], Sequence[Detection]]


def person_at(x: int, *, y: int = 100, ppm: int = 850_000, class_id: int = PERSON) -> Detection:
    return Detection(class_id, Ppm(ppm), (x, y, x + WIDTH_PX, y + HEIGHT_PX))


def follow(
    scene: Scene, *, until_ms: int, every_ms: int = 100, settings: TrackerSettings | None = None
) -> list[FinishedTrack]:
    tracker = Tracker(settings)
    seen: list[Seen] = []
    for at_ms in range(0, until_ms, every_ms):
        seen += tracker.update(scene(at_ms), UnixMs(at_ms))
    seen += tracker.finish()
    return [each for each in seen if isinstance(each, FinishedTrack)]


def test_somebody_who_stands_still_for_25_s_is_one_observation() -> None:
    jitter = (0, 3, -2, 4, -3, 1)
    tracks = follow(lambda at_ms: [person_at(300 + jitter[at_ms // 100 % 6])], until_ms=25_000)
    assert len(tracks) == 1
    assert (tracks[0].first_seen_ms, tracks[0].last_seen_ms, tracks[0].detections) == (0, 24_900, 250)
    assert tracks[0].confidence_ppm == 850_000
    assert not tracks[0].continues


def test_a_stander_whom_the_detector_loses_for_15_s_is_still_one() -> None:
    tracks = follow(lambda at_ms: [] if 8_000 <= at_ms < 23_000 else [person_at(300)], until_ms=30_000)
    assert [(t.first_seen_ms, t.last_seen_ms) for t in tracks] == [(0, 29_900)]


def test_a_walker_who_vanishes_for_longer_than_the_hold_and_another_one_later_are_two() -> None:
    tracks = follow(lambda at_ms: [] if 3_000 <= at_ms < 8_000 else [person_at(at_ms // 20 % 200)], until_ms=11_000)
    assert len(tracks) == 2


def test_a_track_is_reported_when_its_hold_is_over_and_not_before() -> None:
    tracker = Tracker()
    for at_ms in range(0, 1_000, 100):
        assert tracker.update([person_at(at_ms // 5)], UnixMs(at_ms)) == ()
    hold_ms = TrackerSettings().moving_hold_ms
    for at_ms in range(1_000, 900 + hold_ms + 1, 100):
        assert tracker.update([], UnixMs(at_ms)) == ()
    assert len(tracker.update([], UnixMs(901 + hold_ms))) == 1


@pytest.mark.parametrize("speed_px_per_s", [60, 150, 300])
@pytest.mark.parametrize("rows_apart_px", [0, 25])
def test_two_people_who_cross_are_two(speed_px_per_s: int, rows_apart_px: int) -> None:
    def scene(at_ms: int) -> Sequence[Detection]:
        step = at_ms * speed_px_per_s // 1000
        return [person_at(step), person_at(640 - step, y=100 + rows_apart_px, ppm=800_000)]

    tracks = follow(scene, until_ms=640_000 // speed_px_per_s)
    assert len(tracks) == 2
    # Each walked the whole way: neither took over the other's end.
    for track in tracks:
        assert abs(track.path[0].x_px - track.path[-1].x_px) > 400


def test_two_people_who_cross_while_the_nearer_one_hides_the_other_are_two() -> None:
    def scene(at_ms: int) -> Sequence[Detection]:
        step = at_ms * 150 // 1000
        near, far = person_at(step), person_at(600 - step, ppm=800_000)
        return [near] if abs(600 - 2 * step) < WIDTH_PX * 0.7 else [near, far]

    assert len(follow(scene, until_ms=4_000)) == 2


def test_a_walker_behind_a_tree_for_a_second_is_one() -> None:
    tracks = follow(lambda at_ms: [] if 2_000 <= at_ms < 3_000 else [person_at(at_ms // 10)], until_ms=5_000)
    assert len(tracks) == 1


@pytest.mark.parametrize("speed_px_per_s", [0, 40, 120])
def test_a_camera_that_freezes_for_2_s_does_not_double_the_walker(speed_px_per_s: int) -> None:
    """No frames come for 2 s, then the walker is where 2 s of walking brought him."""
    tracker = Tracker()
    finished: list[Seen] = []
    for at_ms in [*range(0, 2_000, 100), *range(4_000, 6_000, 100)]:
        finished += tracker.update([person_at(at_ms * speed_px_per_s // 1000)], UnixMs(at_ms))
    assert len(finished + list(tracker.finish())) == 1


def test_weak_detections_continue_a_track_but_never_begin_one() -> None:
    def flicker(at_ms: int) -> Sequence[Detection]:
        return [person_at(at_ms // 20, ppm=850_000 if at_ms % 500 == 0 else 150_000)]

    assert [t.detections for t in follow(flicker, until_ms=5_000)] == [50]
    assert follow(lambda at_ms: [person_at(at_ms // 20, ppm=150_000)], until_ms=5_000) == []


def test_a_false_alarm_of_two_frames_is_not_reported() -> None:
    assert follow(lambda at_ms: [person_at(300)] if at_ms in {500, 600} else [], until_ms=3_000) == []


def test_somebody_who_steps_out_and_back_within_two_seconds_is_one() -> None:
    """Out at the right edge, and back in at the same edge."""
    positions = {at_ms: 500 + at_ms // 20 for at_ms in range(0, 2_000, 100)}
    positions |= {at_ms: 600 - (at_ms - 4_000) // 20 for at_ms in range(4_000, 6_000, 100)}
    tracks = follow(lambda at_ms: [person_at(positions[at_ms])] if at_ms in positions else [], until_ms=6_000)
    assert len(tracks) == 1


def test_somebody_else_who_enters_far_away_right_after_is_another() -> None:
    scene: Scene = lambda at_ms: [person_at(500 + at_ms // 20 if at_ms < 2_000 else (at_ms - 2_500) // 20)]  # noqa: E731
    assert len(follow(lambda at_ms: [] if 2_000 <= at_ms < 2_500 else scene(at_ms), until_ms=5_000)) == 2


@pytest.mark.parametrize("gap_ms", [500, 1_000, 2_000])
def test_who_walks_out_and_who_walks_in_at_the_same_edge_are_two(gap_ms: int) -> None:
    tracker = Tracker()
    finished: list[Seen] = []
    for at_ms in range(0, 8_000, 100):
        gone_ms = at_ms - 3_000
        out_px, in_px = 340 + at_ms // 10, 640 - (gone_ms - gap_ms) // 10
        x = out_px if gone_ms < 0 else in_px
        shown = [] if x >= 640 else [Detection(PERSON, Ppm(850_000), (x, 100, min(x + WIDTH_PX, 640), 100 + HEIGHT_PX))]
        finished += tracker.update(shown, UnixMs(at_ms), frame_px=(640, 360))
    assert len([*finished, *tracker.finish()]) == 2


def test_who_stands_at_the_edge_has_not_left() -> None:
    tracker = Tracker()
    finished: list[Seen] = []
    for at_ms in range(0, 20_000, 100):
        is_lost = 8_000 <= at_ms < 14_000
        shown = [] if is_lost else [Detection(PERSON, Ppm(850_000), (600, 100, 640, 250))]
        finished += tracker.update(shown, UnixMs(at_ms), frame_px=(640, 360))
    assert len([*finished, *tracker.finish()]) == 1


@pytest.mark.parametrize("lost_ms", [3_000, 8_000])
def test_who_stands_at_the_edge_and_creeps_outwards_has_not_left(lost_ms: int) -> None:
    """Its little speed would carry it out of the picture while the detector has lost it."""
    tracker = Tracker()
    finished: list[Seen] = []
    for at_ms in range(0, 24_000, 100):
        x = 605 + min(at_ms, 8_000) // 1_000
        shown = [] if 8_000 <= at_ms < 8_000 + lost_ms else [person_at(x)]
        finished += tracker.update(shown, UnixMs(at_ms), frame_px=(640, 360))
    assert len([*finished, *tracker.finish()]) == 1


def test_classes_are_never_mixed() -> None:
    tracks = follow(lambda _at_ms: [person_at(300), person_at(300, class_id=BICYCLE)], until_ms=3_000)
    assert sorted(track.class_id for track in tracks) == [PERSON, BICYCLE]


def test_head_and_body_of_one_person_are_one() -> None:
    def scene(_at_ms: int) -> Sequence[Detection]:
        return [person_at(300), Detection(PERSON, Ppm(600_000), (310, 102, 350, 160))]

    assert len(follow(scene, until_ms=3_000)) == 1


def test_people_side_by_side_are_as_many_as_they_are() -> None:
    assert len(follow(lambda at_ms: [person_at(at_ms // 30 + 70 * k) for k in range(6)], until_ms=4_000)) == 6


def test_a_very_long_stay_is_reported_in_parts_that_meet_and_share_an_id() -> None:
    tracks = follow(lambda _at_ms: [person_at(300)], until_ms=25_000, settings=TrackerSettings(max_track_ms=10_000))
    assert [(t.part, t.continues) for t in tracks] == [(0, True), (1, True), (2, False)]
    assert {t.track_id for t in tracks} == {1}
    assert sum(t.detections for t in tracks) == 250
    assert [t.first_seen_ms for t in tracks] == [0, 10_000, 20_000]


def test_the_sketch_of_a_path_is_short_and_in_order() -> None:
    (track,) = follow(lambda at_ms: [person_at(at_ms // 50)], until_ms=30_000)
    times = [point.at_ms for point in track.path]
    assert times == sorted(times)
    assert 8 <= len(times) <= 16
    assert track.path[0].at_ms == 0
    assert times[-1] > 25_000


def test_confidence_is_the_floored_mean_and_the_best_box_the_most_confident() -> None:
    shown = [person_at(300, ppm=500_000), person_at(302, ppm=900_000), person_at(304, ppm=500_001)]
    settings = TrackerSettings(confirm_detections=3)
    (track,) = follow(lambda at_ms: [shown[at_ms // 100]], until_ms=300, settings=settings)
    assert track.confidence_ppm == (500_000 + 900_000 + 500_001) // 3
    assert track.best_box_px == shown[1].box_px
    assert track.last_box_px == shown[2].box_px


@pytest.mark.parametrize("at_ms", [1_000, 999, 0])
def test_time_that_does_not_advance_is_refused_until_finish(at_ms: int) -> None:
    tracker = Tracker()
    tracker.update([], UnixMs(1_000))
    with pytest.raises(ValueError, match="not after"):
        tracker.update([], UnixMs(at_ms))
    tracker.finish()
    tracker.update([], UnixMs(at_ms))


def test_ten_thousand_detections_do_not_begin_more_tracks_than_allowed() -> None:
    crowd = [
        Detection(PERSON, Ppm(900_000), (x * 10, y * 10, x * 10 + 9, y * 10 + 9))
        for x in range(100)
        for y in range(100)
    ]
    settings = TrackerSettings(tracks_max=50, confirm_detections=1)
    tracker = Tracker(settings)
    tracker.update(crowd, UnixMs(0))
    assert tracker.alive == 50


@pytest.mark.parametrize(
    "wrong",
    [{"low_ppm": 600_000}, {"high_ppm": 1_000_001}, {"low_ppm": -1}, {"confirm_detections": 0}, {"max_track_ms": 0}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"\d|must"):
        TrackerSettings(**wrong)
