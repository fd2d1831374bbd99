"""Where a device stands and looks, as coarse as pay needs it.

Positions are snapped to a grid, so that a board that publishes many identities a few centimetres apart is one vantage.
An owner who publishes a coarser position than the grid keeps exactly that position. Both grids are part of the ruleset.
"""

from dataclasses import dataclass
from typing import Final, Self

from protocol.observation import Position

GRID_UDEG: Final = 100  # about 11 m of latitude
CELL_UDEG: Final = 10_000  # about 1.1 km of latitude; the width of a cell shrinks towards the poles
_OCTANT_MDEG: Final = 45_000
_HALF_TURN_UDEG: Final = 180_000_000
NO_OCTANT: Final = -1


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One square of the pay grid: the floor of latitude and longitude over ``CELL_UDEG``."""

    row: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Vantage:
    """A place and a direction of view. ``octant`` 0 looks north, 2 east; -1 means that no direction was published."""

    lat_grid: int
    lon_grid: int
    octant: int

    def __post_init__(self) -> None:
        if not NO_OCTANT <= self.octant < 8:
            raise ValueError(f"{self.octant=} is not one of eight directions or {NO_OCTANT}")

    @classmethod
    def of(cls, position: Position) -> Self:
        """Return the vantage that a published position belongs to."""
        # The two names of the antimeridian are one place.
        lon_udeg = -_HALF_TURN_UDEG if position.lon_udeg == _HALF_TURN_UDEG else position.lon_udeg
        heading_mdeg = position.heading_mdeg
        octant = NO_OCTANT if heading_mdeg < 0 else (heading_mdeg + _OCTANT_MDEG // 2) // _OCTANT_MDEG % 8
        return cls(position.lat_udeg // GRID_UDEG, lon_udeg // GRID_UDEG, octant)

    @property
    def cell(self) -> Cell:
        """The cell whose budget this vantage draws from."""
        per_cell = CELL_UDEG // GRID_UDEG
        return Cell(self.lat_grid // per_cell, self.lon_grid // per_cell)
