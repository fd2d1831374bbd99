"""Does this model, read as its manifest says, find what it must in its self-test picture? It fails closed.

Wrong colours, scale, resize, strides or layout give wrong or no boxes, which no look at shapes would show.
"""

from pathlib import Path

import cv2
import numpy as np

from edge.detector.detection import BgrFrame, Detection, Detector, ModelError
from edge.detector.manifest import ModelManifest, SelfTest
from edge.sight.boxes import BoxPx, pairwise_iou
from protocol.classes import COCO_CLASSES, class_name
from protocol.units import PPM_ONE


def selftest(detector: Detector, manifest: ModelManifest, *, folder: Path) -> None:
    """Return if ``detector`` finds every expected box, and nothing else as confident, in the picture.

    Args:
        detector: reads frames as ``manifest`` says.
        manifest: whose self-test it is.
        folder: where the manifest lies, and its picture beside it.

    Raises:
        ModelError: the picture is missing, or the boxes are not those expected.
    """
    wanted = manifest.selftest
    frame = load_picture(folder / wanted.image)
    found = [each for each in detector.detect(frame) if each.confidence_ppm >= wanted.min_score_ppm]
    problem = _difference(found, wanted)
    if problem:
        raise ModelError(
            f"{manifest.name} fails its self-test: {problem}. The file and its manifest do not belong together: "
            "check adapter, colour, scale, resize and strides, or add the model again."
        )


def load_picture(path: Path) -> BgrFrame:
    """Return the picture as uint8 (height, width, 3), BGR.

    Raises:
        ModelError: missing or not a picture.
    """
    try:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    except cv2.error:
        picture = None
    if picture is None:
        raise ModelError(f"The self-test picture {path} is missing or broken: put it beside the manifest.")
    return np.asarray(picture, dtype=np.uint8)


def _difference(found: list[Detection], wanted: SelfTest) -> str | None:
    """Pair each expected box with the nearest found one; say what is missing or too much, or None."""
    left_over = list(found)
    for expected in wanted.boxes:
        class_id = COCO_CLASSES.index(expected.label)
        fitting = [each for each in left_over if each.class_id == class_id]
        best = max(fitting, key=lambda each: _iou(each.box_px, expected.box_px), default=None)
        if best is None:
            return f"no {expected.label} at {list(expected.box_px)}"
        iou_ppm = int(_iou(best.box_px, expected.box_px) * PPM_ONE)
        if iou_ppm < wanted.min_iou_ppm:
            return f"{expected.label} at {list(best.box_px)} instead of {list(expected.box_px)}"
        left_over.remove(best)
    if left_over:
        return f"an unexpected {class_name(left_over[0].class_id)} at {list(left_over[0].box_px)}"
    return None


def _iou(first: BoxPx, second: BoxPx) -> float:
    return float(pairwise_iou(np.array([first], dtype=np.float64), np.array([second], dtype=np.float64))[0, 0])
