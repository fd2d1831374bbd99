"""Particulate matter over a serial port: Nova SDS011 and Plantower PMS5003 and its family, in their active modes.

Sources: Nova "Laser Dust Sensor Control Protocol V1.3"; Plantower "PMS5003 series data manual" V2.5. Both promise an
error of 10 micrograms or a share of the value, whichever is more; half of it is taken for one standard deviation.
"""

import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.sensors.lines import SteadyLine, open_serial
from edge.sensors.quantities import checked
from edge.sensors.sensor import Sensor, SensorAddress, SensorError
from edge.sensors.splitting import FrameSplitter
from edge.sensors.stream import StreamSensor
from protocol.observation import Quantity, Reading
from protocol.units import UnixMs

_BAUD: Final = 9_600
_PATIENCE_S: Final = 5.0  # both speak at least every 2.3 s
_ERROR_MIN_NG: Final = 10_000
_PMS_BODY_BYTES: Final = frozenset({20, 28, 36})  # PMS3003, PMS5003 and 7003, those that measure formaldehyde too
_ValuesNg = Sequence[tuple[Quantity, int]]


class ParticleListener:
    """Makes readings out of frames; see ``edge.sensors.stream.Listener``."""

    def __init__(
        self, splitter: FrameSplitter, values_of: Callable[[bytes], _ValuesNg], *, name: str, error_ppm: int
    ) -> None:
        """Listen with ``splitter``; ``values_of`` reads a whole frame, in nanograms a cubic metre."""
        self._splitter = splitter
        self._values_of = values_of
        self._name = name
        self._error_ppm = error_ppm
        self._impossible = ""

    def feed(self, chunk: bytes, *, at_ms: UnixMs) -> list[tuple[Reading, ...]]:
        """Take in bytes; see ``Listener.feed``."""
        heard = []
        for frame in self._splitter.feed(chunk):
            try:
                heard.append(tuple(self._reading(quantity, ng, at_ms) for quantity, ng in self._values_of(frame)))
            except SensorError as error:
                self._impossible = str(error)
        return heard

    def pause(self, *, at_ms: UnixMs) -> list[tuple[Reading, ...]]:  # noqa: ARG002  # the seam gives the time
        """Do nothing: frames know their length."""
        return []

    def forget(self) -> None:
        """Drop the half frame; see ``Listener.forget``."""
        self._splitter.forget()
        self._impossible = ""

    def complaint(self) -> str:
        """Say what is wrong; see ``Listener.complaint``."""
        if self._impossible:
            return self._impossible
        if self._splitter.refused_frames or self._splitter.skipped_bytes:
            return "it speaks, but not this sensor's language: check which sensor hangs there, and its cable"
        return "it is silent: check its wiring, its power, and that it is in its active mode"

    def _reading(self, quantity: Quantity, ng_m3: int, at_ms: UnixMs) -> Reading:
        uncertainty = max(_ERROR_MIN_NG, ng_m3 * self._error_ppm // 1_000_000) // 2
        return checked(Reading(quantity, at_ms, ng_m3, uncertainty), name=self._name)


def sds011_listener(name: str = "sds011") -> ParticleListener:
    """Return a listener for ``AA C0``, six bytes, their sum, ``AB``: PM2.5 and PM10 in tenths of a microgram."""
    splitter = FrameSplitter(header=b"\xaa\xc0", length_of=lambda _: 10, is_whole=_is_whole_sds011, longest_bytes=10)
    return ParticleListener(splitter, _sds011_values, name=name, error_ppm=150_000)


def pms_listener(name: str = "pms5003") -> ParticleListener:
    """Return a listener for ``42 4D``, a length, words and their sum: PM1, PM2.5 and PM10 in whole micrograms."""
    splitter = FrameSplitter(
        header=b"\x42\x4d", length_of=_pms_length, is_whole=_is_whole_pms, longest_bytes=4 + max(_PMS_BODY_BYTES)
    )
    return ParticleListener(splitter, _pms_values, name=name, error_ppm=100_000)


def open_sds011(address: SensorAddress | str) -> Sensor:
    """Return the SDS011 on a serial port: ``sds011:/dev/ttyUSB1``. Raises: see `open_pms5003`."""
    return _opened(address, sds011_listener)


def open_pms5003(address: SensorAddress | str) -> Sensor:
    """Return the PMS5003 (1003, 3003, 7003, A003) on a serial port: ``pms5003:/dev/ttyAMA0``.

    Raises:
        SensorError: the address names no path. A port that is merely away raises from ``read``.
    """
    return _opened(address, pms_listener)


def _opened(address: SensorAddress | str, listener_for: Callable[[str], ParticleListener]) -> Sensor:
    where = SensorAddress.parse(address) if isinstance(address, str) else address
    name = str(where)
    if not where.rest.startswith("/"):
        raise SensorError(f"{name} names no serial port: write {where.kind}:/dev/ttyUSB0")
    line = SteadyLine(lambda: open_serial(Path(where.rest), baud=_BAUD), name=name, monotonic_s=time.monotonic)
    return StreamSensor(line, listener_for(name), name=name, patience_s=_PATIENCE_S)


def _is_whole_sds011(frame: bytes) -> bool:
    return sum(frame[2:8]) & 0xFF == frame[8] and frame[9] == 0xAB


def _sds011_values(frame: bytes) -> _ValuesNg:
    pm2_5, pm10 = struct.unpack_from("<HH", frame, 2)
    return (Quantity.PM2_5_NG_M3, pm2_5 * 100), (Quantity.PM10_NG_M3, pm10 * 100)


def _pms_length(beginning: bytes) -> int | None:
    if len(beginning) < 4:
        return 0
    body_bytes = int.from_bytes(beginning[2:4], "big")
    return 4 + body_bytes if body_bytes in _PMS_BODY_BYTES else None


def _is_whole_pms(frame: bytes) -> bool:
    return sum(frame[:-2]) & 0xFFFF == int.from_bytes(frame[-2:], "big")


def _pms_values(frame: bytes) -> _ValuesNg:
    # The first three words are for "standard particles", the factory's; these are for the atmosphere.
    pm1, pm2_5, pm10 = struct.unpack_from(">HHH", frame, 10)
    return (
        (Quantity.PM1_NG_M3, pm1 * 1_000),
        (Quantity.PM2_5_NG_M3, pm2_5 * 1_000),
        (Quantity.PM10_NG_M3, pm10 * 1_000),
    )
