"""What the tracker keeps to, whatever it is shown."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detector.detection import Detection
from edge.track import FinishedTrack
from edge.tracker import Tracker, TrackerSettings
from protocol.units import Ppm, UnixMs

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
    tracker = Tracker(_TIGHT)
    finished: list[FinishedTrack] = []
    at_ms = 0
    for elapsed_ms, seen in shown:
        at_ms += elapsed_ms
        finished += tracker.update(seen, UnixMs(at_ms))
    return finished + list(tracker.finish())


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
