"""The grid points that dense layouts count along: rows before columns, stride after stride."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.sight.boxes import FloatArray


@dataclass(frozen=True, slots=True)
class Grid:
    """The anchor points of one input size, in the order of the output's rows."""

    points: FloatArray  # (N, 2): column and row of each point, in strides
    strides: FloatArray  # (N, 1): pixels

    @classmethod
    def of(cls, width: int, height: int, strides: Sequence[int]) -> "Grid":
        """Lay the grid of an input of ``width`` x ``height`` pixels; a cell cut by its edge counts."""
        points, sizes = [], []
        for stride in strides:
            rows, columns = np.indices((-(-height // stride), -(-width // stride)))
            points.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
            sizes.append(np.full((rows.size, 1), stride))
        return cls(points=np.concatenate(points).astype(np.float64), strides=np.concatenate(sizes).astype(np.float64))


def points_of(width: int, height: int, stride: int) -> int:
    """Return how many grid points one stride has."""
    return (-(-width // stride)) * (-(-height // stride))
