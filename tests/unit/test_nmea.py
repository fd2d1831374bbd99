"""NMEA: only whole sentences count, a moment is told once, and no fix is no place."""

import pytest

from edge.sensors.fix import EARLIEST_MS, Fix
from edge.sensors.nmea import NmeaListener, angle_udeg, parse_sentence, scaled_number
from protocol.units import UnixMs
from tests.support.sensor_story import NOW_MS, burst, no_fix_burst, resealed, sealed

NOON_MS = 1_796_040_000_000  # 2026-11-30T12:00:00Z
DAYS_1024_WEEKS = 7_168
LATER_MS = UnixMs(NOW_MS + 1_000)


def heard(*bursts: bytes, listener: NmeaListener | None = None, is_fresh: bool = True) -> list[Fix]:
    """Return the fixes of bursts that come a second apart, with the pause between them that receivers make."""
    listener = listener or NmeaListener()
    fixes = []
    if is_fresh:
        listener.pause(at_ms=NOW_MS)
    for second, words in enumerate(bursts):
        at_ms = UnixMs(NOW_MS + second * 1_000)
        for (fix,) in [*listener.feed(words, at_ms=at_ms), *listener.pause(at_ms=at_ms)]:
            fixes.append(fix)
    return fixes


def test_a_burst_is_one_fix_in_exact_units() -> None:
    (fix,) = heard(burst())
    assert fix == Fix(
        measured_at_ms=NOW_MS,
        dimension=3,
        lat_udeg=fix.lat_udeg,
        lon_udeg=fix.lon_udeg,
        altitude_mm=34_500,
        accuracy_mm=4_600,  # 0.92 x 5 m
        satellites=11,
        hdop_milli=920,
        time_ms=fix.time_ms,
        clock_offset_ms=NOW_MS - NOON_MS,
    )
    assert (fix.lat_udeg, fix.lon_udeg, fix.time_ms) == (52_520_008, 13_404_954, NOON_MS)


@pytest.mark.parametrize("talker", ["GP", "GN", "GL", "GA", "GB", "BD"])
def test_every_constellation_may_talk(talker: str) -> None:
    bodies = (
        f"{talker}GGA,120000,5231.2005,N,01324.2972,E,2,05,1.5,30.0,M,,M,,",
        f"{talker}GSA,A,2,1,2,3,,,,,,,,,,2.0,1.5,1.0",
        f"{talker}RMC,120000,A,5231.2005,N,01324.2972,E,0.0,0.0,301126,,,A",
    )
    (fix,) = heard(b"".join(sealed(body) for body in bodies))
    assert (fix.dimension, fix.lat_udeg, fix.lon_udeg, fix.satellites) == (2, 52_520_008, 13_404_953, 5)


def test_strangers_are_not_listened_to() -> None:
    assert heard(resealed(burst(), "GN", "II")) == []


def test_gns_is_as_good_as_gga_and_the_shares_of_constellations_do_no_harm() -> None:
    bodies = (
        "GNGNS,120000.00,5231.2005,N,01324.2972,E,AAN,14,0.80,40.1,43.0,,,V",
        "GPGNS,120000.00,,,,,,08,,,,,",
        "GLGNS,120000.00,,,,,,06,,,,,",
        "GNRMC,120000.00,A,5231.2005,N,01324.2972,E,0.0,,301126,,,A",
    )
    (fix,) = heard(b"".join(sealed(body) for body in bodies))
    assert (fix.dimension, fix.satellites, fix.hdop_milli, fix.altitude_mm) == (3, 14, 800, 40_100)


def test_a_receiver_that_tells_rmc_only_has_two_dimensions_and_no_accuracy() -> None:
    (fix,) = heard(sealed("GPRMC,120000,A,5231.2005,N,01324.2972,W,0.0,0.0,301126,,"))
    assert (fix.dimension, fix.lon_udeg, fix.accuracy_mm, fix.time_ms) == (2, -13_404_953, None, NOON_MS)


def test_the_next_moment_ends_the_last_even_without_a_pause() -> None:
    listener = NmeaListener()
    words = b"".join(burst(f"12000{second}.00", lat=52_000_000 + second) for second in range(5))
    fixes = [fix for (fix,) in listener.feed(words, at_ms=NOW_MS)]
    fixes += [fix for (fix,) in listener.pause(at_ms=NOW_MS)]
    assert [fix.lat_udeg for fix in fixes] == [52_000_000 + second for second in range(5)]


def test_a_moment_that_a_pause_broke_in_two_is_told_once() -> None:
    lines = burst().splitlines(keepends=True)
    assert len(heard(b"".join(lines[:3]), b"".join(lines[3:]), lines[2])) == 1 + 1  # the last: GGA a second time


def test_a_receiver_that_is_heard_from_the_middle_of_a_burst_is_not_believed_about_it() -> None:
    gga_only = burst().split(b"\r\n", 2)[2]
    fixes = heard(gga_only, burst("120001.00"), is_fresh=False)
    assert [fix.time_ms for fix in fixes] == [NOON_MS + 1_000]


