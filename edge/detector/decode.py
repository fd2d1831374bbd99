"""Reading a raw YOLOX output: grid decode, best class, non-maximum suppression. Pure numpy.

Output layout ``yolox_raw``: [1, N, 5 + C]; N runs over the strides in their order, rows before columns; each row is
centre x and y as offsets from its grid point in strides, log width and log height in strides, objectness,
class scores (the last two already through the sigmoid). Tested against a slow decoder in plain Python
(tests/unit/test_yolox_decode.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.boxes import FloatArray, pairwise_iou
from edge.detector.detection import ModelError

# More boxes than this before suppression is noise; it bounds the pairwise overlaps to 4 MB and a few ms.
CANDIDATES_MAX = 1000
BOXES_MAX = 300
# exp(12) strides is wider than any picture: a log beyond it would overflow and says nothing more.
_LOG_SIDE_MAX = 12.0
# Sigmoids computed in float32 may stand a rounding above one.
_SCORE_SLACK = 1e-3


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes in input-tensor pixels, most confident first."""

    corners: FloatArray  # (count, 4): left, top, right, bottom
    scores: FloatArray  # (count,): 0..1
    labels: npt.NDArray[np.int64]  # (count,): index into the model's classes


@dataclass(frozen=True, slots=True)
class Grid:
    """The anchor points of one input size, in the order of the output's rows."""

    points: FloatArray  # (N, 2): column and row of each point, in strides
    strides: FloatArray  # (N, 1): pixels

    @classmethod
    def of(cls, width: int, height: int, strides: Sequence[int]) -> "Grid":
        """Lay the grid of an input of ``width`` x ``height`` pixels."""
        points, sizes = [], []
        for stride in strides:
            rows, columns = np.indices((height // stride, width // stride))
            points.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
            sizes.append(np.full((rows.size, 1), stride))
        return cls(points=np.concatenate(points).astype(np.float64), strides=np.concatenate(sizes).astype(np.float64))


def decode(output: npt.NDArray[np.float32], grid: Grid, *, score_min: float) -> Boxes:
    """Return every box whose objectness times best class score reaches ``score_min``, at most CANDIDATES_MAX.

    Raises:
        ModelError: the output holds NaN or infinity, or scores outside 0..1.
    """
    if not np.isfinite(output.sum(dtype=np.float64)):
        raise ModelError("The model answered with NaN or infinity: the file is broken; add the model again.")
    rows = output[0]
    likely = np.flatnonzero(rows[:, 4] >= score_min)  # class scores are at most 1, so no other row can pass
    candidates = rows[likely].astype(np.float64)
    if candidates.size and not _are_scores(candidates[:, 4:]):
        raise ModelError(
            "The model's scores are outside 0..1: this export lacks its sigmoid; use an export that has it."
        )
    labels = candidates[:, 5:].argmax(axis=1)
    scores = np.minimum(candidates[:, 4] * candidates[np.arange(len(candidates)), 5 + labels], 1.0)
    passing = np.flatnonzero(scores >= score_min)
    # Stable: equal scores keep the grid's order, so the same output gives the same boxes on every machine.
    best = passing[np.argsort(-scores[passing], kind="stable")][:CANDIDATES_MAX]
    chosen = likely[best]
    centres = (candidates[best, :2] + grid.points[chosen]) * grid.strides[chosen]
    half = np.exp(np.clip(candidates[best, 2:4], -_LOG_SIDE_MAX, _LOG_SIDE_MAX)) * grid.strides[chosen] / 2
    return Boxes(
        corners=np.concatenate([centres - half, centres + half], axis=1), scores=scores[best], labels=labels[best]
    )


def suppress(boxes: Boxes, *, iou_max: float) -> Boxes:
    """Return the boxes of which no more confident box of the same class covers more than ``iou_max``."""
    count = len(boxes.scores)
    overlaps = pairwise_iou(boxes.corners, boxes.corners) > iou_max
    overlaps &= boxes.labels[:, None] == boxes.labels[None, :]
    is_alive = np.ones(count, dtype=bool)
    for index in range(count):
        if is_alive[index]:
            is_alive[index + 1 :] &= ~overlaps[index, index + 1 :]
    kept = np.flatnonzero(is_alive)[:BOXES_MAX]
    return Boxes(corners=boxes.corners[kept], scores=boxes.scores[kept], labels=boxes.labels[kept])


def _are_scores(values: FloatArray) -> bool:
    return bool(values.min() >= -_SCORE_SLACK and values.max() <= 1 + _SCORE_SLACK)
