"""What goes beside the ONNX file: its manifest, a self-test picture with expected boxes, and its accuracy."""

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2

from edge.detector.manifest import parse_manifest
from edge.detector.model import ModelDetector
from edge.detector.selftest import selftest
from firmware_sim.scenes import Scene
from firmware_sim.training.accuracy import accuracy
from firmware_sim.training.samples import CLASSES, HELD_OUT_SEEDS, Sample, samples
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from firmware_sim.world import Sight, World, town_vantages
from protocol.classes import class_name
from protocol.units import PPM_ONE, UnixMs

NAME = "cairn-tiny"
VERSION = "1"
SCORE_PPM = 150_000  # below this nothing leaves the detector
SURE_PPM = 450_000  # what begins a track: where precision and recall are published
NMS_IOU_PPM = 500_000
STRIDES = (8, 16)
_SELFTEST_SEED = HELD_OUT_SEEDS[-1]
_JUDGED_WORLDS, _FRAMES_PER_WORLD = 24, 50


def held_out_frames(worlds: int = _JUDGED_WORLDS, per_world: int = _FRAMES_PER_WORLD) -> list[Sample]:
    """Return the frames a model is judged on: worlds that training never sees."""
    seeds = HELD_OUT_SEEDS[:worlds]
    return [frame for seed in seeds for frame in samples(seed, per_world, passes_per_minute=20.0)]


def ship(folder: Path, *, training: dict[str, int]) -> dict[str, Any]:
    """Judge ``cairn-tiny.onnx`` in ``folder`` and write everything beside it; return the accuracy report.

    Raises:
        ModelError: the model fails the self-test just written; its accuracy stands beside it all the same.
    """
    model = (folder / f"{NAME}.onnx").read_bytes()
    world = World(_SELFTEST_SEED, town_vantages(_SELFTEST_SEED, 1))
    sights, at_ms = _selftest_moment(world)
    picture = Scene(world, 0).frame_bgr(at_ms)
    truth = [(class_name(sight.passer.class_id), sight.box_px) for sight in sights]
    text = _manifest(model, truth)
    manifest = parse_manifest(text, origin=f"{NAME}.toml")
    detector = ModelDetector(model, manifest)
    frames = held_out_frames()
    measured = accuracy(detector, frames, threshold_ppm=SURE_PPM)
    report = {
        "model": NAME,
        "version": VERSION,
        "sha256": hashlib.sha256(model).hexdigest(),
        "size_bytes": len(model),
        "training": training,
        "held_out": {
            "first_seed": HELD_OUT_SEEDS.start,
            "worlds": _JUDGED_WORLDS,
            "frames": measured.frames,
            "objects": measured.objects,
        },
        "ap50_ppm": measured.ap50_ppm,
        "threshold_ppm": SURE_PPM,
        "precision_ppm": measured.precision_ppm,
        "recall_ppm": measured.recall_ppm,
    }
    if not cv2.imwrite(str(folder / f"{NAME}-selftest.png"), picture):
        raise OSError(f"cannot write {folder / NAME}-selftest.png: check the folder's permissions")
    (folder / f"{NAME}.toml").write_text(text)
    (folder / f"{NAME}.json").write_text(json.dumps(report, indent=2) + "\n")
    selftest(detector, manifest, folder=folder)
    return report


def _selftest_moment(world: World) -> tuple[tuple[Sight, ...], UnixMs]:
    """Find the first moment that shows all three classes whole and apart."""
    for at_ms in range(20_000, 3_600_000, 500):
        sights = world.sights(0, UnixMs(at_ms))
        whole = all(sight.visible_ppm >= PPM_ONE * 98 // 100 for sight in sights)
        if whole and {sight.passer.class_id for sight in sights} == set(CLASSES):
            return sights, UnixMs(at_ms)
    raise RuntimeError("no moment of the self-test world shows all three classes: choose another seed")


def _manifest(model: bytes, truth: list[tuple[str, tuple[int, int, int, int]]]) -> str:
    boxes = ", ".join(f'["{label}", {", ".join(map(str, box))}]' for label, box in truth)
    return f"""# Written by firmware_sim.training; the boxes of the self-test are the true ones, not the model's own.
# A bicycle counts together with its rider as one bicycle. Accuracy: {NAME}.json.
name = "{NAME}"
version = "{VERSION}"
sha256 = "{hashlib.sha256(model).hexdigest()}"
size_bytes = {len(model)}
licence = "Apache-2.0"
source = "firmware_sim/training"
labels = [{", ".join(f'"{class_name(class_id)}"' for class_id in CLASSES)}]

[input]
width = {FRAME_WIDTH_PX}
height = {FRAME_HEIGHT_PX}
color = "bgr"
resize = "letterbox"
pad = 114

[output]
adapter = "yolox_raw"
strides = [{", ".join(map(str, STRIDES))}]

[thresholds]
score_ppm = {SCORE_PPM}
nms_iou_ppm = {NMS_IOU_PPM}

[selftest]
image = "{NAME}-selftest.png"
boxes = [{boxes}]
min_iou_ppm = 600000
min_score_ppm = {SURE_PPM}
"""
