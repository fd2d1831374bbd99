"""Settings of what is in view: lines and zones to watch, and what must not be looked at. Closed schema, frozen."""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edge.polygon import fault_of

_Permille = Annotated[int, Meta(ge=0, le=1_000)]
Point = tuple[_Permille, _Permille]  # x, y in thousandths of the frame's width and height, y downwards
Polygon = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=32)]


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line that is crossed, in thousandths of the frame's width and height; forward is from its left to its right.

    Raises:
        ValueError: a line without length.
    """

    begin: Point = msgspec.field(name="from")
    end: Point = msgspec.field(name="to")
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise ValueError(f"{self.name or 'a line'} begins and ends at {list(self.begin)}")


class ZoneSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A zone that is stayed in: a polygon in thousandths of the frame's width and height.

    Raises:
        ValueError: it encloses nothing, or crosses itself.
    """

    polygon: Polygon
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if fault := fault_of(self.polygon):
            raise ValueError(f"{self.name or 'a zone'} {fault}")


class PrivacySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must not be looked at: polygons in thousandths of the frame's width and height, painted over first of all.

    Raises:
        ValueError: a mask encloses nothing, or crosses itself. The device does not start without it.
    """

    masks: Annotated[tuple[Polygon, ...], Meta(max_length=32)] = ()

    def __post_init__(self) -> None:
        for number, mask in enumerate(self.masks, start=1):
            if fault := fault_of(mask):
                raise ValueError(f"mask {number} {fault}")
