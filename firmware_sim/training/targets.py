"""Which rows of the output answer for which true box, and the loss that follows.

Somebody whose longer side, uncut by the frame, is below ``_SMALL_PX`` belongs to stride 8, others to stride 16: who
enters the frame does not change strides on the way. The rows of a box are the grid
points within 1.5 strides of its centre and inside it. Where boxes compete the one whose centre is nearer wins.
Rows inside a box that is hardly visible are not judged.
"""

# mypy: allow-untyped-calls, disable-error-code="import-not-found, no-any-return"

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from firmware_sim.training.network import STRIDES
from firmware_sim.training.samples import Sample
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX

_SMALL_PX = 56.0
_REACH_STRIDES = 1.5


def _grid() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    points, sizes = [], []
    for stride in STRIDES:
        rows, columns = np.indices((FRAME_HEIGHT_PX // stride, FRAME_WIDTH_PX // stride))
        points.append(np.stack([columns.ravel(), rows.ravel()], 1))
        sizes.append(np.full(rows.size, stride))
    return np.concatenate(points).astype(np.float32), np.concatenate(sizes).astype(np.float32)


GRID_POINTS, GRID_STRIDES = _grid()  # (N, 2) columns and rows in strides; (N,) pixels
# A row answers for the middle of its cell.
_CENTRES_PX = (GRID_POINTS + 0.5) * GRID_STRIDES[:, None]


@dataclass(frozen=True, slots=True)
class Target:
    """What the output of one frame should be; N rows."""

    box_of: npt.NDArray[np.int64]  # (N,): index of the row's true box, -1 for none
    is_judged: npt.NDArray[np.bool_]  # (N,): whether the row's objectness counts
    boxes_px: npt.NDArray[np.float32]  # (N, 4) of the row's true box, or zeros
    labels: npt.NDArray[np.int64]  # (N,)


def target_of(sample: Sample) -> Target:
    """Assign every row of the output its true box."""
    count = len(GRID_STRIDES)
    nearest = np.full(count, np.inf)
    box_of = np.full(count, -1, np.int64)
    is_judged = np.ones(count, np.bool_)
    for index, box in enumerate(sample.boxes_px):
        centre = (box[:2] + box[2:]) / 2
        inside = np.all((box[:2] < _CENTRES_PX) & (box[2:] > _CENTRES_PX), axis=1)
        if not sample.is_plain[index]:
            is_judged &= ~inside
            continue
        stride = STRIDES[0] if sample.whole_sides_px[index] < _SMALL_PX else STRIDES[1]
        away = np.abs(_CENTRES_PX - centre).max(1) / stride
        # A box thinner than a cell may contain no cell's middle: the cells next to its centre still answer.
        mine = (stride == GRID_STRIDES) & (((away < _REACH_STRIDES) & inside) | (away <= 0.5)) & (away < nearest)
        box_of[mine], nearest[mine] = index, away[mine]
    is_judged |= box_of >= 0
    has = box_of >= 0
    boxes, labels = np.zeros((count, 4), np.float32), np.zeros(count, np.int64)
    boxes[has], labels[has] = sample.boxes_px[box_of[has]], sample.labels[box_of[has]]
    return Target(box_of, is_judged, boxes, labels)


def boxes_of(output: Tensor) -> Tensor:
    """Return [.., N, 4] left, top, right, bottom (px) of the rows of a raw output."""
    points, strides = torch.from_numpy(GRID_POINTS), torch.from_numpy(GRID_STRIDES)[:, None]
    centres = (output[..., :2] + points) * strides
    half = torch.exp(output[..., 2:4].clamp(-4, 4)) * strides / 2
    return torch.cat([centres - half, centres + half], -1)


def loss_of(output: Tensor, targets: list[Target]) -> Tensor:
    """Return the loss of a batch: box overlap (1 - GIoU), objectness aimed at the overlap, classes."""
    has = torch.from_numpy(np.stack([target.box_of >= 0 for target in targets]))
    is_judged = torch.from_numpy(np.stack([target.is_judged for target in targets]))
    truth = torch.from_numpy(np.stack([target.boxes_px for target in targets]))[has]
    labels = torch.from_numpy(np.stack([target.labels for target in targets]))[has]
    overlap, giou = _overlaps(boxes_of(output)[has], truth)
    aim = torch.zeros_like(output[..., 4])
    aim[has] = 0.25 + 0.75 * overlap.detach()
    objectness = functional.binary_cross_entropy_with_logits(output[..., 4], aim, reduction="none")
    kinds = functional.one_hot(labels, output.shape[-1] - 5).to(output.dtype)
    classes = functional.binary_cross_entropy_with_logits(output[has][:, 5:], kinds, reduction="sum")
    count = max(len(truth), 1)
    return (4.0 * (1 - giou).sum() + (objectness * is_judged).sum() + classes) / count


def _overlaps(boxes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and GIoU of pairs of boxes, both (count,)."""
    inner = (torch.minimum(boxes[:, 2:], truth[:, 2:]) - torch.maximum(boxes[:, :2], truth[:, :2])).clamp(0)
    outer = (torch.maximum(boxes[:, 2:], truth[:, 2:]) - torch.minimum(boxes[:, :2], truth[:, :2])).clamp(0)
    shared, hull = inner.prod(1), outer.prod(1) + 1e-6
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (truth[:, 2:] - truth[:, :2]).prod(1) - shared + 1e-6
    return shared / union, shared / union - (hull - union) / hull
