"""Who would be in whose way: pictures of passers over time, compared on one time grid for all cameras of a street."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_sim.vantage import FRAME_WIDTH_PX, FloatArray

STEP_MS = 200  # passers come on this grid, so that their traces can be laid side by side
_SHARED_SHARE = 0.3  # two passers hide each other when they share this part of the smaller one's box
_GAP_M = 1.5  # between two of one lane


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Where one passer is on its street and in every camera's picture, once every STEP_MS."""

    first_step: int
    along_m: FloatArray  # (steps,)
    boxes_px: FloatArray  # (4, cameras, steps): left, top, right, bottom, uncut; NaN where unseen
    length_m: float
    lane: tuple[int, float, float] | None  # class, across_m and breadth of who cannot overtake; None overtakes

    def later(self, steps: int) -> "Trace":
        """Return the same way, begun ``steps`` steps later."""
        return Trace(self.first_step + steps, self.along_m, self.boxes_px, self.length_m, self.lane)


def is_clash(one: Trace, other: Trace, *, longest_occlusion_ms: int) -> bool:
    """Whether they would drive into each other, or one hide the other from a camera for too long."""
    begin = max(one.first_step, other.first_step)
    steps = min(one.first_step + len(one.along_m), other.first_step + len(other.along_m)) - begin
    if steps <= 0:
        return False
    mine = slice(begin - one.first_step, begin - one.first_step + steps)
    theirs = slice(begin - other.first_step, begin - other.first_step + steps)
    if _is_one_lane(one, other):
        gap_m = abs(one.along_m[mine] - other.along_m[theirs]) - (one.length_m + other.length_m) / 2
        if gap_m.min() < _GAP_M:
            return True
    hides = _hides(one.boxes_px[..., mine], other.boxes_px[..., theirs])
    return _longest_run(hides) * STEP_MS > longest_occlusion_ms


def _is_one_lane(one: Trace, other: Trace) -> bool:
    if one.lane is None or other.lane is None:
        return False
    return one.lane[0] == other.lane[0] and abs(one.lane[1] - other.lane[1]) < one.lane[2]


def _hides(boxes: FloatArray, others: FloatArray) -> npt.NDArray[np.bool_]:
    """Return (cameras, steps): whether both are in the frame and share too much of the smaller box."""
    inner = np.minimum(boxes[2:], others[2:]) - np.maximum(boxes[:2], others[:2])
    sides, other_sides = boxes[2:] - boxes[:2], others[2:] - others[:2]
    smaller = np.minimum(sides[0] * sides[1], other_sides[0] * other_sides[1])
    is_shared = np.clip(inner, 0, None).prod(axis=0) >= _SHARED_SHARE * smaller
    in_frame = (np.minimum(boxes[2], others[2]) > 0) & (np.maximum(boxes[0], others[0]) < FRAME_WIDTH_PX)
    return np.asarray(is_shared & in_frame, np.bool_)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Return the longest run of true along the last axis, over all rows of (rows, steps)."""
    if not flags.any():
        return 0
    padded = np.pad(flags, ((0, 0), (1, 1))).astype(np.int8).ravel()
    edges = np.flatnonzero(np.diff(padded))
    return int((edges[1::2] - edges[::2]).max())
