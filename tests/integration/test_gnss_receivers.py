"""Receivers for real: bytes of a real one through the real gpsd and through serial ports, compared with what they hold.

The log of a walking receiver is in the binary language of its SiRF chip, so gpsd reads it, and what gpsd makes of it in
NMEA is what the serial driver is given. What is right is decoded apart from both, from the log itself.
"""

import math
import re
import socket
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.sensors.fix import Fix
from edge.sensors.gnss import open_gnss, open_gpsd
from edge.sensors.particles import open_pms5003
from edge.sensors.sensor import Sensor, SensorError
from protocol.units import UnixMs
from tests.support.sensor_story import (
    NOW_MS,
    SKY,
    TPV,
    Cable,
    burst,
    gpsd_script,
    json_line,
    pms_frame,
    read_to_the_end,
    real_gpsd,
    sirf_places,
    talking,
)

WALKED_AT_MS = 1_118_327_680_000  # 2005-06-09T14:34:40Z
ERA_MS = 1_024 * 7 * 86_400_000
FIXES_WANTED = 24


def hurried_s() -> float:
    """Return a clock by which the pauses between two tries are short."""
    return time.monotonic() * 20


def leisurely_s() -> float:
    """Return a clock by which a busy machine is not slow."""
    return time.monotonic() / 20


def next_fix(sensor: Sensor) -> Fix:
    (fix,) = sensor.read(at_ms=NOW_MS)
    assert isinstance(fix, Fix)
    return fix


@dataclass(frozen=True)
class Walk:
    """What the real gpsd made of the log."""

    places: list[tuple[float, float]]  # what is right, in degrees
    fixes: list[Fix]  # what our driver of gpsd gave
    nmea: bytes  # what gpsd says in NMEA


@pytest.fixture(scope="module")
def walk(assets: Path) -> Iterator[Walk]:
    log = (assets / "nmea_moving.log").read_bytes()
    records = [record + b"\xb0\xb3" for record in log[log.index(b"\xa0\xa2") :].split(b"\xb0\xb3")]
    with Cable() as cable, talking(cable, records, every_s=0.003), real_gpsd(cable.path) as port:
        sensor = open_gpsd(f"gpsd:127.0.0.1:{port}", monotonic_s=leisurely_s)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as ear:
            ear.sendall(b'?WATCH={"enable":true,"nmea":true};\n')
            fixes: list[Fix] = []
            while len(fixes) < FIXES_WANTED:
                fix = next_fix(sensor)
                fixes += [fix] if fix.dimension else []
            nmea = b""
            while nmea.count(b"RMC") < FIXES_WANTED:
                nmea += ear.recv(65_536)
        sensor.close()
        yield Walk(sirf_places(log), fixes, nmea[: nmea.rindex(b"$")])


def test_what_gpsd_tells_of_a_real_receiver_is_where_it_was(walk: Walk) -> None:
    assert len(walk.places) == 12
    for fix in walk.fixes:
        assert fix.lat_udeg is not None
        assert fix.lon_udeg is not None
        errors_udeg = [max(abs(fix.lat_udeg - lat * 1e6), abs(fix.lon_udeg - lon * 1e6)) for lat, lon in walk.places]
        assert min(errors_udeg) <= 1
        assert fix.dimension in {2, 3}
    assert len({(fix.lat_udeg, fix.lon_udeg) for fix in walk.fixes}) >= 4  # it walked
    assert {fix.satellites for fix in walk.fixes} <= {None, 4, 5}  # the first may come before the first SKY
    assert walk.fixes[-1].satellites in {4, 5}
    best = max(walk.fixes, key=lambda fix: fix.dimension)
    assert 1_300_000 < (best.altitude_mm or 0) < 1_400_000  # Adelboden


def test_a_real_receiver_that_forgot_its_era_is_corrected_and_flagged(walk: Walk) -> None:
    for fix in walk.fixes:
        assert fix.time_ms is not None
        assert (fix.time_ms - WALKED_AT_MS) % ERA_MS < 30_000
        assert fix.time_ms >= WALKED_AT_MS + ERA_MS
        assert fix.is_rolled_over
        assert fix.clock_offset_ms == fix.measured_at_ms - fix.time_ms


def places_by_hand(nmea: bytes) -> list[tuple[int, int]]:
    """Return the places of the GGA sentences, in floats and by splitting."""
    places = []
    for line in re.findall(rb"\$GPGGA,([^*]*)\*", nmea):
        _, lat, north, lon, east, quality, *_ = line.decode().split(",")
        assert (north, east, quality) == ("N", "E", "1")
        degrees = [int(text[:digits]) + float(text[digits:]) / 60 for text, digits in ((lat, 2), (lon, 3))]
        places.append((round(degrees[0] * 1e6), round(degrees[1] * 1e6)))
    return places


