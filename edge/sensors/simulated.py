"""Made-up sensors for tests and simulations: a day's curve and noise, the same for the same seed.

``simulated:temperature``, ``humidity``, ``pressure``, ``light``, ``pm`` (all three sizes), ``co2``, or ``gnss``, which
stands at a place given in micro-degrees: ``simulated:gnss/52520008/13404954``. Behind the word may stand a name, so
that two of one kind differ: ``simulated:temperature/attic``. What they say is a function of seed, word and time alone.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.sensors.fix import RANGE_ERROR_MM, Fix
from edge.sensors.sensor import Measurement, Sensor, SensorAddress, SensorError
from protocol.observation import Quantity, Reading
from protocol.units import Udeg, UnixMs

_DAY_MS: Final = 86_400_000
_DRIFT_MS: Final = 60_000  # how long a receiver's slow error keeps one direction
_MM_PER_UDEG: Final = 111
_DEFAULT_PLACE_UDEG: Final = (52_520_008, 13_404_954)


@dataclass(frozen=True, slots=True)
class _Curve:
    """A day of one quantity in its own unit: a mean, a swing with its highest point at an hour, and noise."""

    quantity: Quantity
    mean: int
    swing: int
    peak_hour: float
    noise: int
    least: int = 0


_TEMPERATURE: Final = _Curve(Quantity.TEMPERATURE_MDEGC, 14_000, 6_000, 15, 60, -90_000)
_HUMIDITY: Final = _Curve(Quantity.RELATIVE_HUMIDITY_PPM, 650_000, 180_000, 5, 3_000)
_PRESSURE: Final = _Curve(Quantity.PRESSURE_PA, 101_300, 120, 10, 6)
_LIGHT: Final = _Curve(Quantity.ILLUMINANCE_MLUX, 2_000_000, 12_000_000, 12.5, 40_000)  # below nothing is night
_PM1: Final = _Curve(Quantity.PM1_NG_M3, 6_000, 2_500, 8, 500)
_PM2_5: Final = _Curve(Quantity.PM2_5_NG_M3, 11_000, 5_000, 8, 900)
_PM10: Final = _Curve(Quantity.PM10_NG_M3, 19_000, 8_000, 8, 1_500)
_CO2: Final = _Curve(Quantity.CO2_PPB, 450_000, 25_000, 6, 4_000)
_CURVES: Final = {
    "temperature": (_TEMPERATURE,),
    "humidity": (_HUMIDITY,),
    "pressure": (_PRESSURE,),
    "light": (_LIGHT,),
    "pm": (_PM1, _PM2_5, _PM10),
    "co2": (_CO2,),
}


class SimulatedSensor:
    """A made-up sensor; it waits for nothing and never fails."""

    def __init__(self, measure: Callable[[UnixMs], tuple[Measurement, ...]], *, name: str) -> None:
        """Say what ``measure`` returns for the time of asking."""
        self._measure = measure
        self._name = name

    @property
    def name(self) -> str:
        """The word that opened it."""
        return self._name

    def read(self, *, at_ms: UnixMs) -> tuple[Measurement, ...]:
        """Return what it would say at ``at_ms``; see ``Sensor.read``."""
        return self._measure(at_ms)

    def close(self) -> None:
        """There is nothing to let go of."""


def open_simulated(address: SensorAddress | str) -> Sensor:
    """Return the made-up sensor that ``address`` describes; see the module's words.

    Raises:
        SensorError: there is no such kind, or the place is none.
    """
    where = SensorAddress.parse(address) if isinstance(address, str) else address
    kind, _, rest = where.rest.partition("/")
    chance = _Chance(f"{where.seed} {where}")
    if kind == "gnss":
        place = _place(rest) if rest else _DEFAULT_PLACE_UDEG
        return SimulatedSensor(lambda at_ms: (_fix(place, chance, at_ms),), name=str(where))
    if kind not in _CURVES:
        raise SensorError(f"{where} cannot be made up: write simulated: and one of {', '.join(_CURVES)}, gnss")
    curves = _CURVES[kind]
    return SimulatedSensor(lambda at_ms: tuple(_reading(curve, chance, at_ms) for curve in curves), name=str(where))


@dataclass(frozen=True, slots=True)
class _Chance:
    """Chance without state: the same for the same seed, word and moment, on every machine."""

    seed: str

    def bell(self, what: str, moment: int) -> float:
        """Return a number around 0 with a standard deviation of 1, never beyond 4.9."""
        digest = hashlib.sha256(f"{self.seed} {what} {moment}".encode()).digest()
        # The sum of eight even ones: near enough to a bell for noise.
        even = [int.from_bytes(digest[k : k + 4], "big") / 2**32 for k in range(0, 32, 4)]
        return (sum(even) - 4.0) / math.sqrt(8 / 12)

    def drift(self, what: str, at_ms: int) -> float:
        """Return what changes slowly: straight lines between the moments of `bell`, one every minute."""
        moment, part_ms = divmod(at_ms, _DRIFT_MS)
        share = part_ms / _DRIFT_MS
        return self.bell(what, moment) * (1 - share) + self.bell(what, moment + 1) * share


def _reading(curve: _Curve, chance: _Chance, at_ms: UnixMs) -> Reading:
    hours_after_peak = at_ms % _DAY_MS / 3_600_000 - curve.peak_hour
    swing = curve.swing * math.cos(hours_after_peak / 24 * 2 * math.pi)
    name = curve.quantity.name
    noise = curve.noise * (chance.drift(name, at_ms) + chance.bell(f"{name} noise", at_ms) / 2)
    return Reading(curve.quantity, at_ms, max(curve.least, round(curve.mean + swing + noise)), curve.noise)


def _fix(place_udeg: tuple[int, int], chance: _Chance, at_ms: UnixMs) -> Fix:
    """Return a fix with a slow error and a fast one, as a receiver that stands still has them."""
    hdop_milli = round(900 + 150 * abs(chance.drift("hdop", at_ms)))
    error_udeg = hdop_milli * RANGE_ERROR_MM // 1_000 / _MM_PER_UDEG

    def moved(side: str) -> int:
        return round(error_udeg * (chance.drift(side, at_ms) * 0.6 + chance.bell(f"{side} noise", at_ms) * 0.1))

    lat_udeg, lon_udeg = place_udeg
    return Fix(
        measured_at_ms=at_ms,
        dimension=3,
        lat_udeg=Udeg(max(-90_000_000, min(90_000_000, lat_udeg + moved("lat")))),
        lon_udeg=Udeg(max(-180_000_000, min(180_000_000, lon_udeg + moved("lon")))),
        altitude_mm=round(40_000 + 6_000 * chance.drift("alt", at_ms)),
        accuracy_mm=hdop_milli * RANGE_ERROR_MM // 1_000,
        satellites=round(9 + chance.drift("satellites", at_ms)),
        hdop_milli=hdop_milli,
        time_ms=UnixMs(max(0, at_ms - 120)),
        clock_offset_ms=min(at_ms, 120),
    )


def _place(text: str) -> tuple[int, int]:
    try:
        lat_udeg, lon_udeg = (int(part) for part in text.split("/"))
    except ValueError:
        raise SensorError(f"{text!r} is no place: write LAT/LON in micro-degrees, 52520008/13404954") from None
    if abs(lat_udeg) > 90_000_000 or abs(lon_udeg) > 180_000_000:
        raise SensorError(f"{text!r} is not on this earth: write LAT/LON in micro-degrees, 52520008/13404954")
    return lat_udeg, lon_udeg
