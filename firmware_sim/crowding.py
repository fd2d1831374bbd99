"""Who would be in whose way: pictures of passers over time, compared on one time grid for all cameras of a street."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_sim.vantage import FRAME_WIDTH_PX, FloatArray

STEP_MS = 200  # passers come on this grid, so that their traces can be laid side by side
_SHARED_SHARE = 0.3  # two passers hide each other when they share this part of the smaller one's box
# At the frame's edge one goes while another comes: nobody, man or machine, could say who is who.
_SHARED_AT_EDGE = 0.1
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
    """Whether they would drive into each other, one hide the other for too long, or both meet at a frame's edge."""
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
    shared, is_cut = _meetings(one.boxes_px[..., mine], other.boxes_px[..., theirs])
    if bool(np.any(is_cut & (shared >= _SHARED_AT_EDGE))):
        return True
    return _longest_run(shared >= _SHARED_SHARE) * STEP_MS > longest_occlusion_ms


def _is_one_lane(one: Trace, other: Trace) -> bool:
    if one.lane is None or other.lane is None:
        return False
    return one.lane[0] == other.lane[0] and abs(one.lane[1] - other.lane[1]) < one.lane[2]


def _meetings(boxes: FloatArray, others: FloatArray) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Return (cameras, steps): the shared part of the smaller box, and whether the frame's edge cuts either.

    Nothing is shared unless both are in the frame.
    """
    inner = np.clip(np.minimum(boxes[2:], others[2:]) - np.maximum(boxes[:2], others[:2]), 0, None)
    sides, other_sides = boxes[2:] - boxes[:2], others[2:] - others[:2]
    smaller = np.minimum(sides[0] * sides[1], other_sides[0] * other_sides[1])
    first_right, last_left = np.minimum(boxes[2], others[2]), np.maximum(boxes[0], others[0])
    in_frame = (first_right > 0) & (last_left < FRAME_WIDTH_PX)
    is_cut = (np.minimum(boxes[0], others[0]) < 0) | (np.maximum(boxes[2], others[2]) > FRAME_WIDTH_PX)
    shared = np.where(in_frame, inner.prod(axis=0) / smaller, 0.0)
    return np.nan_to_num(shared), np.asarray(is_cut & in_frame, np.bool_)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Return the longest run of true along the last axis, over all rows of (rows, steps)."""
    if not flags.any():
        return 0
    padded = np.pad(flags, ((0, 0), (1, 1))).astype(np.int8).ravel()
    edges = np.flatnonzero(np.diff(padded))
    return int((edges[1::2] - edges[::2]).max())
