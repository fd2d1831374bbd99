"""The seeing half on real material: six people who each stand still for 8-25 s are six, at any usable frame rate."""

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.frame import Frame
from edge.camera.opening import open_camera
from edge.camera.recorded import VideoFileCamera
from edge.detector.detection import Detection
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import InputSpec
from edge.detector.runner import Feed
from edge.detector.runners.onnx import open_onnx
from edge.detector.session import SessionOptions
from edge.models.opening import OpenedModel, open_model, read_model
from edge.pipeline import Pipeline
from edge.track import FinishedTrack
from edge.tracker import Tracker
from protocol.classes import PERSON
from protocol.units import UnixMs

VIDEO = "people_one_by_one.mp4"
MODEL = "yolox_nano_416.onnx"
STARTED_AT_MS = UnixMs(1_790_000_000_000)
LABEL_TOLERANCE_FRAMES = 5  # how exactly the visits were labelled by eye
# A person half in the picture is labelled by eye some frames before a detector is sure.
DETECTOR_SLACK_FRAMES = 6


class _Recording:
    """A detector that also keeps what it found, so that other frame rates need no second inference."""

    def __init__(self, opened: OpenedModel) -> None:
        self._detector = opened.detector
        self.found: list[tuple[Detection, ...]] = []
        self.model_digest = opened.detector.model_digest
        self.provider = opened.detector.provider

    def detect(self, frame_bgr: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> tuple[Detection, ...]:
        self.found.append(self._detector.detect(frame_bgr))
        return self.found[-1]


@pytest.fixture(scope="module")
def opened(assets: Path) -> OpenedModel:
    return open_model(assets / MODEL)


@pytest.fixture(scope="module")
def watched(assets: Path, opened: OpenedModel) -> tuple[list[FinishedTrack], list[tuple[Detection, ...]]]:
    """The whole video through the real pipeline once: its tracks, and the detections of every frame."""
    detector = _Recording(opened)
    started = time.perf_counter()
    with open_camera(str(assets / VIDEO), now_ms=lambda: STARTED_AT_MS) as camera:
        pipeline = Pipeline(camera, detector, Tracker(), class_ids=frozenset({PERSON}))
        tracks = list(pipeline.run(lambda: False))
    fps = pipeline.stats.frames / (time.perf_counter() - started)
    raw_fps = _raw_fps(assets, opened)
    print(f"pipeline {fps:.1f} fps, session.run alone {raw_fps:.1f} fps, ratio {fps / raw_fps:.2f}")
    assert pipeline.stats.frames == 1394
    assert pipeline.stats.tracks == len(tracks)
    return tracks, detector.found


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


def test_six_people_are_six(assets: Path, watched: tuple[list[FinishedTrack], list[tuple[Detection, ...]]]) -> None:
    truth = json.loads((assets / "ground_truth.json").read_text())[VIDEO]
    tracks, _ = watched
    assert len(tracks) == truth["unique_persons"] == 6
    assert [t.track_id for t in tracks] == sorted({t.track_id for t in tracks})
    allowed = LABEL_TOLERANCE_FRAMES + DETECTOR_SLACK_FRAMES
    for track, (first, last) in zip(tracks, truth["visits"], strict=True):
        seen = [(at_ms - STARTED_AT_MS) / 1000 * truth["fps"] for at_ms in (track.first_seen_ms, track.last_seen_ms)]
        assert seen == pytest.approx([first, last], abs=allowed)
        assert track.class_id == PERSON
        assert track.confidence_ppm > 700_000


@pytest.mark.parametrize("every", [2, 3, 5, 7])
def test_six_people_are_six_when_only_some_frames_are_looked_at(
    every: int, watched: tuple[list[FinishedTrack], list[tuple[Detection, ...]]]
) -> None:
    """Down to 1.4 frames a second, whichever frame comes first."""
    _, found = watched
    for offset in range(every):
        tracker = Tracker()
        tracks: list[FinishedTrack] = []
        for index in range(offset, len(found), every):
            people = [each for each in found[index] if each.class_id == PERSON]
            tracks += tracker.update(people, UnixMs(index * 100))
        tracks += tracker.finish()
        assert len(tracks) == 6, f"every {every}. frame from {offset}"


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
