"""The pipeline's bookkeeping, on a scripted camera and detector."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.detector.detection import Detection, ModelError
from edge.pipeline import Pipeline
from edge.track import FinishedTrack
from edge.tracker import Tracker
from protocol.classes import CAR, PERSON
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


def pipeline(times_ms: Times, *, error: CameraError | None = None, class_ids: frozenset[int] | None = None) -> Pipeline:
    ticks = iter(range(0, 10**12, 2_000_000))  # every look at the stopwatch is 2 ms later
    return Pipeline(
        ScriptedCamera(times_ms, error=error),
        OnePersonAndACar(),
        Tracker(),
        class_ids=class_ids,
        stopwatch_ns=lambda: next(ticks),
    )


def test_the_end_of_the_source_ends_every_track_and_the_counters_add_up() -> None:
    line = pipeline(range(0, 1_000, 100))
    tracks = list(line.run(lambda: False))
    assert sorted(t.class_id for t in tracks) == [PERSON, CAR]
    stats = line.stats
    assert (stats.frames, stats.detections, stats.tracks, stats.clock_steps) == (10, 20, 2, 0)
    assert stats.last_frame_at_ms == 900
    assert stats.inference_ms_mean == 2.0


def test_only_the_wanted_classes_are_followed() -> None:
    line = pipeline(range(0, 1_000, 100), class_ids=frozenset({CAR}))
    assert [t.class_id for t in line.run(lambda: False)] == [CAR]
    assert line.stats.detections == 10


def test_stop_ends_the_run_and_what_was_followed_is_reported() -> None:
    line = pipeline(range(0, 100_000, 100))
    tracks = list(line.run(lambda: line.stats.frames >= 5))
    assert line.stats.frames == 5
    assert [t.detections for t in tracks] == [5, 5]


def test_a_lost_camera_is_reported_after_every_open_track() -> None:
    line = pipeline(range(0, 1_000, 100), error=CameraError("gone"))
    tracks: list[FinishedTrack] = []
    with pytest.raises(CameraError, match="gone"):
        tracks.extend(line.run(lambda: False))
    assert len(tracks) == 2


def test_a_clock_that_steps_back_splits_tracks_and_never_stops_the_device() -> None:
    line = pipeline([*range(10_000, 11_000, 100), *range(0, 1_000, 100)])
    tracks = list(line.run(lambda: False))
    assert sorted((t.class_id, t.first_seen_ms) for t in tracks) == [
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