def test_a_cold_start_is_no_fix_for_minutes_and_then_a_fix() -> None:
    silent = [no_fix_burst() for _ in range(120)]
    knows_time = [no_fix_burst(f"1158{second:02}.00") for second in range(60)]
    fixes = heard(*silent, *knows_time, burst())
    assert [fix.dimension for fix in fixes] == [0] * 180 + [3]
    assert all(fix.lat_udeg is None and fix.time_ms is None for fix in fixes[:-1])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (",A,5231", ",V,5231"),  # RMC says void
        (",,,A,V", ",,,E,V"),  # estimated, not measured
        (",1,11,0.92", ",0,11,0.92"),  # GGA says no fix
        (",1,11,0.92", ",8,11,0.92"),  # simulated by the receiver itself
        ("GSA,A,3", "GSA,A,1"),
    ],
)
def test_one_sentence_that_has_no_fix_is_enough(before: str, after: str) -> None:
    (fix,) = heard(resealed(burst(), before, after))
    assert (fix.dimension, fix.lat_udeg, fix.time_ms) == (0, None, None)


def test_exactly_nothing_north_and_nothing_east_is_no_place() -> None:
    (fix,) = heard(burst(lat=0, lon=0))
    assert fix.dimension == 0
    (fix,) = heard(burst(lat=0, lon=1))
    assert fix.dimension == 3


def test_a_receiver_that_fell_back_by_1024_weeks_is_corrected_and_flagged() -> None:
    (fix,) = heard(burst(date="160407"))  # 2007-04-16 and 7168 days are 2026-11-30
    assert (fix.time_ms, fix.is_rolled_over) == (NOON_MS, True)
    assert fix.clock_offset_ms == NOW_MS - NOON_MS
    (twice,) = heard(burst(date="310887"))  # two eras
    assert (twice.time_ms, twice.is_rolled_over) == (NOON_MS, True)
    (right,) = heard(burst(date="010126", time="000000.00"))
    assert (right.time_ms, right.is_rolled_over) == (EARLIEST_MS, False)


def test_a_leap_second_is_the_beginning_of_the_next_minute() -> None:
    (fix,) = heard(burst("235960.50", date="311226"))
    (next_second,) = heard(burst("000000.50", date="010127"))
    assert fix.time_ms == next_second.time_ms
    (no_second,) = heard(burst("235961.00"))
    assert no_second.time_ms is None


@pytest.mark.parametrize("date", ["310226", "000000", "3112", "99", ""])
def test_a_date_that_is_none_costs_the_time_and_not_the_place(date: str) -> None:
    (fix,) = heard(burst(date=date))
    assert (fix.dimension, fix.time_ms, fix.clock_offset_ms) == (3, None, None)


def test_a_wrong_checksum_costs_its_sentence() -> None:
    listener = NmeaListener()
    broken = burst().replace(b"5231", b"5232")  # both places moved, no checksum mended
    assert heard(broken, burst("120001.00"), listener=listener)[-1].lat_udeg == 52_520_008
    assert listener.refused_lines == 2
    assert [fix.dimension for fix in heard(broken)] == []


def test_half_lines_garbage_and_endless_lines_do_no_harm() -> None:
    listener = NmeaListener()
    (fix,) = heard(
        b"\x00\xff$GNRMC,120" + burst()[:30] + burst().replace(b"$GNGGA", b"\xfe\xfd$GNGGA") + b"$GNR",
        listener=listener,
    )
    assert fix.dimension == 3
    for _ in range(100):
        listener.feed(b"\xa5" * 10_000, at_ms=LATER_MS)
    assert listener._lines.dropped_bytes >= 990_000
    assert len(listener._lines._half) <= 256
    assert [each.time_ms for each in heard(b"\r\n" + burst("120009.00"), listener=listener)] == [NOON_MS + 9_000]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (b"", "it is silent"),
        (b"\xa0\xa2\x00\x29\x02\x00\x42\x8a" * 99, "no NMEA"),
        (sealed("GPGSV,1,1,01,02,44,120,38"), "RMC and GGA"),
    ],
)
def test_what_is_wrong_is_said(words: bytes, complaint: str) -> None:
    listener = NmeaListener()
    assert heard(words, listener=listener) == []
    assert complaint in listener.complaint()
    listener.forget()
    assert "it is silent" in listener.complaint()


@pytest.mark.parametrize(
    "line",
    [
        b"$GPGGA,1*00",
        b"$GPGGA,1",
        b"GPGGA,1*7B",
        b"$gpgga,1*7B",
        b"$GPGGA,\xff*00",
        b"$*00",
        b"$GPGGA,1*7",
        b"$GPGGA,1*7BB",
        b"",
    ],
)
def test_what_is_no_whole_sentence_is_none(line: bytes) -> None:
    assert parse_sentence(line) is None


@pytest.mark.parametrize(
    ("text", "side", "udeg"),
    [
        ("5231.2005", "N", 52_520_008),
        ("5231.2005", "S", -52_520_008),
        ("0000.0000", "N", 0),
        ("9000.0000", "N", 90_000_000),
        ("9000.0001", "N", None),
        ("8960.0000", "N", None),
        ("5231", "N", 52_516_667),
        ("5231.2005", "X", None),
        ("5231.2005", "", None),
        ("31.2005", "N", None),
        ("-5231.2005", "N", None),
        ("5231,2005", "N", None),
    ],
)
def test_angles_are_exact_or_none(text: str, side: str, udeg: int | None) -> None:
    assert angle_udeg(text, side, sides="NS", most_udeg=90_000_000) == udeg


@pytest.mark.parametrize(
    ("text", "thousandths"),
    [("0.92", 920), ("-3.0005", -3_001), ("7.", 7_000), ("", None), (".5", None), ("1e3", None), ("1.2.3", None)],
)
def test_numbers_are_exact_or_none(text: str, thousandths: int | None) -> None:
    assert scaled_number(text, by=1_000) == thousandths
