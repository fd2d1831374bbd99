"""From a word of the settings to a sensor, through the drivers that are installed: entry points of ``cairn.sensors``.

A driver is a function that takes a `SensorAddress` and returns a `Sensor`; its entry point's name is the kind, the word
before the colon. Cairn's own drivers are found in the same way as anybody else's:

    [project.entry-points."cairn.sensors"]
    geiger = "my_package.geiger:open_counter"
"""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

from edge.errors import EdgeError
from edge.sensors.sensor import ENTRY_POINT_GROUP, Sensor, SensorAddress, SensorError


def installed_drivers() -> tuple[EntryPoint, ...]:
    """Return the drivers of this installation, in the order of their kinds."""
    return tuple(sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda driver: driver.name))


def open_sensor(address: SensorAddress, drivers: Sequence[EntryPoint]) -> Sensor:
    """Return the sensor at ``address``; whatever a foreign driver raises besides SensorError comes through.

    Raises:
        SensorError: no such driver, two of them, or the driver says so.
    """
    chosen = [driver for driver in drivers if driver.name == address.kind]
    if not chosen:
        kinds = ", ".join(dict.fromkeys(driver.name for driver in drivers))
        raise SensorError(
            f"there is no driver for {address}: this installation has {kinds or 'none at all, install it again'}"
        )
    if len({driver.value for driver in chosen}) > 1:
        packages = " and ".join(_package(driver) for driver in chosen)
        raise SensorError(f"{packages} both have a driver for {address.kind!r}: uninstall one of them")
    opened: Sensor = chosen[0].load()(address)
    return opened


def kind_and_package(driver: EntryPoint) -> tuple[str, str]:
    """Return the driver's kind and the distribution that brings it."""
    return driver.name, _package(driver)


def foreign_words(name: str, error: BaseException) -> str:
    """Return one sentence for what a driver raised: its own if it is one of ours, else one that names the driver."""
    if isinstance(error, EdgeError):
        return str(error)
    said = " ".join(str(error).split())[:200] or "nothing"
    return f"the driver of {name} failed with {type(error).__name__} ({said}): report it to whoever wrote the driver"


def _package(driver: EntryPoint) -> str:
    return driver.dist.name if driver.dist is not None else driver.value
