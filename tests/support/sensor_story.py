"""What sensors say, written by hand: sentences, frames, a machine's sysfs, a serial cable, a gpsd."""

import json
import math
import os
import shutil
import socket
import struct
import subprocess
import termios
import threading
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from edge.sensors.sensor import Sensor
from protocol.units import UnixMs

NOW_MS = UnixMs(1_796_000_000_000)  # 2026-11-30
SYSFS_FILES = {
    "class/hwmon/hwmon0/name": "nvme\n",
    "class/hwmon/hwmon1/name": "sht3x\n",
    "class/hwmon/hwmon1/temp1_input": "21437\n",
    "class/hwmon/hwmon1/humidity1_input": "48250\n",
    "class/hwmon/hwmon1/in0_input": "3300\n",
    "class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "class/thermal/thermal_zone0/temp": "48312\n",
    "bus/iio/devices/iio:device0/name": "bme280\n",
    "bus/iio/devices/iio:device0/in_temp_input": "21460\n",
    "bus/iio/devices/iio:device0/in_humidityrelative_input": "48976.562\n",
    "bus/iio/devices/iio:device0/in_pressure_input": "100.732\n",
    "bus/iio/devices/iio:device1/name": "hts221\n",
    "bus/iio/devices/iio:device1/in_temp_raw": "-120\n",
    "bus/iio/devices/iio:device1/in_temp_scale": "16.5\n",
    "bus/iio/devices/iio:device1/in_temp_offset": "1400.2\n",
    "bus/iio/devices/iio:device2/name": "tsl2561\n",
    "bus/iio/devices/iio:device2/in_illuminance0_raw": "4000\n",
    "bus/iio/devices/iio:device2/in_illuminance_scale": "0.0315\n",
    "bus/iio/devices/iio:device3/name": "scd30\n",
    "bus/iio/devices/iio:device3/in_concentration_co2_raw": "421\n",
    "bus/iio/devices/iio:device3/in_concentration_co2_scale": "0.0001\n",
}


def lay_sysfs(folder: Path) -> Path:
    """Make a machine with probes, a processor, and chips that measure nothing for us."""
    for name, text in SYSFS_FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def sealed(body: str) -> bytes:
    """Return an NMEA line around ``body``: written apart from the parser, byte by byte."""
    total = 0
    for character in body:
        total ^= ord(character)
    return f"${body}*{total:02X}\r\n".encode()


def sexagesimal(udeg: int, degree_digits: int, sides: str) -> str:
    """Return micro-degrees as ``ddmm.mmmmmm,N``, exactly: 60 micro-minutes make a micro-degree."""
    degrees, rest_udeg = divmod(abs(udeg), 1_000_000)
    minutes, micro = divmod(rest_udeg * 60, 1_000_000)
    return f"{degrees:0{degree_digits}}{minutes:02}.{micro:06},{sides[udeg < 0]}"


def burst(time: str = "120000.00", *, date: str = "301126", lat: int = 52_520_008, lon: int = 13_404_954) -> bytes:
    """Return what a receiver of today says once a second, in the order of a common one."""
    where = f"{sexagesimal(lat, 2, 'NS')},{sexagesimal(lon, 3, 'EW')}"
    return b"".join(
        sealed(body)
        for body in (
            f"GNRMC,{time},A,{where},0.02,,{date},,,A,V",
            "GNVTG,,T,,M,0.020,N,0.037,K,A",
            f"GNGGA,{time},{where},1,11,0.92,34.5,M,43.1,M,,",
            "GNGSA,A,3,02,05,07,13,20,,,,,,,,1.61,0.92,1.32,1",
            "GNGSA,A,3,66,75,,,,,,,,,,,1.61,0.92,1.32,2",
            "GPGSV,1,1,01,02,44,120,38",
        )
    )


def resealed(words: bytes, before: str, after: str) -> bytes:
    """Return the sentences of ``words`` with ``before`` changed into ``after``, their checksums right again."""
    assert before.encode() in words
    return b"".join(sealed(line[1:-3].decode().replace(before, after)) for line in words.split())


def no_fix_burst(time: str = "") -> bytes:
    """Return what it says while it knows nothing."""
    return b"".join(
        sealed(body)
        for body in (f"GNRMC,{time},V,,,,,,,,,,N,V", f"GNGGA,{time},,,,,0,00,99.99,,,,,,", "GNGSA,A,1,,,,,,,,,,,,,,,,1")
    )


def sds011_frame(pm2_5_tenths: int, pm10_tenths: int, *, wrong_by: int = 0) -> bytes:
    """Return a frame of an SDS011."""
    body = struct.pack("<HH", pm2_5_tenths, pm10_tenths) + b"\x1d\xa1"
    return b"\xaa\xc0" + body + bytes([(sum(body) + wrong_by) % 256]) + b"\xab"


def pms_frame(pm1: int, pm2_5: int, pm10: int, *, wrong_by: int = 0, words: int = 13) -> bytes:
    """Return a frame of a PMS5003 (13 words) or PMS3003 (9)."""
    values = [pm1 + 1, pm2_5 + 1, pm10 + 1, pm1, pm2_5, pm10, *([7] * (words - 6))]
    frame = b"\x42\x4d" + struct.pack(f">H{words}H", 2 * words + 2, *values)
    return frame + struct.pack(">H", (sum(frame) + wrong_by) % 65_536)


