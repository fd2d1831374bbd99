"""Where a made-up camera stands and what it would see: a level pinhole whose picture is cut to show the ground.

The lens is *shifted*, not tilted, so upright things stay upright and a flat sprite lands exactly in its true box.
Town plane: metres east and north of the town's base point. Picture: pixels, left-top origin.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from protocol.units import PPM_ONE

FRAME_WIDTH_PX = 320
FRAME_HEIGHT_PX = 192
POST_WIDTH_PX = 5  # a lamp post right in front of some cameras: the shortest honest occlusion
NEAREST_DEPTH_M = 2.0  # nothing nearer is drawn or counted

Mounting = Literal["wall", "pole", "window"]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Vantage:
    """A place and direction of view. ``heading_deg`` is clockwise from north."""

    block_index: int
    position_m: tuple[float, float]  # east, north
    height_m: float
    heading_deg: float
    field_of_view_deg: float  # horizontal
    horizon_ppm: int  # the horizon's row, in ppm of the frame height, from the top
    mounting: Mounting
    post_left_px: int | None = None  # left column of a lamp post in front of the lens

    def __post_init__(self) -> None:
        if self.block_index < 0:
            raise ValueError(f"{self.block_index=} is negative")
        if not 1.0 <= self.height_m <= 20.0:
            raise ValueError(f"{self.height_m=} is not a mounting height between 1 and 20 m")
        if not 10.0 <= self.field_of_view_deg <= 120.0:
            raise ValueError(f"{self.field_of_view_deg=} is not a lens between 10 and 120 degrees")
        if not 0 <= self.horizon_ppm < PPM_ONE:
            raise ValueError(f"{self.horizon_ppm=} is not a row of the frame")
        if self.post_left_px is not None and not 0 <= self.post_left_px <= FRAME_WIDTH_PX - POST_WIDTH_PX:
            raise ValueError(f"{self.post_left_px=} is outside the frame")

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return FRAME_WIDTH_PX / 2 / math.tan(math.radians(self.field_of_view_deg) / 2)

    @property
    def horizon_px(self) -> float:
        """Row of the horizon, pixels from the top."""
        return FRAME_HEIGHT_PX * self.horizon_ppm / PPM_ONE

    def project(self, east_m: FloatArray, north_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return column and row (px) of ground points, and their depth (m); all of one shape.

        A depth below ``NEAREST_DEPTH_M`` is returned as NaN in all three: such a point has no picture.
        """
        heading = math.radians(self.heading_deg)
        east, north = east_m - self.position_m[0], north_m - self.position_m[1]
        depth_m = east * math.sin(heading) + north * math.cos(heading)
        depth_m = np.where(depth_m >= NEAREST_DEPTH_M, depth_m, np.nan)
        right_m = east * math.cos(heading) - north * math.sin(heading)
        column_px = FRAME_WIDTH_PX / 2 + self.focal_px * right_m / depth_m
        row_px = self.horizon_px + self.focal_px * self.height_m / depth_m
        return column_px, row_px, depth_m


@dataclass(frozen=True, slots=True)
class Street:
    """One block of the town: a straight street of its own, seen by its own cameras.

    ``along`` runs with the street from its middle, ``across`` from the first pavement to the other one.
    """

    origin_m: tuple[float, float]  # east, north of (along 0, across 0)
    heading_deg: float  # direction of growing ``along``, clockwise from north

    def place(self, along_m: FloatArray, across_m: float) -> tuple[FloatArray, FloatArray]:
        """Return east and north (m) of points of this street."""
        heading = math.radians(self.heading_deg)
        sine, cosine = math.sin(heading), math.cos(heading)
        # ``across`` grows to the left of ``along``.
        east_m = self.origin_m[0] + along_m * sine - across_m * cosine
        north_m = self.origin_m[1] + along_m * cosine + across_m * sine
        return east_m, north_m
