"""Privacy masks: what the owner does not want looked at is painted over before anything else sees the picture."""

from collections.abc import Sequence

import cv2
import numpy as np

from edge.camera.frame import BgrPicture
from edge.errors import EdgeError
from edge.sight.polygon import Permille, fault_of

_PAINT_BGR = (114, 114, 114)  # the grey with which the detector fills what is no picture
_RIM_PX = 3  # the masks reach this far beyond their lines, so that no rounding leaves a seam


class MaskError(EdgeError):
    """A mask is malformed. The camera stays shut: never without its masks."""


class Masks:
    """The masks of one camera, for frames of any size."""

    def __init__(self, polygons: Sequence[Sequence[Permille]]) -> None:
        """Take polygons in thousandths of the frame's width and height.

        Raises:
            MaskError: one of them encloses nothing, crosses itself or reaches out of the frame.
        """
        for number, polygon in enumerate(polygons, start=1):
            fault = fault_of(polygon)
            if fault is None and not all(0 <= value <= 1000 for point in polygon for value in point):
                fault = "reaches out of the frame: coordinates run from 0 to 1000"
            if fault is not None:
                raise MaskError(f"privacy mask {number} {fault}")
        self._polygons = [np.array(polygon, dtype=np.int64) for polygon in polygons]
        self._scaled_for = (0, 0)
        self._scaled: list[np.ndarray[tuple[int, ...], np.dtype[np.int32]]] = []

    def paint(self, picture: BgrPicture) -> BgrPicture:
        """Paint the masks over ``picture``, in place; return it, or a painted copy where it may not be written to."""
        if not self._polygons:
            return picture
        if not picture.flags.writeable or not picture.flags.c_contiguous:
            picture = np.array(picture, order="C")
        height, width = picture.shape[:2]
        if (width, height) != self._scaled_for:
            size = np.array([width, height])
            self._scaled = [np.rint(polygon * size / 1000).astype(np.int32) for polygon in self._polygons]
            self._scaled_for = (width, height)
        cv2.fillPoly(picture, self._scaled, _PAINT_BGR)
        cv2.polylines(picture, self._scaled, isClosed=True, color=_PAINT_BGR, thickness=_RIM_PX)
        return picture
