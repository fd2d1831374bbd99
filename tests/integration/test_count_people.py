"""The seeing half on real material: six people who each stand still for 8-25 s are six, at any usable frame rate."""

import json
import time
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, cast

import cv2
import numpy as np
import pytest

from edge.camera.frame import Camera, Frame
from edge.camera.opening import open_camera
from edge.camera.recorded import VideoFileCamera
from edge.detector.detection import Detection
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import InputSpec
from edge.detector.runner import Feed
from edge.detector.runners.onnx import open_onnx
from edge.detector.session import SessionOptions
from edge.models.opening import OpenedModel, open_model, read_model
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.places import Places
from edge.sight.replay import replay
from edge.sight.stats import PipelineStats
from edge.sight.tracker import Tracker
from protocol.classes import PERSON
from protocol.units import UnixMs

VIDEO = "people_one_by_one.mp4"
MODEL = "yolox_nano_416.onnx"
FRAME_PX = (768, 432)
STARTED_AT_MS = UnixMs(1_790_000_000_000)
LABEL_TOLERANCE_FRAMES = 5  # how exactly the visits were labelled by eye
# A person half in the picture is labelled by eye some frames before a detector is sure.
DETECTOR_SLACK_FRAMES = 6


class _Watched:
    """A camera that knows which frame it gave last."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.index = -1

    def read(self) -> Frame | None:
        frame = self._camera.read()
        self.index += 1
        return frame

    def close(self) -> None:
        self._camera.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Recording:
    """A detector that keeps what it found in each frame, so that other runs need no second inference."""

    def __init__(self, opened: OpenedModel, camera: _Watched, found: dict[int, tuple[Detection, ...]]) -> None:
        self._detector = opened.detector
        self._camera = camera
        self._found = found
        self.model_digest = opened.detector.model_digest
        self.provider = opened.detector.provider

    def detect(self, frame_bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Detection, ...]:
        index = self._camera.index
        if index not in self._found:
            self._found[index] = self._detector.detect(frame_bgr)
            _BY_PICTURE[_print_of(frame_bgr)] = self._found[index]
        return self._found[index]


class _Knowing:
    """A detector that has seen every picture before."""

    def __init__(self, opened: OpenedModel) -> None:
        self.model_digest = opened.detector.model_digest
        self.provider = opened.detector.provider

    def detect(self, frame_bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Detection, ...]:
        return _BY_PICTURE[_print_of(frame_bgr)]


_BY_PICTURE: dict[int, tuple[Detection, ...]] = {}


def _print_of(frame_bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    return zlib.crc32(frame_bgr[::4, ::4].tobytes())


@pytest.fixture(scope="module")
def opened(assets: Path) -> OpenedModel:
    return open_model(assets / MODEL)


@dataclass(frozen=True)
class Run:
    """One pass over the video."""

    tracks: list[FinishedTrack]
    stats: PipelineStats
    found: dict[int, tuple[Detection, ...]]


def _run(assets: Path, opened: OpenedModel, found: dict[int, tuple[Detection, ...]], *, is_gated: bool) -> Run:
    settings = PipelineSettings(class_ids=frozenset({PERSON}), is_gated=is_gated)
    with open_camera(str(assets / VIDEO), now_ms=lambda: STARTED_AT_MS) as camera:
        watched = _Watched(camera)
        pipeline = Pipeline(watched, _Recording(opened, watched, found), Tracker(), settings=settings)
        tracks = [each for each in pipeline.run(lambda: False) if isinstance(each, FinishedTrack)]
    assert pipeline.stats.frames == 1394
    assert pipeline.stats.tracks == len(tracks)
    return Run(tracks, pipeline.stats, found)


@pytest.fixture(scope="module")
def watched(assets: Path, opened: OpenedModel) -> Run:
    """The whole video through the real pipeline once: its tracks, and the detections of every frame."""
    started = time.perf_counter()
    run = _run(assets, opened, {}, is_gated=False)
    fps = run.stats.frames / (time.perf_counter() - started)
    raw_fps = _raw_fps(assets, opened)
    print(f"pipeline {fps:.1f} fps, session.run alone {raw_fps:.1f} fps, ratio {fps / raw_fps:.2f}")
    return run


@pytest.fixture(scope="module")
def gated(assets: Path, opened: OpenedModel, watched: Run) -> Run:
    """The same with the gate on; what the model would say of a frame is known already."""
    run = _run(assets, opened, watched.found, is_gated=True)
    print(f"the gate let the model see {run.stats.inferred_ppm / 10_000:.1f} % of the frames")
    return run


def _raw_fps(assets: Path, opened: OpenedModel, *, runs: int = 100) -> float:
    """How fast the model alone is, here and now, on a real frame."""
    spec = opened.manifest.input
    picture = Feed("picture", spec.shape, spec.dtype)
    runner = open_onnx(read_model(assets / MODEL), [picture], SessionOptions(intra_op_threads=1))
    with VideoFileCamera(assets / VIDEO, started_at_ms=STARTED_AT_MS) as camera:
        frame = camera.read()
    assert isinstance(frame, Frame)
    tensor = InputTensor(InputSpec(416, 416)).fill(frame.image_bgr)
    started = time.perf_counter()
    for _ in range(runs):
        runner.run([tensor])
    return runs / (time.perf_counter() - started)


@pytest.mark.parametrize("way", ["watched", "gated"])
def test_six_people_are_six(assets: Path, way: str, request: pytest.FixtureRequest) -> None:
    truth = json.loads((assets / "ground_truth.json").read_text())[VIDEO]
    tracks = request.getfixturevalue(way).tracks
    assert len(tracks) == truth["unique_persons"] == 6
    assert [t.track_id for t in tracks] == sorted({t.track_id for t in tracks})
    allowed = LABEL_TOLERANCE_FRAMES + DETECTOR_SLACK_FRAMES
    for track, (first, last) in zip(tracks, truth["visits"], strict=True):
        seen = [(at_ms - STARTED_AT_MS) / 1000 * truth["fps"] for at_ms in (track.first_seen_ms, track.last_seen_ms)]
        assert seen == pytest.approx([first, last], abs=allowed)
        assert track.class_id == PERSON
        assert track.confidence_ppm > 700_000


def test_the_gate_spares_the_model_half_the_frames_though_somebody_is_there_most_of_the_time(
    watched: Run, gated: Run
) -> None:
    assert watched.stats.inferred_ppm > 980_000  # all but a few that the encoder repeated
    assert gated.stats.inferred_ppm < 550_000
    assert [(t.first_seen_ms, t.last_seen_ms) for t in gated.tracks] == [
        (t.first_seen_ms, t.last_seen_ms) for t in watched.tracks
    ]


def test_six_people_are_six_though_the_watcher_is_killed_every_seven_seconds(watched: Run) -> None:
    """And each time nobody watches for three seconds."""
    tracker, resumes = Tracker(), 0
    seen: list[Seen] = []
    for index in range(1394):
        cycle = index % 100
        if cycle >= 70:
            continue
        if cycle == 0 and index:
            state, tracker = tracker.state(), Tracker()
            resumes += tracker.resume(state, UnixMs(index * 100))
        people = [each for each in watched.found.get(index, ()) if each.class_id == PERSON]
        seen += tracker.update(people, UnixMs(index * 100), frame_px=FRAME_PX)
    seen += tracker.finish()
    assert resumes == 13
    assert sum(isinstance(each, FinishedTrack) for each in seen) == 6


def test_a_replay_tells_who_crossed_which_line_and_stayed_in_which_zone(
    assets: Path, opened: OpenedModel, watched: Run
) -> None:
    """Everybody comes from the left; two of the six appear in the picture when they have reached its middle."""
    places = Places(
        [((500, 0), (500, 1_000)), ((0, 20), (1_000, 20))], [((300, 0), (800, 0), (800, 1_000), (300, 1_000))]
    )
    told = replay(
        assets / VIDEO,
        model=replace(opened, detector=_Knowing(opened)),  # type: ignore[arg-type]
        settings=PipelineSettings(class_ids=frozenset({PERSON}), is_gated=True),
        places=places,
        monotonic_s=time.monotonic,
        report=lambda _stats, _duration_ms: None,
    )
    assert told["counts"] == {"person": 6}
    assert told["lines"] == [{"line": 0, "forward": 0, "backward": 4}, {"line": 1, "forward": 0, "backward": 0}]
    zone = cast("list[dict[str, int]]", told["zones"])[0]
    assert zone["stays"] == 6
    assert zone["stayed_ms"] == pytest.approx(100_900, abs=2_000)
    assert cast("int", told["inferred_ppm"]) < 550_000


@pytest.mark.parametrize("every", [2, 3, 5, 7])
def test_six_people_are_six_when_only_some_frames_are_looked_at(every: int, watched: Run) -> None:
    """Down to 1.4 frames a second, whichever frame comes first."""
    for offset in range(every):
        tracker = Tracker()
        seen: list[Seen] = []
        for index in range(offset, 1394, every):
            people = [each for each in watched.found.get(index, ()) if each.class_id == PERSON]
            seen += tracker.update(people, UnixMs(index * 100), frame_px=FRAME_PX)
        seen += tracker.finish()
        assert len(seen) == 6, f"every {every}. frame from {offset}"


def test_the_export_is_recognised_by_its_shape_and_passes_the_self_test(opened: OpenedModel) -> None:
    assert opened.manifest.name == "yolox-nano"
    assert not opened.is_official
    assert opened.detector.model_digest.hex() != opened.manifest.sha256
    assert opened.detector.provider == "CPUExecutionProvider"


def test_a_frame_of_one_pixel_and_a_huge_one_are_answered(opened: OpenedModel) -> None:
    for height, width in ((1, 1), (1, 4000), (2160, 3840)):
        opened.detector.detect(np.full((height, width, 3), 90, np.uint8))


def test_boxes_scale_with_the_picture(assets: Path, opened: OpenedModel) -> None:
    with VideoFileCamera(assets / VIDEO, started_at_ms=STARTED_AT_MS) as camera:
        frames = [camera.read() for _ in range(121)]
    assert frames[-1] is not None
    image = frames[-1].image_bgr
    double = np.asarray(cv2.resize(image, None, fx=2, fy=2), dtype=np.uint8)
    boxes = [_person_box(opened, picture) for picture in (image, double)]
    assert np.array(boxes[1]) / 2 == pytest.approx(np.array(boxes[0]), abs=4)


def _person_box(opened: OpenedModel, picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[int, ...]:
    (person,) = [e for e in opened.detector.detect(picture) if e.class_id == PERSON and e.confidence_ppm > 500_000]
    return person.box_px
