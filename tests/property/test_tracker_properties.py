"""What the tracker keeps to, whatever it is shown."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detector.detection import Detection
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.places import Places
from edge.sight.tracker import Tracker, TrackerSettings
from protocol.units import Ppm, UnixMs

_FRAME_PX = (420, 320)
_TIGHT = TrackerSettings(max_track_ms=1_500, moving_hold_ms=700, still_hold_ms=2_000, confirm_detections=2)


@st.composite
def detections(draw: st.DrawFn) -> Detection:
    left, top = draw(st.integers(0, 300)), draw(st.integers(0, 200))
    width, height = draw(st.integers(1, 120)), draw(st.integers(1, 120))
    confidence = draw(st.sampled_from([0, 90_000, 150_000, 449_999, 450_000, 900_000, 1_000_000]))
    return Detection(draw(st.integers(0, 2)), Ppm(confidence), (left, top, left + width, top + height))


frames = st.lists(
    st.tuples(st.integers(1, 1_500), st.lists(detections(), max_size=6)), min_size=1, max_size=25
)  # (time since the frame before in ms, what it shows)
Frames = list[tuple[int, list[Detection]]]


def follow(shown: Frames) -> list[FinishedTrack]:
    return only_tracks(watch(Tracker(_TIGHT), shown))


def watch(tracker: Tracker, shown: Frames, *, from_ms: int = 0) -> list[Seen]:
    seen: list[Seen] = []
    at_ms = from_ms
    for elapsed_ms, found in shown:
        at_ms += elapsed_ms
        seen += tracker.update(found, UnixMs(at_ms), frame_px=_FRAME_PX)
    return seen + list(tracker.finish())


def only_tracks(seen: list[Seen]) -> list[FinishedTrack]:
    return [each for each in seen if isinstance(each, FinishedTrack)]


@given(shown=frames, random=st.randoms(use_true_random=False))
def test_the_order_of_detections_within_a_frame_changes_nothing(shown: Frames, random: st.DataObject) -> None:
    shuffled = [(elapsed_ms, random.sample(seen, len(seen))) for elapsed_ms, seen in shown]  # type: ignore[attr-defined]
    assert follow(shown) == follow(shuffled)


@given(shown=frames, shift_ms=st.integers(0, 10**13))
def test_only_time_differences_matter(shown: Frames, shift_ms: int) -> None:
    later = [(shown[0][0] + shift_ms, shown[0][1]), *shown[1:]]
    assert [t.detections for t in follow(shown)] == [t.detections for t in follow(later)]


@given(shown=frames)
def test_each_id_belongs_to_one_object_whose_parts_follow_each_other(shown: Frames) -> None:
    tracks = follow(shown)
    assert len({(t.track_id, t.part) for t in tracks}) == len(tracks)
    for track_id in {t.track_id for t in tracks}:
        parts = [t for t in tracks if t.track_id == track_id]
        assert [t.part for t in parts] == list(range(len(parts)))
        assert [t.continues for t in parts] == [True] * (len(parts) - 1) + [False]
        assert len({t.class_id for t in parts}) == 1
        assert all(a.last_seen_ms < b.first_seen_ms for a, b in itertools.pairwise(parts))


@given(shown=frames)
def test_no_detection_is_counted_twice_and_every_report_is_sound(shown: Frames) -> None:
    tracks = follow(shown)
    assert sum(t.detections for t in tracks) <= sum(len(seen) for _, seen in shown)
    ends_ms = sum(elapsed_ms for elapsed_ms, _ in shown)
    for track in tracks:
        assert 0 < track.first_seen_ms <= track.last_seen_ms <= ends_ms
        assert _TIGHT.low_ppm <= track.confidence_ppm <= 1_000_000
        assert 1 <= len(track.path) <= min(16, track.detections)
        assert track.first_seen_ms == track.path[0].at_ms


@settings(max_examples=50)
@given(shown=frames)
def test_nothing_waits_for_ever(shown: Frames) -> None:
    """After the longest hold without detections no track is left."""
    tracker = Tracker(_TIGHT)
    at_ms = 0
    for elapsed_ms, seen in shown:
        at_ms += elapsed_ms
        tracker.update(seen, UnixMs(at_ms))
    tracker.update([], UnixMs(at_ms + _TIGHT.still_hold_ms + _TIGHT.blind_max_ms + 1))
    assert tracker.alive == 0
    assert tracker.finish() == ()


_EVERYWHERE = Places([((500, 0), (500, 1_000))], [((0, 0), (1_000, 0), (1_000, 1_000), (0, 1_000))])


def killed(shown: Frames) -> tuple[Tracker, int]:
    """Return a tracker that has followed ``shown`` and ends no more, and its time."""
    tracker = Tracker(_TIGHT, places=_EVERYWHERE)
    at_ms = 0
    for elapsed_ms, found in shown:
        at_ms += elapsed_ms
        tracker.update(found, UnixMs(at_ms), frame_px=_FRAME_PX)
    return tracker, at_ms


@given(shown=frames)
def test_a_state_that_is_taken_over_is_the_same_state(shown: Frames) -> None:
    before, at_ms = killed(shown)
    after = Tracker(_TIGHT, places=_EVERYWHERE)
    assert after.resume(before.state(), UnixMs(at_ms + 1))
    assert after.state() == before.state()
    assert after.alive == before.alive
    assert len(before.state()) < 8_192


@given(shown=frames, later=frames, pause_ms=st.integers(1, 10_000))
def test_who_takes_over_uses_no_id_again_and_loses_nobody(shown: Frames, later: Frames, pause_ms: int) -> None:
    before, at_ms = killed(shown)
    after = Tracker(_TIGHT, places=_EVERYWHERE)
    after.resume(before.state(), UnixMs(at_ms + pause_ms))
    open_ids = {track.track_id for track in only_tracks(list(before.finish()))}
    seen = watch(after, [(pause_ms, later[0][1]), *later[1:]], from_ms=at_ms)
    told = {track.track_id for track in only_tracks(seen)}
    used = {track.track_id for track in follow(shown)}
    assert open_ids <= told
    assert not (told - open_ids) & used
    for each in seen:
        if not isinstance(each, FinishedTrack):
            assert each.track_id in told  # whatever a track did, the track is told of as well


@st.composite
def walks(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Return people in lanes of their own: where each is at the beginning and how fast (px/s), always in the frame."""
    return [(draw(st.integers(100, 150)), draw(st.sampled_from([0, 0, 5, 12]))) for _ in range(draw(st.integers(1, 3)))]


