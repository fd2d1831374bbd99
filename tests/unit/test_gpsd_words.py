"""What gpsd says becomes fixes; what else answers on that port becomes a complaint."""

import pytest

from edge.sensors.fix import Fix
from edge.sensors.gpsd import GpsdListener
from protocol.units import Udeg, UnixMs
from tests.support.sensor_story import NOW_MS, SKY, TPV, json_line

NOON_MS = 1_796_040_000_000


def heard(*words: object, listener: GpsdListener | None = None) -> list[Fix]:
    listener = listener or GpsdListener()
    fixes = listener.feed(b"".join(json_line(word) for word in words), at_ms=NOW_MS)
    assert listener.pause(at_ms=NOW_MS) == []
    return [fix for (fix,) in fixes]


def test_tpv_and_sky_are_a_fix() -> None:
    assert heard(SKY, TPV) == [
        Fix(
            measured_at_ms=NOW_MS,
            dimension=3,
            lat_udeg=Udeg(52_520_008),
            lon_udeg=Udeg(13_404_954),
            altitude_mm=34_500,
            accuracy_mm=4_200,
            satellites=11,
            hdop_milli=920,
            time_ms=UnixMs(NOON_MS),
            clock_offset_ms=NOW_MS - NOON_MS,
        )
    ]


def test_an_old_gpsd_counts_satellites_in_a_list_and_calls_altitude_alt() -> None:
    sky = {"class": "SKY", "hdop": 1.5, "satellites": [{"used": True}, {"used": False}, {"used": True}]}
    tpv = {**TPV, "altMSL": None, "eph": None, "alt": 12.0}
    (fix,) = heard(sky, {key: value for key, value in tpv.items() if value is not None})
    assert (fix.satellites, fix.altitude_mm, fix.accuracy_mm) == (2, 12_000, 7_500)  # 1.5 x 5 m


@pytest.mark.parametrize("changed", [{"mode": 1}, {"mode": 0}, {"mode": 4}, {"lat": None}, {"lat": 90.5}])
def test_without_a_fix_there_is_no_place(changed: dict[str, object]) -> None:
    (fix,) = heard(SKY, {**TPV, **changed})
    assert (fix.dimension, fix.lat_udeg, fix.time_ms, fix.satellites) == (0, None, None, 11)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-11-30T12:00:00", "2026-02-30T12:00:00Z"])
def test_a_time_that_is_none_costs_the_time_and_not_the_place(time: str) -> None:
    (fix,) = heard(SKY, {**TPV, "time": time})
    assert (fix.dimension, fix.time_ms) == (3, None)


def test_eras_and_leap_seconds_are_put_right() -> None:
    (rolled, leap) = heard(
        SKY, {**TPV, "time": "2007-04-16T12:00:00.000Z"}, {**TPV, "time": "2026-12-31T23:59:60.000Z"}
    )
    assert (rolled.time_ms, rolled.is_rolled_over) == (NOON_MS, True)
    assert leap.time_ms is not None


def test_the_quality_of_another_minute_is_forgotten() -> None:
    listener = GpsdListener()
    listener.feed(json_line(SKY), at_ms=NOW_MS)
    later_ms = UnixMs(NOW_MS + 10_001)
    assert listener.feed(json_line(TPV), at_ms=later_ms) == []
    ((fix,),) = listener.feed(json_line(TPV), at_ms=UnixMs(later_ms + 1_000))
    assert (fix.satellites, fix.hdop_milli, fix.measured_at_ms) == (None, None, later_ms)


def test_a_fix_waits_for_its_quality() -> None:
    fix, again = heard(TPV, SKY, TPV)
    assert (fix.satellites, fix.hdop_milli) == (again.satellites, again.hdop_milli) == (11, 920)
    listener = GpsdListener()
    assert listener.feed(json_line(TPV), at_ms=NOW_MS) == []
    ((fix,),) = listener.feed(json_line(SKY), at_ms=UnixMs(NOW_MS + 300))
    assert (fix.satellites, fix.measured_at_ms) == (11, NOW_MS)
    listener = GpsdListener()
    assert heard(TPV, listener=listener) == []
    listener.forget()
    assert heard(SKY, listener=listener) == []


def test_a_quality_in_two_words_is_one() -> None:
    (fix,) = heard({"class": "SKY", "hdop": 0.8}, {"class": "SKY", "satellites": [{"used": True}] * 6}, TPV)
    assert (fix.satellites, fix.hdop_milli) == (6, 800)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (b"", "says nothing"),
        (b"HTTP/1.1 400 Bad Request\r\n", "no gpsd"),
        (b"[" * 60_000 + b"\n", "no gpsd"),
        (b'{"class":"TPV","lat":1e400}\n', "no gpsd"),
        (b'{"class":"TPV","x":' + b"[" * 60_000 + b"\n", "no gpsd"),
        (b"\xff" * 70_000 + b"\n", "no gpsd"),
        (json_line({"class": "VERSION", "release": "3.25"}), "its receiver is silent"),
        (json_line({"class": "DEVICES", "devices": []}), "gpsd has no receiver"),
        (json_line({"class": "ERROR", "message": "Unrecognized request"}), "Unrecognized request"),
    ],
)
def test_what_is_wrong_is_said(words: bytes, complaint: str) -> None:
    listener = GpsdListener()
    assert listener.feed(words, at_ms=NOW_MS) == []
    assert complaint in listener.complaint()
