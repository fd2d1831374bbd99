"""Whether something moves in the picture, for a few dozen microseconds: a tiny picture against its recent past.

The background follows the picture within about a second, so that whoever stands still soon belongs to it (the tracker
remembers him) and leaves no ghost behind when he goes. Light that changes everywhere alike is divided out. Where a
picture always flickers (leaves, a noisy sensor), more change is needed. When most of the picture changes at once
(a lamp, an iris, a knock), the new picture is the background from then on.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera.frame import BgrPicture
from edge.sight.finished import BoxPx

_WIDTH = 96  # of the tiny picture
_FOLLOWS_S = 1.0  # how fast the background follows
_FLICKER_FOLLOWS_S = 5.0
_CHANGE_MIN = 5.0  # grey levels, after averaging over a cell and its neighbours
_FLICKERS = 3.0  # and so many times the usual flicker of the cell
_CELLS_MIN = 3  # changed cells that are something
_UPHEAVAL_SHARE = 0.5  # of all cells
_STANDING_MARGIN = 0.12  # who stands may move within so much more than his box
_ELAPSED_MAX_S = 5.0

Tiny = npt.NDArray[np.float32]


class Motion:
    """Watches the pictures of one camera."""

    def __init__(self) -> None:
        """Begin with no past."""
        self._background: Tiny | None = None
        self._flicker: Tiny | None = None
        self._at_ms = 0

    def is_in(self, picture: BgrPicture, at_ms: int, *, standing: Sequence[BoxPx] = ()) -> bool:
        """Take in a picture; say whether something moves in it, apart from those who are known to stand there."""
        tiny = _tiny(picture)
        background, flicker = self._background, self._flicker
        if background is None or flicker is None or background.shape != tiny.shape:
            self._learn(tiny, at_ms)
            return True
        elapsed_s = min(max(at_ms - self._at_ms, 1) / 1000, _ELAPSED_MAX_S)
        self._at_ms = at_ms
        light = _light(tiny) / _light(background)
        change = cv2.blur(cv2.absdiff(tiny, np.multiply(background, light, dtype=np.float32)), (3, 3))
        changed = change > np.maximum(flicker * _FLICKERS, _CHANGE_MIN)
        if np.count_nonzero(changed) > _UPHEAVAL_SHARE * changed.size:
            self._learn(tiny, at_ms)
            return True
        cv2.accumulateWeighted(tiny, background, 1.0 - float(np.exp(-elapsed_s / _FOLLOWS_S)))
        cv2.accumulateWeighted(change, flicker, 1.0 - float(np.exp(-elapsed_s / _FLICKER_FOLLOWS_S)))
        for box in standing:
            _blank(changed, box, picture.shape[1] / changed.shape[1])
        return int(np.count_nonzero(changed)) >= _CELLS_MIN

    def _learn(self, tiny: Tiny, at_ms: int) -> None:
        self._background = tiny.copy()
        self._flicker = np.zeros_like(tiny)
        self._at_ms = at_ms


def _tiny(picture: BgrPicture) -> Tiny:
    """Return the green channel in about `_WIDTH` columns: four samples for each cell, so that noise averages out."""
    height, width = picture.shape[:2]
    stride = max(1, width // (2 * _WIDTH))
    samples = np.ascontiguousarray(picture[::stride, ::stride, 1])
    size = (min(_WIDTH, samples.shape[1]), max(1, min(samples.shape[0], round(_WIDTH * height / width))))
    return np.asarray(cv2.resize(samples, size, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _light(tiny: Tiny) -> float:
    """Return how light the middle tone is; never 0."""
    sample = tiny[::3, ::3].ravel()
    middle = sample.size // 2
    return float(np.partition(sample, middle)[middle]) + 1.0


def _blank(changed: npt.NDArray[np.bool_], box: BoxPx, cell_px: float) -> None:
    left, top, right, bottom = box
    margin = _STANDING_MARGIN * (right - left + bottom - top) / 2
    rows = slice(max(int((top - margin) / cell_px), 0), int((bottom + margin) / cell_px) + 1)
    columns = slice(max(int((left - margin) / cell_px), 0), int((right + margin) / cell_px) + 1)
    changed[rows, columns] = False
