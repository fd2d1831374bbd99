"""``sensor``: what this machine can measure, and what one sensor says now."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Final

import msgspec

from edge.commands.words import EXIT_WELL, Verbs, add_command, add_group
from edge.sensing import clock_ms
from edge.sensors.asking import read_once
from edge.sensors.fix import Fix
from edge.sensors.opening import installed_drivers, kind_and_package
from edge.sensors.quantities import words_for
from edge.sensors.sensor import Measurement, SensorAddress
from edge.sensors.sysfs import sensor_names

_SERIAL_PORTS: Final = ("serial/by-id/*", "ttyUSB*", "ttyACM*", "ttyAMA*", "serial[0-9]")


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``sensor`` and its commands."""
    kinds = add_group(verbs, "sensor", says="look after sensors", example="sensor read hwmon:sht3x/temp1")
    add_command(
        kinds,
        common,
        "list",
        sensor_list,
        says="list this machine's sensors and serial ports, and the installed drivers",
        example="sensor list",
    )
    read = add_command(
        kinds,
        common,
        "read",
        sensor_read,
        says="read one sensor once; a JSON object a measurement on stdout",
        example="sensor read gnss:/dev/ttyUSB0",
    )
    read.add_argument("source", metavar="KIND:WHICH", help="as in [sensors] sources of cairn.toml")
    read.add_argument("--seed", type=int, default=0, help="what simulated sensors draw from (default 0)")


def sensor_list(_options: Namespace) -> int:
    """Print what there is: a word a line, what it is behind it."""
    for name in sensor_names():
        print(f"{name}\tsensor")
    for port in serial_ports():
        print(f"{port}\tserial port")
    for driver in installed_drivers():
        kind, package = kind_and_package(driver)
        print(f"{kind}:\tdriver of {package}")
    return EXIT_WELL


def sensor_read(options: Namespace) -> int:
    """Print what one sensor says.

    Raises:
        SensorError: it says nothing.
    """
    address = SensorAddress.parse(options.source, seed=options.seed)
    for measurement in read_once(address, at_ms=clock_ms()):
        print(json.dumps(_told(measurement)))
    return EXIT_WELL


def serial_ports(devices: Path = Path("/dev")) -> tuple[str, ...]:
    """Return the serial ports of this machine; names by id come first, they survive unplugging."""
    return tuple(str(path) for pattern in _SERIAL_PORTS for path in sorted(devices.glob(pattern)))


def _told(measurement: Measurement) -> dict[str, object]:
    if isinstance(measurement, Fix):
        told: dict[str, object] = msgspec.to_builtins(measurement)
        return told
    return {
        "quantity": measurement.quantity.name.lower(),
        "value": measurement.value,
        "uncertainty": measurement.uncertainty,
        "measured_at_ms": measurement.measured_at_ms,
        "says": words_for(measurement),
    }
