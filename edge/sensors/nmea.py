"""NMEA 0183 from satellite receivers: RMC, GGA, GNS and GSA of one moment become one fix.

Written here and not taken from a library: five sentences in exact integers are less than a wrapper around a parser of a
hundred sentences in floats. A sentence without a correct checksum is not one. All sentences of one moment come in one
burst; the moment is over when another time of day is told or the line falls quiet.
"""

import re
from dataclasses import dataclass, field
from functools import reduce
from typing import Final

from edge.sensors.fix import EARLIEST_MS, RANGE_ERROR_MM, Fix, ReceiverTime, believed_time, utc
from edge.sensors.splitting import LineSplitter
from protocol.units import Udeg, UnixMs

TALKERS: Final = frozenset({"GP", "GN", "GL", "GA", "GB", "BD"})  # GPS, several, GLONASS, Galileo, BeiDou twice
KINDS: Final = frozenset({"RMC", "GGA", "GNS", "GSA"})
_SENTENCE: Final = re.compile(rb"([A-Z0-9]{2})([A-Z0-9]{1,8}),([\x20-\x29\x2b-\x7e]*)\*([0-9A-Fa-f]{2})")
_SENTENCE_MAX_BYTES: Final = 256  # the standard says 82; receivers with many satellites do not always listen
_NUMBER: Final = re.compile(r"(-?)([0-9]{1,9})(?:\.([0-9]{0,12}))?")
_ANGLE: Final = re.compile(r"([0-9]{1,3})([0-9]{2}(?:\.[0-9]{0,12})?)")
_TIME: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2}(?:\.[0-9]{0,9})?)")
_DATE: Final = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{2})")
_MEASURED_QUALITIES: Final = frozenset("12345")  # 6 estimated, 7 typed in, 8 simulated: nobody was there
_MEASURED_MODES: Final = frozenset("ADFPR")  # autonomous, differential, float, precise, real-time kinematic
_HDOP_MAX_MILLI: Final = 1_000_000
_SATELLITES_FOR_3D: Final = 4


@dataclass(frozen=True, slots=True)
class Sentence:
    """One line whose checksum is right."""

    talker: str
    kind: str
    fields: tuple[str, ...]

    def field(self, index: int) -> str:
        """Return a field; empty if the line is shorter."""
        return self.fields[index] if index < len(self.fields) else ""


def parse_sentence(line: bytes) -> Sentence | None:
    """Return the sentence in ``line``, whatever stands before its last ``$``; None if none is whole and correct."""
    body = line.rpartition(b"$")[2].rstrip(b"\r\n ")
    found = _SENTENCE.fullmatch(body)
    if found is None or checksum(body[:-3]) != int(found[4], 16):
        return None
    return Sentence(found[1].decode(), found[2].decode(), tuple(found[3].decode().split(",")))


def checksum(body: bytes) -> int:
    """Return the exclusive or of all bytes between ``$`` and ``*``."""
    return reduce(int.__xor__, body, 0)