@given(people=walks(), killed_after=st.integers(6, 60), dead_ms=st.integers(100, 5_000))
def test_a_restart_never_changes_the_count(people: list[tuple[int, int]], killed_after: int, dead_ms: int) -> None:
    def found(at_ms: int) -> list[Detection]:
        return [
            Detection(
                0,
                Ppm(900_000),
                (x + at_ms * speed // 1_000, 10 + 100 * lane, x + 40 + at_ms * speed // 1_000, 100 + 100 * lane),
            )
            for lane, (x, speed) in enumerate(people)
        ]

    first, second = Tracker(), Tracker()
    for at_ms in range(0, killed_after * 100, 100):
        first.update(found(at_ms), UnixMs(at_ms), frame_px=_FRAME_PX)
    begins_ms = killed_after * 100 - 100 + dead_ms
    second.resume(first.state(), UnixMs(begins_ms))
    seen: list[Seen] = []
    for at_ms in range(begins_ms, begins_ms + 2_000, 100):
        seen += second.update(found(at_ms), UnixMs(at_ms), frame_px=_FRAME_PX)
    tracks = only_tracks([*seen, *second.finish()])
    assert sorted(track.track_id for track in tracks) == list(range(1, len(people) + 1))
    assert {track.first_seen_ms for track in tracks} == {0}


@given(damaged=st.binary(max_size=300))
def test_bytes_that_are_no_state_are_ignored(damaged: bytes) -> None:
    tracker = Tracker()
    tracker.resume(damaged, UnixMs(1_000))
    assert tracker.alive == 0


@given(shown=frames, at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_state_with_a_wrong_bit_is_ignored_or_sound(shown: Frames, at: int, bit: int) -> None:
    before, at_ms = killed(shown)
    state = bytearray(before.state())
    state[at % len(state)] ^= 1 << bit
    tracker = Tracker(_TIGHT, places=_EVERYWHERE)
    tracker.resume(bytes(state), UnixMs(at_ms + 500))
    tracker.update([], UnixMs(at_ms + 500 + 3_600_000), frame_px=_FRAME_PX)
    tracker.finish()
