"""Numbers that Linux already has: hwmon chips, thermal zones and industrial I/O devices.

Sources: Documentation/ABI/testing sysfs-class-hwmon, sysfs-class-thermal, sysfs-bus-iio. The first two give
thousandths. IIO gives a finished number (``_input``) or a raw one with ``_scale`` and ``_offset``: (raw + offset) x
scale, in the ABI's own unit. Most thermometers measure the board, not the weather: name only a probe that hangs where
people will believe it does (an sht3x, a ds18b20), since what is published is published for ever.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from edge.sensors.quantities import checked
from edge.sensors.sensor import Sensor, SensorAddress, SensorError
from protocol.observation import Quantity, Reading
from protocol.units import UnixMs

SYSFS: Final = Path("/sys")
_FILE_MAX_CHARS: Final = 64
_DIGITS_MAX: Final = 30


@dataclass(frozen=True, slots=True)
class _Channel:
    """What one kind of channel means."""

    quantity: Quantity
    factor: int  # from the ABI's unit to the quantity's
    uncertainty: int  # sysfs does not say: what cheap probes promise
    is_whole: bool = False  # whether the ABI knows whole numbers only


_TEMPERATURE: Final = _Channel(Quantity.TEMPERATURE_MDEGC, 1, 1_000, is_whole=True)
_HWMON: Final = {
    "temp": _TEMPERATURE,
    "humidity": _Channel(Quantity.RELATIVE_HUMIDITY_PPM, 10, 30_000, is_whole=True),
}
_IIO: Final = {
    "temp": _Channel(Quantity.TEMPERATURE_MDEGC, 1, 1_000),  # thousandths of a degree
    "humidityrelative": _Channel(Quantity.RELATIVE_HUMIDITY_PPM, 10, 30_000),  # thousandths of a percent
    "pressure": _Channel(Quantity.PRESSURE_PA, 1_000, 100),  # kilopascals
    "illuminance": _Channel(Quantity.ILLUMINANCE_MLUX, 1_000, 10_000),  # lux
    "concentration_co2": _Channel(Quantity.CO2_PPB, 10_000_000, 50_000),  # percent
}


class SysfsSensor:
    """One number in sysfs. When it is gone it is looked up again: plugging in changes the numbers of devices."""

    def __init__(self, find: Callable[[], Path], channel: _Channel, *, name: str) -> None:
        """Find the sensor.

        Args:
            find: returns the path of its ``_input`` or ``_raw`` file, or raises SensorError.
            channel: what its number means.
            name: the word that opened it.

        Raises:
            SensorError: it is not there.
        """
        self._find = find
        self._channel = channel
        self._name = name
        self._path = find()

    @property
    def name(self) -> str:
        """The word that opened it."""
        return self._name

    def read(self, *, at_ms: UnixMs) -> tuple[Reading, ...]:
        """Return the present value; see ``Sensor.read``."""
        if not self._path.exists():
            self._path = self._find()
        try:
            number = _number(self._path, is_whole=self._channel.is_whole)
            if self._path.name.endswith("_raw"):
                number = (number + self._beside("offset", 0)) * self._beside("scale", 1)
            value = int((number * self._channel.factor).to_integral_value())
        except (OSError, ValueError, InvalidOperation, OverflowError) as error:
            raise SensorError(f"{self._name} cannot be read from {self._path} ({error}): check its wiring") from error
        channel = self._channel
        return (checked(Reading(channel.quantity, at_ms, value, channel.uncertainty), name=self._name),)

    def close(self) -> None:
        """Nothing is open between readings."""

    def _beside(self, attribute: str, default: int) -> Decimal:
        """Return the channel's own ``attribute``, else the one its device has for all channels of that type."""
        channel = self._path.name.removeprefix("in_").removesuffix("_raw")
        for owner in (channel, channel.rstrip("0123456789"), channel.partition("_")[0]):
            path = self._path.with_name(f"in_{owner}_{attribute}")
            if path.is_file():
                return _number(path)
        return Decimal(default)


def open_hwmon(address: SensorAddress | str, *, sysfs: Path = SYSFS) -> Sensor:
    """Return the channel of a hwmon chip, by the chip's name: ``hwmon:CHIP/temp1``, ``hwmon:CHIP/humidity1``.

    Raises:
        SensorError: no such sensor; the message lists those there are.
    """
    return _opened(address, _HWMON, sysfs)


def open_thermal(address: SensorAddress | str, *, sysfs: Path = SYSFS) -> Sensor:
    """Return the thermal zone of a type: ``thermal:TYPE``.

    Raises:
        SensorError: no such zone; the message lists the sensors there are.
    """
    return _opened(address, _HWMON, sysfs)


def open_iio(address: SensorAddress | str, *, sysfs: Path = SYSFS) -> Sensor:
    """Return the channel of an IIO device, by the device's name: ``iio:bme280/pressure``.

    Raises:
        SensorError: no such sensor; the message lists those there are.
    """
    return _opened(address, _IIO, sysfs)


def sensor_names(sysfs: Path = SYSFS) -> tuple[str, ...]:
    """Return the words that name a sensor of this machine."""
    return tuple(sorted(_present(sysfs)))


def _opened(address: SensorAddress | str, channels: dict[str, _Channel], sysfs: Path) -> Sensor:
    where = SensorAddress.parse(address) if isinstance(address, str) else address
    name = str(where)
    kind = "temp" if where.kind == "thermal" else _kind_of(where.rest.rpartition("/")[2])

    def find() -> Path:
        present = _present(sysfs)
        if name not in present:
            raise SensorError(f"this machine has no sensor {name!r}; it has: {', '.join(sorted(present)) or 'none'}")
        return present[name]

    # A channel that cannot be told is found by nobody, and the sentence then lists those that can.
    return SysfsSensor(find, channels.get(kind, _TEMPERATURE), name=name)


def _present(sysfs: Path) -> dict[str, Path]:
    """Return the file behind every name; where two devices share one, the first."""
    found: dict[str, Path] = {}
    for path in sorted(sysfs.glob("class/hwmon/hwmon*/*_input")):
        channel = path.name.removesuffix("_input")
        if _kind_of(channel) in _HWMON:
            found.setdefault(f"hwmon:{_text(path.with_name('name'))}/{channel}", path)
    for path in sorted(sysfs.glob("class/thermal/thermal_zone*/type")):
        if path.with_name("temp").is_file():
            found.setdefault(f"thermal:{_text(path)}", path.with_name("temp"))
    for ending in ("_input", "_raw"):  # a finished number is better than one that is still to be scaled
        for path in sorted(sysfs.glob(f"bus/iio/devices/iio:device*/in_*{ending}")):
            channel = path.name.removeprefix("in_").removesuffix(ending)
            if _kind_of(channel) in _IIO:
                found.setdefault(f"iio:{_text(path.with_name('name'))}/{channel}", path)
    return found


def _kind_of(channel: str) -> str:
    return channel if channel in _IIO else channel.rstrip("0123456789")


def _number(path: Path, *, is_whole: bool = False) -> Decimal:
    with path.open(encoding="ascii") as file:
        number = Decimal(file.read(_FILE_MAX_CHARS).strip())
    # Nothing here is that large, and an int of a million digits takes minutes.
    is_number = number.is_finite() and abs(number.adjusted()) <= _DIGITS_MAX
    if not is_number or (is_whole and number != number.to_integral_value()):
        raise ValueError(f"{str(number)[:20]} is no such number")
    return number


def _text(path: Path) -> str:
    try:
        # A blank in a name could not be written in the settings.
        return "_".join(path.read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return ""
