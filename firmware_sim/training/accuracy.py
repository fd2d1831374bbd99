"""How good a detector is on held-out worlds: average precision per class, precision and recall at a threshold.

Judged through the edge agent's own decoding, so that the figures are those of the shipped model in use. Only
boxes that are visible enough are demanded; finding one that is hardly visible is neither right nor wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.detector.detection import Detection, Detector
from firmware_sim.training.samples import CLASSES, Sample
from protocol.classes import class_name
from protocol.units import PPM_ONE

MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True)
class Accuracy:
    """One detector on one set of frames, in ppm."""

    frames: int
    objects: int  # demanded boxes
    ap50_ppm: dict[str, int]  # by class name
    precision_ppm: int
    recall_ppm: int


@dataclass(frozen=True, slots=True)
class _Judged:
    confidence_ppm: int
    label: int
    is_right: bool


def accuracy(detector: Detector, frames: Sequence[Sample], *, threshold_ppm: int) -> Accuracy:
    """Return the accuracy on ``frames``; precision and recall count detections of at least ``threshold_ppm``."""
    judged: list[_Judged] = []
    demanded = np.zeros(len(CLASSES), np.int64)
    for frame in frames:
        judged += _judge(frame, detector.detect(frame.frame_bgr))
        demanded += np.bincount(frame.labels[frame.is_plain], minlength=len(CLASSES))
    kept = [each for each in judged if each.confidence_ppm >= threshold_ppm]
    right = sum(int(each.is_right) for each in kept)
    return Accuracy(
        frames=len(frames),
        objects=int(demanded.sum()),
        ap50_ppm={
            class_name(class_id): _average_precision_ppm(judged, label, int(demanded[label]))
            for label, class_id in enumerate(CLASSES)
        },
        precision_ppm=PPM_ONE * right // max(len(kept), 1),
        recall_ppm=PPM_ONE * right // max(int(demanded.sum()), 1),
    )


def _judge(frame: Sample, detections: tuple[Detection, ...]) -> list[_Judged]:
    """Give each true box to its most confident detection; drop detections of boxes that are hardly visible."""
    free = np.ones(len(frame.labels), np.bool_)
    judged = []
    for detection in detections:  # the most confident first
        label = CLASSES.index(detection.class_id)
        overlaps = _overlaps(np.array(detection.box_px, np.float64), frame.boxes_px)
        overlaps[~free | (frame.labels != label)] = 0.0
        best = int(overlaps.argmax()) if len(overlaps) else -1
        is_match = best >= 0 and bool(overlaps[best] >= MATCH_IOU)
        if is_match:
            free[best] = False
            if not frame.is_plain[best]:
                continue
        judged.append(_Judged(detection.confidence_ppm, label, is_match))
    return judged


def _overlaps(box: npt.NDArray[np.float64], boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the intersection over union of one box with each of ``boxes`` (count, 4)."""
    shared = np.prod(np.clip(np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2]), 0, None), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    return np.asarray(shared / np.maximum(union, 1e-9), np.float64)


def _average_precision_ppm(judged: list[_Judged], label: int, demanded: int) -> int:
    """Area under the precision envelope over recall (all points)."""
    ranked = sorted((each for each in judged if each.label == label), key=lambda each: -each.confidence_ppm)
    if not ranked or not demanded:
        return 0
    right = np.cumsum([each.is_right for each in ranked])
    precision = right / np.arange(1, len(ranked) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(np.concatenate(([0], right))) / demanded
    return round(PPM_ONE * float((envelope * steps).sum()))
