"""Who goes out of the picture and who comes in: what the frame's edge does to boxes, and whether that was the same one.

Pure geometry. A box that the edge cuts shows a part of its object, and its middle lags behind: only with the rest
added does who walks out keep his speed.
"""

from typing import Final, NamedTuple

from edge.sight.finished import BoxPx
from edge.sight.kalman import Box, Place, place_of

FramePx = tuple[int, int]  # width, height

_EDGE_SHARE: Final = 0.012  # a box this near (of the frame's side) to the frame's edge is cut by it
_LENGTH_SHARE: Final = 0.15  # how well the length along the edge must agree
_HEAD_SHARE: Final = 0.7  # a box shorter than this is at most a head


class Edges(NamedTuple):
    """Which edges of the frame cut a box."""

    left: bool
    top: bool
    right: bool
    bottom: bool


def edges_of(box: BoxPx | Box, frame_px: FramePx) -> Edges:
    """Return the edges that cut ``box``, or would if it were whole."""
    across, down = _EDGE_SHARE * frame_px[0], _EDGE_SHARE * frame_px[1]
    return Edges(box[0] <= across, box[1] <= down, box[2] >= frame_px[0] - across, box[3] >= frame_px[1] - down)


def uncut(box: BoxPx, whole: tuple[float, float], frame_px: FramePx) -> tuple[Place, tuple[float, float]]:
    """Return the place of the whole object, as far as its size is known, and what is known of its size now.

    Args:
        box: as detected.
        whole: its width and height while no edge cut it; 0 where never seen.
        frame_px: the frame's size.
    """
    edges = edges_of(box, frame_px)
    left, right, width = _uncut_axis((box[0], box[2]), (edges.left, edges.right), whole[0])
    top, bottom, height = _uncut_axis((box[1], box[3]), (edges.top, edges.bottom), whole[1])
    return place_of((left, top, right, bottom)), (width, height)


def common_with_frame(box: Box, frame_px: FramePx | None) -> Box:
    """Return the part of ``box`` inside the frame; empty (no width or height) where there is none."""
    if frame_px is None:
        return box
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    return left, top, max(min(box[2], float(frame_px[0])), left), max(min(box[3], float(frame_px[1])), top)


def return_score(was: Box, was_cut_by: Edges, box: BoxPx, frame_px: FramePx) -> float:
    """Return 0 (another one) .. 1 (just his size) for ``box``, seen after somebody at ``was`` stepped out.

    It must be cut by the same edge and reach as far along it, from end to end; a head alone must be where his was.
    """
    edges = edges_of(box, frame_px)
    scores = [0.0]
    if (was_cut_by.left and edges.left) or (was_cut_by.right and edges.right):
        scores.append(_agreement((was[1], was[3]), (box[1], box[3])))
    if (was_cut_by.top and edges.top) or (was_cut_by.bottom and edges.bottom):
        scores.append(_agreement((was[0], was[2]), (box[0], box[2])))
    return max(scores)


def _agreement(was: tuple[float, float], seen: tuple[float, float]) -> float:
    length = max(was[1] - was[0], 1.0)
    off = [abs(seen[0] - was[0]) / length]
    if seen[1] - seen[0] >= _HEAD_SHARE * length:
        off.append(abs(seen[1] - was[1]) / length)
    return max(1.0 - max(off) / _LENGTH_SHARE, 0.0)


def _uncut_axis(span: tuple[float, float], is_cut: tuple[bool, bool], whole: float) -> tuple[float, float, float]:
    """Return begin, end and whole length along one axis."""
    begin, end = span
    if is_cut == (False, False):
        length = end - begin
        return begin, end, length if whole == 0.0 else whole + 0.2 * (length - whole)
    if is_cut == (True, False):
        return min(begin, end - whole), end, whole
    if is_cut == (False, True):
        return begin, max(end, begin + whole), whole
    return begin, end, whole
