"""A detector that works ahead finds what it finds when it is asked frame by frame, and the pipeline counts the same."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.detector.detection import AheadDetector, Detection, Detector, ModelError
from edge.models.opening import open_model
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.tracker import Tracker
from firmware_sim.scenes import Scene
from firmware_sim.traffic import TrafficSettings
from firmware_sim.world import World, WorldSettings, town_vantages
from protocol.units import UnixMs
from tests.conftest import ROOT

MODEL = ROOT / "firmware_sim" / "models" / "cairn-tiny.onnx"
STARTS_AT_MS = 1_800_000_000_000
FRAMES = 240
BUSY = TrafficSettings(passes_per_minute=40.0)
Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    scene = Scene(World(5, town_vantages(5, 1), WorldSettings(starts_at_ms=UnixMs(STARTS_AT_MS), traffic=BUSY)), 0)
    return [scene.frame_bgr(UnixMs(STARTS_AT_MS + 20_000 + index * 125)) for index in range(FRAMES)]


class Showing(ClosesOnExit):
    """Shows its pictures; its clock may step back once, and it may be lost at the end."""

    def __init__(self, pictures: list[Picture], *, steps_back_at: int | None = None, is_lost: bool = False) -> None:
        self._pictures: Iterator[tuple[int, Picture]] = iter(enumerate(pictures))
        self._steps_back_at = steps_back_at
        self._is_lost = is_lost

    def read(self) -> Frame | None:
        for index, picture in self._pictures:
            back_ms = 60_000 if self._steps_back_at is not None and index >= self._steps_back_at else 0
            return Frame(picture.copy(), UnixMs(STARTS_AT_MS + index * 125 - back_ms), index)
        if self._is_lost:
            raise CameraError("gone")
        return None

    def close(self) -> None:
        self._pictures = iter(())


class OneByOne:
    """The same detector without what it can do ahead."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self.model_digest, self.provider = detector.model_digest, detector.provider

    def detect(self, frame_bgr: Picture) -> tuple[Detection, ...]:
        return self._detector.detect(frame_bgr)


@pytest.fixture(scope="module")
def detector() -> AheadDetector:
    opened = open_model(Path(MODEL)).detector
    assert isinstance(opened, AheadDetector)
    return opened


def test_what_is_found_ahead_is_what_is_found_at_once(detector: AheadDetector, pictures: list[Picture]) -> None:
    # Of different sizes, so that a mix-up of two frames' geometry would show.
    shown = [each if index % 2 else cv2.resize(each, (320, 200)) for index, each in enumerate(pictures[:40])]
    wanted = [detector.detect(np.asarray(each, np.uint8)) for each in shown]
    assert any(wanted)
    found = []
    detector.submit(np.asarray(shown[0], np.uint8))
    for after in shown[1:]:
        detector.submit(np.asarray(after, np.uint8))
        found.append(detector.result())
    found.append(detector.result())
    assert found == wanted
    assert detector.took_us > 0


def test_a_frame_of_no_shape_is_refused_and_the_next_one_is_seen(
    detector: AheadDetector, pictures: list[Picture]
) -> None:
    for _ in range(3):  # more often than there are tensors
        with pytest.raises(ModelError, match="A frame must be"):
            detector.submit(np.zeros((4, 4), np.uint8))
    detector.submit(pictures[0])
    assert detector.result() == detector.detect(pictures[0])


@pytest.mark.parametrize("steps_back_at", [None, 100])
@pytest.mark.parametrize("is_lost", [False, True])
def test_the_pipeline_says_the_same_either_way(
    detector: AheadDetector, pictures: list[Picture], *, steps_back_at: int | None, is_lost: bool
) -> None:
    said = []
    # Ahead; by a detector that cannot; by one that must not, because there is only one core.
    for each, works_ahead in ((detector, True), (OneByOne(detector), True), (detector, False)):
        camera = Showing(pictures, steps_back_at=steps_back_at, is_lost=is_lost)
        looking = PipelineSettings(is_gated=False, works_ahead=works_ahead)
        pipeline = Pipeline(camera, each, Tracker(), settings=looking)
        events = []
        try:
            for event in pipeline.run(lambda: False):
                events.append(event)  # noqa: PERF402 - an error must not lose what came before
        except CameraError:
            assert is_lost
        stats = pipeline.stats
        said.append((events, stats.frames, stats.inferred, stats.detections, stats.tracks, stats.clock_steps))
    assert said[0] == said[1] == said[2]
    assert said[0][1] == FRAMES
    assert len(said[0][0]) >= 2
