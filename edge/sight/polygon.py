"""Polygons in thousandths of a frame's width and height, as settings give them. Whole numbers, no numpy."""

from collections.abc import Sequence
from itertools import combinations, pairwise

Permille = tuple[int, int]  # x, y in thousandths of the frame's width and height, y downwards


def fault_of(polygon: Sequence[Permille]) -> str | None:
    """Return what is wrong with a polygon, as the end of a sentence; None if it encloses one piece of picture."""
    if len(set(polygon)) < max(3, len(polygon)):
        return "needs at least three points, none of them twice"
    sides = list(pairwise((*polygon, polygon[0])))
    for (first, one), (second, other) in combinations(enumerate(sides), 2):
        are_neighbours = second - first in {1, len(sides) - 1}
        if not are_neighbours and _touch(one, other):
            return "crosses itself: give its corners in order, around the outside"
    return "encloses nothing: its points lie on one line" if _area_twice(polygon) == 0 else None


def _area_twice(polygon: Sequence[Permille]) -> int:
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise((*polygon, polygon[0])))


def _touch(one: tuple[Permille, Permille], other: tuple[Permille, Permille]) -> bool:
    turns = [_turn(*one, other[0]), _turn(*one, other[1]), _turn(*other, one[0]), _turn(*other, one[1])]
    if turns == [0, 0, 0, 0]:  # on one line: do their spans meet?
        return all(
            max(min(one[0][axis], one[1][axis]), min(other[0][axis], other[1][axis]))
            <= min(max(one[0][axis], one[1][axis]), max(other[0][axis], other[1][axis]))
            for axis in (0, 1)
        )
    return turns[0] * turns[1] <= 0 and turns[2] * turns[3] <= 0


def _turn(begin: Permille, end: Permille, point: Permille) -> int:
    """Return on which side of the way from ``begin`` to ``end`` a point is: -1, 0 (on it) or 1."""
    cross = (end[0] - begin[0]) * (point[1] - begin[1]) - (end[1] - begin[1]) * (point[0] - begin[0])
    return (cross > 0) - (cross < 0)
