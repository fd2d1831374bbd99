"""Temperatures that Linux already knows: hwmon chips and thermal zones (Documentation/ABI sysfs-class-hwmon, -thermal).

Both give thousandths of a degree Celsius. Most of them measure the board, not the weather: name only a probe that
hangs where people will believe it does (an sht3x, a ds18b20), since what is published is published for ever.
"""

from pathlib import Path
from typing import Final

from edge.sensors.sensor import Sensor, SensorError
from protocol.observation import Quantity, Reading
from protocol.units import UnixMs

SYSFS_CLASSES: Final = Path("/sys/class")
_RANGE_MDEGC: Final = range(-90_000, 150_001)
_UNCERTAINTY_MDEGC: Final = 1_000  # sysfs does not say; a degree is what cheap probes promise


class SysfsTemperature:
    """One file of sysfs that holds thousandths of a degree."""

    def __init__(self, path: Path, *, name: str) -> None:
        """Read from ``path``; nothing is opened yet."""
        self._path = path
        self._name = name

    @property
    def name(self) -> str:
        """The word that opened it."""
        return self._name

    def read(self, *, at_ms: UnixMs) -> Reading:
        """Return the temperature; see ``Sensor.read``."""
        try:
            mdegc = int(self._path.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise SensorError(f"{self._name} cannot be read from {self._path} ({error}): check its wiring") from error
        if mdegc not in _RANGE_MDEGC:
            raise SensorError(f"{self._name} says {mdegc} thousandths of a degree Celsius: check its wiring")
        return Reading(
            quantity=Quantity.TEMPERATURE_MDEGC, measured_at_ms=at_ms, value=mdegc, uncertainty=_UNCERTAINTY_MDEGC
        )


def open_sensor(source: str, *, classes: Path = SYSFS_CLASSES) -> Sensor:
    """Find the sensor that ``source`` names: ``hwmon:CHIP/temp1`` or ``thermal:TYPE``.

    Args:
        source: the chip's or zone's name as the kernel gives it, which survives a reboot (numbers do not).
        classes: where sysfs keeps its classes.

    Raises:
        SensorError: no such sensor; the message lists those there are.
    """
    kind, _, rest = source.partition(":")
    if kind == "hwmon":
        chip, _, channel = rest.partition("/")
        found = [path.parent / f"{channel}_input" for path in _named(classes, "hwmon/hwmon*/name", chip)]
    elif kind == "thermal":
        found = [path.parent / "temp" for path in _named(classes, "thermal/thermal_zone*/type", rest)]
    else:
        raise SensorError(f"{source!r} is no sensor: write hwmon:CHIP/temp1 or thermal:TYPE")
    present = [path for path in found if path.is_file()]
    if not present:
        known = ", ".join(sensor_names(classes)) or "none"
        raise SensorError(f"this machine has no sensor {source!r}; it has: {known}")
    return SysfsTemperature(present[0], name=source)


def sensor_names(classes: Path = SYSFS_CLASSES) -> tuple[str, ...]:
    """Return the words that `open_sensor` would accept on this machine."""
    chips = [
        f"hwmon:{_text(path.parent / 'name')}/{path.name.removesuffix('_input')}"
        for path in classes.glob("hwmon/hwmon*/temp*_input")
    ]
    zones = [f"thermal:{_text(path)}" for path in classes.glob("thermal/thermal_zone*/type")]
    return tuple(sorted({*chips, *zones}))


def _named(classes: Path, pattern: str, name: str) -> list[Path]:
    return [path for path in sorted(classes.glob(pattern)) if _text(path) == name]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
