"""Satellite receivers: NMEA on a serial port (``gnss:``), or whatever gpsd has (``gpsd:``)."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.sensors.gpsd import WATCH, GpsdListener
from edge.sensors.lines import SteadyLine, open_serial, open_tcp
from edge.sensors.nmea import NmeaListener
from edge.sensors.sensor import Sensor, SensorAddress, SensorError
from edge.sensors.stream import StreamSensor

_BAUD: Final = 9_600  # what most NMEA receivers are born with; gpsd finds out others by itself
_BAUDS: Final = frozenset({4_800, 9_600, 19_200, 38_400, 57_600, 115_200, 230_400})
_PATIENCE_S: Final = 3.0
_GPSD_PORT: Final = 2_947


def open_gnss(
    address: SensorAddress | str,
    *,
    listener: NmeaListener | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Sensor:
    """Return the receiver on a serial port that speaks NMEA: ``gnss:/dev/ttyUSB0``, ``gnss:/dev/ttyUSB0:38400``.

    Raises:
        SensorError: the address names no path or no speed. A port that is merely away raises from ``read``.
    """
    where = _parsed(address)
    path, baud = _path_and_baud(where)
    name = str(where)
    line = SteadyLine(lambda: open_serial(path, baud=baud), name=name, monotonic_s=monotonic_s)
    return StreamSensor(line, listener or NmeaListener(), name=name, patience_s=_PATIENCE_S, monotonic_s=monotonic_s)


def open_gpsd(
    address: SensorAddress | str,
    *,
    listener: GpsdListener | None = None,
    monotonic_s: Callable[[], float] = time.monotonic,
) -> Sensor:
    """Return what a gpsd tells: ``gpsd:127.0.0.1:2947``, ``gpsd:`` for the one of this machine.

    Raises:
        SensorError: the address is none. A gpsd that is merely away raises from ``read``.
    """
    where = _parsed(address)
    host, port = _host_and_port(where)
    line = SteadyLine(lambda: open_tcp(host, port, greeting=WATCH), name=str(where), monotonic_s=monotonic_s)
    return StreamSensor(
        line, listener or GpsdListener(), name=str(where), patience_s=_PATIENCE_S, monotonic_s=monotonic_s
    )


def _parsed(address: SensorAddress | str) -> SensorAddress:
    return SensorAddress.parse(address) if isinstance(address, str) else address


def _path_and_baud(where: SensorAddress) -> tuple[Path, int]:
    path, colon, digits = where.rest.rpartition(":")
    if not (colon and digits.isascii() and digits.isdigit()):  # names of /dev/serial/by-path have colons of their own
        path, digits = where.rest, str(_BAUD)
    if not path.startswith("/"):
        raise SensorError(f"{where} names no serial port: write gnss:/dev/ttyUSB0, or a path of /dev/serial/by-id")
    known = {str(baud): baud for baud in sorted(_BAUDS)}
    if digits not in known:
        raise SensorError(f"{where} names no speed that a receiver has: write one of {', '.join(known)}")
    return Path(path), known[digits]


def _host_and_port(where: SensorAddress) -> tuple[str, int]:
    host, colon, digits = where.rest.rpartition(":")
    if not colon:
        host, digits = digits, str(_GPSD_PORT)
    if not (digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) < 65_536):
        raise SensorError(f"{where} has no port: write gpsd:127.0.0.1:{_GPSD_PORT}")
    return host.strip("[]") or "127.0.0.1", int(digits)