class Cable:
    """A serial cable: what is written here, a driver reads from ``path``."""

    def __init__(self) -> None:
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        self.path = os.ttyname(self._theirs)
        # No number of a descriptor is used after it is closed: it would be somebody else's.
        self._lock = threading.Lock()
        self._is_plugged = True

    def say(self, words: bytes, *, waits: bool = True) -> None:
        """Write all of ``words``; what finds no room waits for it, or is lost as on a real cable."""
        while words:
            with self._lock:
                if not self._is_plugged:
                    return
                with suppress(BlockingIOError):
                    words = words[os.write(self._ours, words) :]
                    continue
            if not waits:
                return
            threading.Event().wait(0.001)

    def baud(self) -> int:
        """Return the speed that the driver has set, in the terms of termios."""
        speed: int = termios.tcgetattr(self._theirs)[5]
        return speed

    def unplug(self) -> None:
        """Make the port go away."""
        with self._lock:
            if self._is_plugged:
                self._is_plugged = False
                os.close(self._ours)
                os.close(self._theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()


@contextmanager
def talking(cable: Cable, words: Sequence[bytes], *, every_s: float = 0.02) -> Iterator[None]:
    """Say ``words`` over and over, as a sensor does, until the end of the block."""
    stop = threading.Event()

    def talk() -> None:
        while not stop.is_set():
            for word in words:
                cable.say(word, waits=False)
                if stop.wait(every_s):
                    return

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def gpsd_script(lines: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """Serve ``lines`` to whoever has said ?WATCH, then hang up; yield the port and what was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        stop = threading.Event()

        def serve() -> None:
            while not stop.is_set():
                with suppress(TimeoutError, OSError):
                    connection, _ = server.accept()
                    with connection:
                        connection.settimeout(5)
                        connection.sendall(b'{"class":"VERSION","release":"3.25","proto_major":3,"proto_minor":15}\r\n')
                        asked.append(connection.recv(4_096))
                        for line in lines:
                            connection.sendall(line)
                        stop.wait(0.3)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            stop.set()
            thread.join()


TPV = {
    "class": "TPV",
    "device": "/dev/ttyUSB0",
    "mode": 3,
    "time": "2026-11-30T12:00:00.000Z",
    "lat": 52.520008,
    "lon": 13.404954,
    "altMSL": 34.5,
    "eph": 4.2,
}
SKY = {"class": "SKY", "hdop": 0.92, "uSat": 11, "satellites": [{"PRN": 2, "used": True}]}


def json_line(word: object) -> bytes:
    """Return ``word`` as gpsd writes it."""
    return json.dumps(word).encode() + b"\r\n"


def read_to_the_end(sensor: Sensor) -> NoReturn:
    """Read until it fails: what had already arrived when it went away may still be told."""
    while True:
        sensor.read(at_ms=NOW_MS)


def sirf_places(log: bytes) -> list[tuple[float, float]]:
    """Return latitude and longitude in degrees of every measured-navigation record (number 2) of a SiRF log.

    Decoded here from the receiver's own Earth-centred metres, so that what gpsd and the drivers make of the same bytes
    can be compared with something that is neither.
    """
    places = []
    start = 0
    while (start := log.find(b"\xa0\xa2", start)) >= 0:
        (length,) = struct.unpack_from(">H", log, start + 2)
        record = log[start + 4 : start + 4 + length]
        ending = log[start + 4 + length : start + 8 + length]
        if len(ending) == 4 and ending[2:] == b"\xb0\xb3" and sum(record) & 0x7FFF == int.from_bytes(ending[:2], "big"):
            if record[0] == 2:
                places.append(_geodetic(*struct.unpack_from(">iii", record, 1)))
            start += 8 + length
        else:
            start += 2
    return places


def _geodetic(x_m: int, y_m: int, z_m: int) -> tuple[float, float]:
    """WGS 84, by iteration."""
    half_axis_m, flattening = 6_378_137.0, 1 / 298.257223563
    eccentricity2 = flattening * (2 - flattening)
    across_m = math.hypot(x_m, y_m)
    lat = math.atan2(z_m, across_m * (1 - eccentricity2))
    for _ in range(10):
        radius_m = half_axis_m / math.sqrt(1 - eccentricity2 * math.sin(lat) ** 2)
        lat = math.atan2(z_m + eccentricity2 * radius_m * math.sin(lat), across_m)
    return math.degrees(lat), math.degrees(math.atan2(y_m, x_m))


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def real_gpsd(device: str) -> Iterator[int]:
    """Run the real gpsd on ``device``, reading only, on the loopback; yield its port."""
    program = shutil.which("gpsd") or "/usr/sbin/gpsd"
    assert Path(program).is_file(), "gpsd is not installed: run tests/system-packages.sh"
    port = free_port()
    command = [program, "-N", "-n", "-b", "-S", str(port), device]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            for _ in range(100):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                assert running.poll() is None, "gpsd ended at once"
                threading.Event().wait(0.05)
            yield port
        finally:
            running.terminate()
