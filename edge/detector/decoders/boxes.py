"""Boxes as decoders return them, the checks that all of them make, and non-maximum suppression."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.detector.detection import ModelError
from edge.detector.runner import Tensor
from edge.sight.boxes import FloatArray, pairwise_iou

# More boxes than this before suppression is noise; it bounds the pairwise overlaps to 4 MB and a few ms.
CANDIDATES_MAX = 1000
BOXES_MAX = 300
# Sigmoids computed in float32 may stand a rounding above one.
_SCORE_SLACK = 1e-3
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes in input-tensor pixels, most confident first."""

    corners: FloatArray  # (count, 4): left, top, right, bottom
    scores: FloatArray  # (count,): 0..1
    labels: IntArray  # (count,): index into the model's classes

    def only(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> "Boxes":
        """Return the boxes that ``chosen`` names, by index or by a mask."""
        return Boxes(corners=self.corners[chosen], scores=self.scores[chosen], labels=self.labels[chosen])


def ensure_finite(*tensors: Tensor) -> None:
    """Raise ModelError where a tensor holds NaN or infinity."""
    # One pass, no copy: any NaN or infinity survives a sum. The dot product is eight times as fast (BLAS) but may
    # overflow on large numbers; sums of float32 in float64 do not.
    with np.errstate(invalid="ignore", over="ignore"):  # infinity minus infinity
        for tensor in tensors:
            flat = tensor.ravel()
            if not np.isfinite(np.dot(flat, flat)) and not np.isfinite(tensor.sum(dtype=np.float64)):
                raise ModelError("The model answered with NaN or infinity: the file is broken; add the model again.")


def ensure_scores(scores: Tensor) -> None:
    """Raise ModelError where a score lies outside 0..1."""
    if scores.size and not (scores.min() >= -_SCORE_SLACK and scores.max() <= 1 + _SCORE_SLACK):
        raise ModelError(
            "The model's scores are outside 0..1: this export lacks its sigmoid or has another layout; use an export "
            "that has it, or correct [output]."
        )


def strongest(scores: Tensor, *, score_min: float) -> IntArray:
    """Return the indices of the scores of at least ``score_min``, best first, at most CANDIDATES_MAX."""
    passing = np.flatnonzero(scores >= score_min)
    # Stable: equal scores keep their order, so the same output gives the same boxes on every machine.
    return passing[np.argsort(-scores[passing], kind="stable")][:CANDIDATES_MAX]


def around(centres: FloatArray, sides: FloatArray) -> FloatArray:
    """Return the corners of boxes with these centres (n, 2) and sides (n, 2)."""
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)


def sigmoid(logits: FloatArray) -> FloatArray:
    """Return the logistic function; by tanh, which does not overflow."""
    probabilities: FloatArray = 0.5 * (1 + np.tanh(logits / 2))
    return probabilities


def softmax(logits: FloatArray) -> FloatArray:
    """Return the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: FloatArray = powers / powers.sum(axis=-1, keepdims=True)
    return probabilities


def suppress(boxes: Boxes, *, iou_max: float) -> Boxes:
    """Return the boxes of which no more confident box of the same class covers more than ``iou_max``."""
    count = len(boxes.scores)
    if count < 2:
        return boxes
    overlaps = pairwise_iou(boxes.corners, boxes.corners) > iou_max
    overlaps &= boxes.labels[:, None] == boxes.labels[None, :]
    is_alive = np.ones(count, dtype=bool)
    for index in range(count):
        if is_alive[index]:
            is_alive[index + 1 :] &= ~overlaps[index, index + 1 :]
    return boxes.only(np.flatnonzero(is_alive)[:BOXES_MAX])
