"""What is physically possible, quantity by quantity, and how long one value may stay exactly the same.

A flatline: the atmosphere is never still, so a working sensor must change by one step of its own resolution within
``step / slowest drift``, where the slowest drift is what the calmest places know (a deep cellar, a closed cupboard). A
probe with steps of 0.01 degC is suspect within the hour, one with whole degrees only after a day. The step is learned:
the smallest change ever seen from that sensor; until it has changed once, a whole day is allowed. At an end of its
scale (no light, no dust, saturated air) a sensor may rest for two days. Never fewer than ten equal readings are
called a flatline, so a sensor that is read twice a day is judged slowly.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from edge.sensors.sensor import SensorError
from protocol.observation import Quantity, Reading, ReadingFlag

_HOUR_S: Final = 3_600.0
_SHORTEST_S: Final = 0.5 * _HOUR_S
_LONGEST_S: Final = 24 * _HOUR_S
_AT_AN_END_S: Final = 48 * _HOUR_S
_READINGS_MIN: Final = 10


@dataclass(frozen=True, slots=True)
class Nature:
    """What is known of one quantity, in the unit of its name."""

    unit: str  # for people
    per_unit: int  # how many of the quantity's own unit make one of ``unit``
    least: int
    most: int
    slowest_drift_per_hour: int
    ends: tuple[int, ...] = ()  # values at which working sensors rest


NATURES: Final = {
    Quantity.TEMPERATURE_MDEGC: Nature("degC", 1_000, -90_000, 150_000, 10),
    Quantity.RELATIVE_HUMIDITY_PPM: Nature("%RH", 10_000, 0, 1_000_000, 500, (0, 1_000_000)),
    Quantity.PRESSURE_PA: Nature("hPa", 100, 30_000, 115_000, 5),  # Everest, and below the Dead Sea
    Quantity.ILLUMINANCE_MLUX: Nature("lux", 1_000, 0, 200_000_000, 100, (0,)),  # the sun gives 130 klx
    Quantity.PM2_5_NG_M3: Nature("ug/m3", 1_000, 0, 10_000_000, 200, (0,)),
    Quantity.PM10_NG_M3: Nature("ug/m3", 1_000, 0, 10_000_000, 200, (0,)),
    Quantity.PM1_NG_M3: Nature("ug/m3", 1_000, 0, 10_000_000, 200, (0,)),
    Quantity.CO2_PPB: Nature("ppm", 1_000, 200_000, 100_000_000, 1_000),
}


def checked(reading: Reading, *, name: str) -> Reading:
    """Return ``reading`` if it is physically possible.

    Raises:
        SensorError: it is not.
    """
    nature = NATURES[reading.quantity]
    if not nature.least <= reading.value <= nature.most:
        raise SensorError(f"{name} says {words_for(reading)}, which cannot be: check its wiring")
    return reading


def words_for(reading: Reading) -> str:
    """Return a reading for people: ``21.437 degC``."""
    nature = NATURES[reading.quantity]
    return f"{reading.value / nature.per_unit:g} {nature.unit}"


@dataclass(slots=True)
class _Line:
    """One quantity of one sensor: its present value and what has been learned."""

    value: int
    since_s: float
    readings: int = 1
    step: int | None = None  # the smallest change seen


class FlatlineWatch:
    """Knows for one sensor how long each of its quantities has not changed. Knows no clock."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._lines: dict[Quantity, _Line] = {}

    def judged(self, reading: Reading, *, at_s: float) -> Reading:
        """Return ``reading``, flagged as stuck if it is a flatline.

        Args:
            reading: the next of this sensor.
            at_s: a monotonic clock's, so that a step of the device's clock makes no flatline.
        """
        line = self._lines.get(reading.quantity)
        if line is None:
            self._lines[reading.quantity] = _Line(reading.value, at_s)
            return reading
        if reading.value != line.value:
            change = abs(reading.value - line.value)
            step = change if line.step is None else min(change, line.step)
            self._lines[reading.quantity] = _Line(reading.value, at_s, step=step)
            return reading
        line.readings += 1
        if line.readings < _READINGS_MIN or at_s - line.since_s < longest_still_s(reading, step=line.step):
            return reading
        return msgspec.structs.replace(reading, flags=reading.flags | ReadingFlag.STUCK)


def longest_still_s(reading: Reading, *, step: int | None) -> float:
    """Return how long a sensor with that resolution may say ``reading``'s value, see the module's words."""
    nature = NATURES[reading.quantity]
    if reading.value in nature.ends:
        return _AT_AN_END_S
    if step is None:
        return _LONGEST_S
    return min(max(step / nature.slowest_drift_per_hour * _HOUR_S, _SHORTEST_S), _LONGEST_S)
