"""Boxes in pixels and how much they have in common. Pure numpy; shared by the detector and the tracker."""

import numpy as np
import numpy.typing as npt

from edge.sight.finished import BoxPx

__all__ = ["BoxPx", "FloatArray", "areas_of", "pairwise_common_area", "pairwise_iou"]
FloatArray = npt.NDArray[np.float64]


def pairwise_common_area(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the area that boxes (n, 4) and (m, 4) share, as (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    common: FloatArray = np.prod(np.maximum(high - low, 0.0), axis=2)
    return common


def areas_of(boxes: FloatArray) -> FloatArray:
    """Return the area of each of the boxes (n, 4), as (n,); 0 for an empty one."""
    areas: FloatArray = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    return areas


def pairwise_iou(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return intersection over union of boxes (n, 4) and (m, 4) as (n, m); 0 where both are empty."""
    common = pairwise_common_area(first, second)
    union = areas_of(first)[:, None] + areas_of(second)[None, :] - common
    iou: FloatArray = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou
