"""What a satellite receiver says: where it is, when, and how far that can be believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from protocol.errors import MalformedError
from protocol.payload import LatitudeUdeg, LongitudeUdeg, Millis

_AltitudeMm = Annotated[int, Meta(ge=-1_000_000, le=20_000_000)]
_ERA_MS: Final = 1_024 * 7 * 86_400_000  # GPS counts weeks in ten bits: receivers fall back by this much
_UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS: Final = (datetime(2026, 1, 1, tzinfo=UTC) - _UNIX_EPOCH) // timedelta(milliseconds=1)
"""No true date is before this one: this agent is younger."""

# One standard deviation of a civil single-frequency range, roughly (GPS SPS performance standard, user equivalent range
# error); times the dilution of precision it is an error on the ground. Receivers that know better say so through gpsd.
RANGE_ERROR_MM: Final = 5_000


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer of a receiver. Without a fix it has no place and no time.

    Raises:
        MalformedError: a place without a fix or a fix without a place.
    """

    measured_at_ms: Millis  # the device's clock when the answer began to arrive
    dimension: Annotated[int, Meta(ge=0, le=3)]  # 0: no fix; 2 or 3 dimensions
    lat_udeg: LatitudeUdeg | None = None
    lon_udeg: LongitudeUdeg | None = None
    altitude_mm: _AltitudeMm | None = None  # above mean sea level
    accuracy_mm: Annotated[int, Meta(ge=0, le=1_000_000_000)] | None = None  # on the ground, one standard deviation
    satellites: Annotated[int, Meta(ge=0, le=255)] | None = None  # used in the solution
    hdop_milli: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    time_ms: Millis | None = None  # the receiver's
    clock_offset_ms: int | None = (
        None  # the device's clock minus the receiver's, its sending time (0.1 to 1 s) included
    )
    is_rolled_over: bool = False  # the receiver's date was eras of 1024 weeks too early; time_ms is corrected

    def __post_init__(self) -> None:
        has_place = self.lat_udeg is not None and self.lon_udeg is not None
        if self.dimension not in {0, 2, 3} or has_place != (self.dimension > 0):
            raise MalformedError("a fix has two or three dimensions and a place, or none of them")


@dataclass(frozen=True, slots=True)
class ReceiverTime:
    """A receiver's time after the correction of its era."""

    time_ms: int
    is_rolled_over: bool


def believed_time(told: datetime, *, earliest_ms: int = EARLIEST_MS) -> ReceiverTime | None:
    """Return the time of ``told``, moved on by whole eras of 1024 weeks until it is not before ``earliest_ms``.

    A receiver knows the date modulo 1024 weeks only; what its firmware adds to that goes wrong when it gets old. Since
    no receiver hears anything before this agent was made, an earlier date is that error and nothing else. None where no
    number of eras helps.
    """
    told_ms = (told - _UNIX_EPOCH) // timedelta(milliseconds=1)
    eras = max(0, -((told_ms - earliest_ms) // _ERA_MS))
    time_ms = told_ms + eras * _ERA_MS
    return ReceiverTime(time_ms, eras > 0) if 0 <= time_ms < 2**53 else None


def utc(date: tuple[int, int, int], day_ms: int) -> datetime | None:
    """Return the moment ``day_ms`` after the beginning of a day (year, month, day); None if there is no such day."""
    try:
        return datetime(*date, tzinfo=UTC) + timedelta(milliseconds=day_ms)
    except (ValueError, OverflowError):
        return None