def test_nmea_is_read_from_a_serial_port_as_fast_as_it_comes_and_nothing_is_left_out(walk: Walk) -> None:
    spoken = walk.nmea[walk.nmea.index(b"$GPGGA") :]
    expected = places_by_hand(spoken)
    assert len(expected) >= FIXES_WANTED - 1
    with Cable() as cable:
        sensor = open_gnss(f"gnss:{cable.path}", monotonic_s=leisurely_s)
        # One burst of today before and after: the driver is in step when the walk begins, and the test knows its end.
        cable.say(burst())
        writer = threading.Thread(target=cable.say, args=(spoken + burst("235958.00"),))
        writer.start()
        fixes = [next_fix(sensor) for _ in range(len(expected) + 2)]
        writer.join()
        sensor.close()
    assert fixes[0].lat_udeg == fixes[-1].lat_udeg == 52_520_008
    for fix, (lat_udeg, lon_udeg) in zip(fixes[1:-1], expected, strict=True):
        assert fix.lat_udeg is not None
        assert fix.lon_udeg is not None
        assert max(abs(fix.lat_udeg - lat_udeg), abs(fix.lon_udeg - lon_udeg)) <= 1
        nearest_m = min(
            math.hypot(lat - fix.lat_udeg / 1e6, lon - fix.lon_udeg / 1e6) * 111_000 for lat, lon in walk.places
        )
        assert nearest_m < 0.2  # gpsd writes four digits of a minute


def test_a_receiver_that_speaks_another_language_is_recognised_as_one(assets: Path) -> None:
    log = (assets / "nmea_moving.log").read_bytes()
    with Cable() as cable, talking(cable, [log], every_s=0.05):
        sensor = open_gnss(f"gnss:{cable.path}", monotonic_s=hurried_s)
        with pytest.raises(SensorError, match=r"it speaks, but no NMEA: .* or let gpsd read it"):
            sensor.read(at_ms=NOW_MS)
        sensor.close()


def test_a_receiver_may_have_another_speed() -> None:
    for ending, speed in (("", termios.B9600), (":4800", termios.B4800), (":115200", termios.B115200)):
        with Cable() as cable, talking(cable, [burst()]):
            sensor = open_gnss(f"gnss:{cable.path}{ending}", monotonic_s=leisurely_s)
            assert next_fix(sensor).dimension == 3
            assert cable.baud() == speed
            sensor.close()
    with pytest.raises(SensorError, match="write one of 4800, 9600"):
        open_gnss("gnss:/dev/ttyUSB0:1200")


def test_a_port_that_is_unplugged_and_plugged_in_again_is_found_again(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    sensor = open_gnss(f"gnss:{link}", monotonic_s=hurried_s)
    bursts = [burst(f"1200{second:02}.00") for second in range(60)]
    for _ in range(2):
        with Cable() as cable, talking(cable, bursts):
            link.unlink(missing_ok=True)
            link.symlink_to(cable.path)
            fix = None
            while fix is None:
                try:
                    fix = next_fix(sensor)
                except SensorError as error:
                    assert "by-id" in str(error)  # noqa: PT017  # away, and tried again after the pause
            assert fix.lat_udeg == 52_520_008
            cable.unplug()
            with pytest.raises(SensorError, match=r"check that it is plugged in|is away"):
                read_to_the_end(sensor)
    sensor.close()


def test_particles_come_through_wrong_checksums_and_a_cable_that_is_pulled(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    sensor = open_pms5003(f"pms5003:{link}")
    noise = [b"\x42", pms_frame(9, 9, 9, wrong_by=1), pms_frame(9, 9, 9)[:11], pms_frame(1, 2, 3)]
    with Cable() as cable, talking(cable, noise):
        link.symlink_to(cable.path)
        for _ in range(3):
            assert [each.value for each in sensor.read(at_ms=NOW_MS) if not isinstance(each, Fix)] == [
                1_000,
                2_000,
                3_000,
            ]
    with pytest.raises(SensorError, match="pms5003:"):
        read_to_the_end(sensor)
    sensor.close()


def test_a_gpsd_that_hangs_up_is_called_again_and_asked_to_watch_each_time() -> None:
    with gpsd_script([json_line(SKY), json_line(TPV)]) as (port, asked):
        sensor = open_gpsd(f"gpsd:127.0.0.1:{port}", monotonic_s=hurried_s)
        fixes, complaints = 0, []
        while fixes < 2:
            try:
                fixes += next_fix(sensor).dimension == 3
            except SensorError as error:
                complaints.append(str(error))
        sensor.close()
    assert asked[:2] == [b'?WATCH={"enable":true,"json":true};\n'] * 2
    assert any("hung up" in complaint or "gave nothing" in complaint for complaint in complaints)
    with pytest.raises(SensorError, match="start that service"):
        open_gpsd(f"gpsd:127.0.0.1:{port}").read(at_ms=UnixMs(NOW_MS))


@pytest.mark.parametrize("host", ["x..y", "x" * 70])
def test_what_cannot_be_a_host_is_a_sentence(host: str) -> None:
    with pytest.raises(SensorError, match="no name of a host"):
        open_gpsd(f"gpsd:{host}:2947").read(at_ms=NOW_MS)


def test_what_is_no_gpsd_is_said() -> None:
    with gpsd_script([b"220 mail.example ESMTP\r\n"]) as (port, _):
        sensor = open_gpsd(f"gpsd:127.0.0.1:{port}", monotonic_s=hurried_s)
        with pytest.raises(SensorError):
            sensor.read(at_ms=NOW_MS)
        sensor.close()