def scaled_number(text: str, *, by: int) -> int | None:
    """Return the decimal number in ``text`` times ``by``, rounded half away from zero; None if it is no number."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    digits = found[3] or ""
    magnitude: int = (2 * int(found[2] + digits) * by + 10 ** len(digits)) // (2 * 10 ** len(digits))
    return -magnitude if found[1] else magnitude


def angle_udeg(text: str, side: str, *, sides: str, most_udeg: int) -> int | None:
    """Return ``ddmm.mmmm`` on one of two ``sides`` (the second negative) in micro-degrees; None if it is no angle."""
    found = _ANGLE.fullmatch(text)
    if found is None or len(side) != 1 or side not in sides:
        return None
    minutes_pico = scaled_number(found[2], by=10**12)
    if minutes_pico is None or minutes_pico >= 60 * 10**12:
        return None
    udeg = int(found[1]) * 1_000_000 + (minutes_pico + 30 * 10**6) // (60 * 10**6)
    if udeg > most_udeg:
        return None
    return -udeg if side == sides[1] else udeg


@dataclass(slots=True)
class _Moment:
    """What has been told of one moment so far."""

    time_of_day: str
    began_ms: UnixMs
    told: set[tuple[str, str]] = field(default_factory=set)  # talkers and kinds: the next moment begins with a second
    verdicts: list[bool] = field(default_factory=list)  # has each sentence a measured fix?
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    date: tuple[int, int, int] | None = None
    altitude_mm: int | None = None
    satellites: int | None = None
    hdop_milli: int | None = None

    def is_over_with(self, sentence: Sentence) -> bool:
        """Whether ``sentence`` belongs to another moment."""
        is_another_time = _day_ms(sentence.field(0)) != _day_ms(self.time_of_day)
        return is_another_time or (sentence.talker, sentence.kind) in self.told


class NmeaListener:
    """Makes fixes out of bytes; see ``edge.sensors.stream.Listener``."""

    def __init__(self, *, earliest_ms: int = EARLIEST_MS) -> None:
        """Begin with nothing heard; ``earliest_ms``: no true date is before it."""
        self._earliest_ms = earliest_ms
        self._lines = LineSplitter(max_bytes=_SENTENCE_MAX_BYTES)
        self._moment: _Moment | None = None
        self._last: _Moment | None = None
        self._gsa_dimension: int | None = None  # GSA has no time: it belongs to the burst it stands in
        self._gsa_hdop: str = ""
        self._is_in_step = False  # whether the present moment has been heard from its beginning
        self.sentences = 0
        self.refused_lines = 0

    def feed(self, chunk: bytes, *, at_ms: UnixMs) -> list[tuple[Fix, ...]]:
        """Take in bytes; see ``Listener.feed``."""
        fixes: list[tuple[Fix, ...]] = []
        for line in self._lines.feed(chunk):
            sentence = parse_sentence(line)
            if sentence is None:
                self.refused_lines += 1
                continue
            self.sentences += 1
            if sentence.talker in TALKERS and sentence.kind in KINDS:
                fixes += self._hear(sentence, at_ms)
        return fixes

    def pause(self, *, at_ms: UnixMs) -> list[tuple[Fix, ...]]:  # noqa: ARG002  # the seam gives the time
        """End the moment; see ``Listener.pause``."""
        fixes = self._end_moment()
        self._is_in_step = True
        return fixes

    def forget(self) -> None:
        """Drop what is half heard; see ``Listener.forget``."""
        self._lines.forget()
        self.sentences = self.refused_lines = 0
        self._drop_moment()
        self._last = None
        self._is_in_step = False

    def complaint(self) -> str:
        """Say what is wrong; see ``Listener.complaint``."""
        if self.sentences:
            return "it speaks NMEA and tells no position: switch its RMC and GGA sentences on"
        if self.refused_lines or self._lines.dropped_bytes or self._lines.has_half:
            return (
                "it speaks, but no NMEA: write its speed behind its path (gnss:/dev/ttyUSB0:38400), set it to NMEA, "
                "or let gpsd read it (gpsd:127.0.0.1:2947)"
            )
        return "it is silent: check its wiring and its power"

    def _hear(self, sentence: Sentence, at_ms: UnixMs) -> list[tuple[Fix, ...]]:
        if sentence.kind == "GSA":
            self._hear_gsa(sentence)
            return []
        voice = (sentence.talker, sentence.kind)
        fixes = []
        if self._moment is not None and self._moment.is_over_with(sentence):
            fixes = self._end_moment()
            self._is_in_step = True
        if self._moment is None:
            if self._last is not None and not self._last.is_over_with(sentence):
                self._last.told.add(voice)  # the rest of a moment that has been told already
                return fixes
            self._moment = _Moment(sentence.field(0), at_ms)
        self._moment.told.add(voice)
        _TOLD[sentence.kind](self._moment, sentence)
        return fixes

    def _hear_gsa(self, sentence: Sentence) -> None:
        self._gsa_dimension = {"1": 0, "2": 2, "3": 3}.get(sentence.field(1))
        self._gsa_hdop = sentence.field(15)

    def _drop_moment(self) -> None:
        self._moment, self._gsa_dimension, self._gsa_hdop = None, None, ""

    def _end_moment(self) -> list[tuple[Fix, ...]]:
        moment, dimension, hdop = self._moment, self._gsa_dimension, self._gsa_hdop
        self._drop_moment()
        if moment is None or not (self._is_in_step or len(moment.verdicts) > 1):
            return []
        self._last = moment
        if moment.hdop_milli is None:
            moment.hdop_milli = _bounded(scaled_number(hdop, by=1_000), _HDOP_MAX_MILLI)
        return [(_fix_of(moment, dimension, earliest_ms=self._earliest_ms),)]


def _tell_rmc(moment: _Moment, sentence: Sentence) -> None:
    mode = sentence.field(11)
    moment.verdicts.append(sentence.field(1) == "A" and (not mode or mode in _MEASURED_MODES))
    _tell_place(moment, sentence, 2)
    found = _DATE.fullmatch(sentence.field(8))
    if found:
        day, month, year = (int(part) for part in found.groups())
        # Two digits: 80 to 99 can only be a receiver that counts from the beginning of GPS.
        moment.date = (year + (1_900 if year >= 80 else 2_000), month, day)


def _tell_gga(moment: _Moment, sentence: Sentence) -> None:
    moment.verdicts.append(sentence.field(5) in _MEASURED_QUALITIES)
    _tell_solution(moment, sentence)


def _tell_gns(moment: _Moment, sentence: Sentence) -> None:
    if not sentence.field(5):
        return  # the share of one constellation; the common solution is told by talker GN
    moment.verdicts.append(bool(set(sentence.field(5)) & _MEASURED_MODES))
    _tell_solution(moment, sentence)


def _tell_solution(moment: _Moment, sentence: Sentence) -> None:
    _tell_place(moment, sentence, 1)
    moment.satellites = _bounded(scaled_number(sentence.field(6), by=1), 255)
    moment.hdop_milli = _bounded(scaled_number(sentence.field(7), by=1_000), _HDOP_MAX_MILLI)
    altitude_mm = scaled_number(sentence.field(8), by=1_000)
    if altitude_mm is not None and -1_000_000 <= altitude_mm <= 20_000_000:
        moment.altitude_mm = altitude_mm


_TOLD: Final = {"RMC": _tell_rmc, "GGA": _tell_gga, "GNS": _tell_gns}


def _tell_place(moment: _Moment, sentence: Sentence, first: int) -> None:
    lat = angle_udeg(sentence.field(first), sentence.field(first + 1), sides="NS", most_udeg=90_000_000)
    lon = angle_udeg(sentence.field(first + 2), sentence.field(first + 3), sides="EW", most_udeg=180_000_000)
    # 0 N 0 E exactly is what some firmware says instead of nothing.
    if lat is not None and lon is not None and (lat, lon) != (0, 0):
        moment.places[sentence.kind] = (lat, lon)


def _fix_of(moment: _Moment, gsa_dimension: int | None, *, earliest_ms: int) -> Fix:
    place = next((moment.places[kind] for kind in ("GGA", "GNS", "RMC") if kind in moment.places), None)
    if place is None or not all(moment.verdicts) or gsa_dimension == 0:
        return Fix(
            measured_at_ms=moment.began_ms, dimension=0, satellites=moment.satellites, hdop_milli=moment.hdop_milli
        )
    time = _time_of(moment, earliest_ms)
    hdop_milli = moment.hdop_milli
    return Fix(
        measured_at_ms=moment.began_ms,
        dimension=gsa_dimension or _guessed_dimension(moment),
        lat_udeg=Udeg(place[0]),
        lon_udeg=Udeg(place[1]),
        altitude_mm=moment.altitude_mm,
        accuracy_mm=None if hdop_milli is None else hdop_milli * RANGE_ERROR_MM // 1_000,
        satellites=moment.satellites,
        hdop_milli=hdop_milli,
        time_ms=UnixMs(time.time_ms) if time else None,
        clock_offset_ms=moment.began_ms - time.time_ms if time else None,
        is_rolled_over=time is not None and time.is_rolled_over,
    )


def _guessed_dimension(moment: _Moment) -> int:
    """Return the dimension of a receiver that sends no GSA."""
    return 3 if moment.altitude_mm is not None and (moment.satellites or 0) >= _SATELLITES_FOR_3D else 2


def _time_of(moment: _Moment, earliest_ms: int) -> ReceiverTime | None:
    day_ms = _day_ms(moment.time_of_day)
    if day_ms is None or moment.date is None:
        return None
    told = utc(moment.date, day_ms)
    return None if told is None else believed_time(told, earliest_ms=earliest_ms)


def _day_ms(time_of_day: str) -> int | None:
    """Return ``hhmmss.sss`` in milliseconds; second 60 is a leap second and belongs to the next minute."""
    found = _TIME.fullmatch(time_of_day)
    if found is None:
        return None
    hour, minute, second_ms = int(found[1]), int(found[2]), scaled_number(found[3], by=1_000)
    if second_ms is None or not (hour < 24 and minute < 60 and second_ms < 61_000):
        return None
    return (hour * 60 + minute) * 60_000 + second_ms


def _bounded(number: int | None, most: int) -> int | None:
    return number if number is not None and 0 <= number <= most else None
