"""The pipeline's bookkeeping, on a scripted camera and detector."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.detector.detection import Detection, ModelError
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.masks import MaskError
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.places import Places
from edge.sight.tracker import Tracker
from protocol.classes import CAR, PERSON
from protocol.observation import Crossing, Stay
from protocol.units import Ppm, UnixMs

Times = Sequence[int]


class ScriptedCamera(ClosesOnExit):
    """Black frames at the given times; then the end, or an error."""

    def __init__(self, times_ms: Times, *, error: CameraError | None = None) -> None:
        self._times_ms = list(times_ms)
        self._error = error
        self._index = 0

    def read(self) -> Frame | None:
        if self._index == len(self._times_ms):
            if self._error:
                raise self._error
            return None
        frame = Frame(np.zeros((300, 400, 3), np.uint8), UnixMs(self._times_ms[self._index]), self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        self._times_ms = []


class OnePersonAndACar:
    """Finds the same two things in every frame."""

    model_digest = bytes(32)
    provider = "scripted"

    def detect(self, frame_bgr: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        assert frame_bgr.shape == (300, 400, 3)
        return (
            Detection(PERSON, Ppm(900_000), (10, 10, 60, 160)),
            Detection(CAR, Ppm(800_000), (200, 200, 300, 260)),
        )


def pipeline(
    times_ms: Times, *, error: CameraError | None = None, settings: PipelineSettings | None = None
) -> Pipeline:
    ticks = iter(range(0, 10**12, 2_000_000))  # every look at the stopwatch is 2 ms later
    return Pipeline(
        ScriptedCamera(times_ms, error=error),
        OnePersonAndACar(),
        Tracker(),
        settings=settings,
        stopwatch_ns=lambda: next(ticks),
    )


def test_the_end_of_the_source_ends_every_track_and_the_counters_add_up() -> None:
    line = pipeline(range(0, 1_000, 100))
    tracks = list(line.run(lambda: False))
    assert sorted(t.class_id for t in tracks) == [PERSON, CAR]
    stats = line.stats
    assert (stats.frames, stats.detections, stats.tracks, stats.clock_steps) == (10, 20, 2, 0)
    assert (stats.inferred, stats.inferred_ppm, stats.skipped) == (10, 1_000_000, 0)
    assert stats.last_frame_at_ms == 900
    assert stats.inference_ms_mean == 2.0
    assert (stats.inference_p50_us, stats.inference_p95_us) == (2_000, 2_000)


def test_only_the_wanted_classes_are_followed() -> None:
    line = pipeline(range(0, 1_000, 100), settings=PipelineSettings(class_ids=frozenset({CAR})))
    assert [t.class_id for t in line.run(lambda: False)] == [CAR]
    assert line.stats.detections == 10


def test_stop_ends_the_run_and_what_was_followed_is_reported() -> None:
    line = pipeline(range(0, 100_000, 100))
    tracks = list(line.run(lambda: line.stats.frames >= 5))
    assert line.stats.frames == 5
    assert [t.detections for t in tracks if isinstance(t, FinishedTrack)] == [5, 5]


def test_a_lost_camera_is_reported_after_every_open_track() -> None:
    line = pipeline(range(0, 1_000, 100), error=CameraError("gone"))
    tracks: list[Seen] = []
    with pytest.raises(CameraError, match="gone"):
        tracks.extend(line.run(lambda: False))
    assert len(tracks) == 2


def test_a_clock_that_steps_back_splits_tracks_and_never_stops_the_device() -> None:
    line = pipeline([*range(10_000, 11_000, 100), *range(0, 1_000, 100)])
    tracks = list(line.run(lambda: False))
    assert sorted((t.class_id, t.first_seen_ms) for t in tracks if isinstance(t, FinishedTrack)) == [
        (PERSON, 0),
        (PERSON, 10_000),
        (CAR, 0),
        (CAR, 10_000),
    ]
    assert line.stats.clock_steps == 1


def test_a_clock_that_leaps_ahead_ends_tracks() -> None:
    line = pipeline([*range(0, 1_000, 100), *range(10**12, 10**12 + 1_000, 100)])
    assert len(list(line.run(lambda: False))) == 4


def test_no_frames_give_no_tracks() -> None:
    line = pipeline([])
    assert list(line.run(lambda: False)) == []
    assert line.stats.inference_ms_mean == 0.0


def test_a_refusing_detector_is_heard() -> None:
    class Refusing(OnePersonAndACar):
        def detect(self, frame_bgr: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
            raise ModelError(f"no picture of {frame_bgr.shape}")

    line = Pipeline(ScriptedCamera([0]), Refusing(), Tracker())
    with pytest.raises(ModelError, match="no picture"):
        list(line.run(lambda: False))


class Film(ClosesOnExit):
    """Noisy frames in which one bright block walks to the right, from ``begins_ms`` on; ``stuck_ms`` repeats one."""

    def __init__(self, *, begins_ms: int = 0, ends_ms: int = 6_000, stuck_ms: tuple[int, int] = (0, 0)) -> None:
        self._dice = np.random.default_rng(1)
        self._at_ms = begins_ms
        self._ends_ms = ends_ms
        self._stuck_ms = stuck_ms
        self._last = self._picture()

    def _picture(self) -> npt.NDArray[np.uint8]:
        picture = self._dice.integers(90, 110, (300, 400, 3)).astype(np.uint8)
        picture[100:200, self.block_at(self._at_ms) : self.block_at(self._at_ms) + 50] = 250
        return picture

    @staticmethod
    def block_at(at_ms: int) -> int:
        return min(at_ms // 20, 300)

    def read(self) -> Frame | None:
        if self._at_ms >= self._ends_ms:
            return None
        if not self._stuck_ms[0] <= self._at_ms < self._stuck_ms[1]:
            self._last = self._picture()
        frame = Frame(self._last.copy(), UnixMs(self._at_ms), self._at_ms // 100)
        self._at_ms += 100
        return frame

    def close(self) -> None:
        self._ends_ms = 0


class BlockDetector:
    """Finds the bright block by looking at the picture."""

    model_digest = bytes(32)
    provider = "scripted"

    def __init__(self) -> None:
        self.looks = 0

    def detect(self, frame_bgr: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        self.looks += 1
        columns = np.flatnonzero(frame_bgr[150, :, 0] > 200)
        if not columns.size:
            return ()
        return (Detection(PERSON, Ppm(900_000), (int(columns[0]), 100, int(columns[-1]) + 1, 200)),)


def test_nothing_sees_what_is_masked() -> None:
    whole = ((0, 0), (1_000, 0), (1_000, 1_000), (0, 1_000))
    detector = BlockDetector()
    settings = PipelineSettings(masks=[whole], is_gated=True)
    line = Pipeline(Film(), detector, Tracker(), settings=settings)
    assert list(line.run(lambda: False)) == []
    assert line.stats.detections == 0
    assert detector.looks <= 8  # at the beginning and every two seconds: not even the gate has seen it move


def test_a_malformed_mask_stops_the_start() -> None:
    with pytest.raises(MaskError, match="crosses itself"):
        pipeline([], settings=PipelineSettings(masks=[((0, 0), (10, 10), (10, 0), (0, 10))]))


def test_the_gate_spares_the_model_and_changes_no_count() -> None:
    """The block walks for 6 s and stands for 14."""
    counts, shares = [], []
    for is_gated in (False, True):
        line = Pipeline(Film(ends_ms=20_000), BlockDetector(), Tracker(), settings=PipelineSettings(is_gated=is_gated))
        counts.append([t.class_id for t in line.run(lambda: False)])
        shares.append(line.stats.inferred_ppm)
        assert line.stats.frames == 200
    assert counts == [[PERSON], [PERSON]]
    assert shares[0] == 1_000_000
    assert shares[1] < 600_000


def test_no_more_frames_than_allowed_are_looked_at_and_the_rest_is_told() -> None:
    line = pipeline(range(0, 10_000, 100), settings=PipelineSettings(max_fps=5.0))
    list(line.run(lambda: line.stats.frames >= 25))
    line.set_max_fps(2.0)
    list(line.run(lambda: False))
    assert line.stats.frames == 35
    assert line.stats.frames + line.stats.skipped == 100


def test_a_picture_that_is_stuck_for_two_seconds_splits_nobody() -> None:
    line = Pipeline(Film(stuck_ms=(2_000, 4_000)), BlockDetector(), Tracker())
    assert len(list(line.run(lambda: False))) == 1
    assert (line.stats.frames, line.stats.inferred) == (60, 40)


def test_who_takes_over_counts_nobody_twice_and_uses_no_id_again() -> None:
    first = Pipeline(Film(ends_ms=3_000), BlockDetector(), Tracker())
    for batch in first.batches(lambda: first.stats.frames >= 25):
        assert batch == () or first.stats.frames == 25
        if first.stats.frames == 25:
            break  # killed
    second = Pipeline(
        Film(begins_ms=5_500, ends_ms=9_000),
        BlockDetector(),
        Tracker(),
        settings=PipelineSettings(resume=first.state()),
    )
    (track,) = second.run(lambda: False)
    assert isinstance(track, FinishedTrack)
    assert (track.track_id, track.first_seen_ms, track.last_seen_ms) == (1, 0, 8_900)


def test_damaged_remains_of_another_are_ignored() -> None:
    line = pipeline(range(0, 1_000, 100), settings=PipelineSettings(resume=b"\xff not a state"))
    assert len(list(line.run(lambda: False))) == 2


def test_crossings_and_stays_are_told_before_their_track_and_counted() -> None:
    places = Places([((500, 0), (500, 1_000))], [((0, 0), (1_000, 0), (1_000, 1_000), (0, 1_000))])
    line = Pipeline(Film(ends_ms=9_000), BlockDetector(), Tracker(places=places))
    seen = list(line.run(lambda: False))
    assert [type(each) for each in seen] == [Crossing, Stay, FinishedTrack]
    assert (line.stats.crossings, line.stats.stays, line.stats.tracks) == (1, 1, 1)
    crossing, stay = seen[0], seen[1]
    assert isinstance(crossing, Crossing)
    assert isinstance(stay, Stay)
    assert not crossing.is_forward  # to the right, seen from above: from the line's right to its left
    assert crossing.crossed_at_ms == pytest.approx(3_500, abs=300)
    assert (stay.entered_at_ms, stay.left_at_ms) == (0, 8_900)


def test_an_ending_can_be_had_apart_from_a_lost_camera() -> None:
    line = pipeline(range(0, 1_000, 100), error=CameraError("gone"))
    with pytest.raises(CameraError, match="gone"):
        list(line.batches(lambda: False))
    assert line.state()
    assert len(line.ending()) == 2
