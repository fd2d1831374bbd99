"""Lines that are crossed and zones that are stayed in: what a track's feet did, pure geometry and time.

* A *crossing* needs a real step: the feet must have been clearly on one side and come clearly to the other one, each
  time farther from the line than a quarter of the object's mean side. Who dithers on the line crosses once or never.
* A *stay* lasts from the first look inside to the last one; who is outside for less than 2 s has not left. A stay
  shorter than half a second is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from edge.sight.polygon import Permille
from protocol.units import UnixMs

Point = tuple[float, float]


_CLEAR_SIDES: Final = 0.25
_CLEAR_AT_END_SIDES: Final = 0.08  # enough for somebody who will not be seen again
_OUTSIDE_MS: Final = 2_000
_STAY_MIN_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Passed:
    """A line was crossed."""

    line: int
    is_forward: bool  # from the left of the line to its right, looking from its first point to its second
    at_ms: UnixMs


@dataclass(frozen=True, slots=True)
class Stayed:
    """A zone was entered and left."""

    zone: int
    entered_at_ms: UnixMs
    left_at_ms: UnixMs


@dataclass(slots=True)
class SideOfLine:
    """Where a track was clearly last, and since when it has been on the other side without being clearly there."""

    is_right: bool
    clear: Point
    over_since_ms: int | None = None


@dataclass(slots=True)
class Marks:
    """What one track has done so far, by the number of the line or the zone."""

    sides: dict[int, SideOfLine] = field(default_factory=dict)
    inside: dict[int, tuple[int, int]] = field(default_factory=dict)  # first and last look inside, ms


class Places:
    """The lines and zones of one camera, in thousandths of its frame."""

    def __init__(
        self, lines: Sequence[tuple[Permille, Permille]] = (), zones: Sequence[Sequence[Permille]] = ()
    ) -> None:
        """Take them in the order of the settings: their numbers are what leaves the device."""
        self._lines = tuple(lines)
        self._zones = tuple(tuple(zone) for zone in zones)

    @property
    def lines(self) -> int:
        """How many lines."""
        return len(self._lines)

    @property
    def zones(self) -> int:
        """How many zones."""
        return len(self._zones)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to watch."""
        return not self._lines and not self._zones

    def note(
        self, marks: Marks, feet_px: Point, side_px: float, at_ms: UnixMs, frame_px: tuple[int, int]
    ) -> list[Passed | Stayed]:
        """Take in where a track's feet are; return what it has just done.

        Args:
            marks: the track's own, changed.
            feet_px: the middle of its box's lower edge.
            side_px: the mean side of its box.
            at_ms: later than the look before.
            frame_px: the frame's width and height.
        """
        done: list[Passed | Stayed] = []
        for number, line in enumerate(self._lines):
            passed = _step(marks, number, _in_frame(line, frame_px), feet_px, (side_px * _CLEAR_SIDES, at_ms))
            done += [passed] if passed else []
        for number, zone in enumerate(self._zones):
            stayed = _dwell(marks, number, _is_inside(feet_px, _in_frame(zone, frame_px)), at_ms)
            done += [stayed] if stayed else []
        return done

    def close(
        self, marks: Marks, feet_px: Point, side_px: float, at_ms: UnixMs, frame_px: tuple[int, int]
    ) -> list[Passed | Stayed]:
        """Return what the track did with its last step, seen at ``at_ms``; it will not be seen again."""
        done: list[Passed | Stayed] = []
        for number, line in enumerate(self._lines):
            passed = _step(marks, number, _in_frame(line, frame_px), feet_px, (side_px * _CLEAR_AT_END_SIDES, at_ms))
            done += [passed] if passed else []
        for number, (entered_ms, last_ms) in sorted(marks.inside.items()):
            if last_ms - entered_ms >= _STAY_MIN_MS:
                done.append(Stayed(number, UnixMs(entered_ms), UnixMs(last_ms)))
        return done


def _step(
    marks: Marks, number: int, line: Sequence[Point], feet: Point, clear_at: tuple[float, UnixMs]
) -> Passed | None:
    """Take in one look at one line; ``clear_at`` is how far off counts as clearly on one side, and the time."""
    clear_px, at_ms = clear_at
    right_by_px = _right_by_px(line, feet)
    before = marks.sides.get(number)
    is_clear = abs(right_by_px) >= clear_px
    if before is None:
        if is_clear:
            marks.sides[number] = SideOfLine(right_by_px > 0, feet)
        return None
    is_over = (right_by_px > 0) != before.is_right
    if not is_over:
        before.over_since_ms = None
        if is_clear:
            before.clear = feet
        return None
    if before.over_since_ms is None:
        before.over_since_ms = at_ms
    if not is_clear:
        return None
    marks.sides[number] = SideOfLine(right_by_px > 0, feet)
    if not _meet(before.clear, feet, line):
        return None  # around its end
    return Passed(number, right_by_px > 0, UnixMs(before.over_since_ms))


def _dwell(marks: Marks, number: int, is_inside: bool, at_ms: UnixMs) -> Stayed | None:  # noqa: FBT001
    entered_ms, last_ms = marks.inside.get(number, (at_ms, at_ms))
    if is_inside:
        marks.inside[number] = (entered_ms, at_ms)
        return None
    if number not in marks.inside or at_ms - last_ms <= _OUTSIDE_MS:
        return None
    del marks.inside[number]
    return Stayed(number, UnixMs(entered_ms), UnixMs(last_ms)) if last_ms - entered_ms >= _STAY_MIN_MS else None


def _in_frame(points: Sequence[Permille], frame_px: tuple[int, int]) -> list[Point]:
    return [(x * frame_px[0] / 1000, y * frame_px[1] / 1000) for x, y in points]


def _right_by_px(line: Sequence[Point], point: Point) -> float:
    """Return how far right of the line a point is, looking from its first point to its second; y grows downwards."""
    (from_x, from_y), (to_x, to_y) = line
    along_x, along_y = to_x - from_x, to_y - from_y
    length = max((along_x**2 + along_y**2) ** 0.5, 1e-9)
    return float((along_x * (point[1] - from_y) - along_y * (point[0] - from_x)) / length)


def _meet(begin: Point, end: Point, line: Sequence[Point]) -> bool:
    """Say whether the way from ``begin`` to ``end``, on two sides of the line, passes between the line's points."""
    before, after = _right_by_px(line, begin), _right_by_px(line, end)
    share = before / (before - after) if before != after else 0.5
    x, y = begin[0] + (end[0] - begin[0]) * share, begin[1] + (end[1] - begin[1]) * share
    (from_x, from_y), (to_x, to_y) = line
    along_x, along_y = to_x - from_x, to_y - from_y
    place = (along_x * (x - from_x) + along_y * (y - from_y)) / max(along_x**2 + along_y**2, 1e-9)
    return 0.0 <= place <= 1.0


def _is_inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Say whether a point lies in a polygon: an odd number of its sides is to the right of the point."""
    x, y = point
    is_inside = False
    for (from_x, from_y), (to_x, to_y) in pairwise((*polygon, polygon[0])):
        if (from_y > y) != (to_y > y) and x < (to_x - from_x) * (y - from_y) / (to_y - from_y) + from_x:
            is_inside = not is_inside
    return is_inside
