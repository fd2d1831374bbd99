"""The JSON words of gpsd (gpsd_json(5)): TPV is a fix, SKY its quality; the rest is listened to for complaints.

gpsd tells TPV before the SKY of the same moment. A TPV for whose quality no fresh SKY stands waits for one, until the
next TPV at most; so who asks once a minute, too, gets fixes whose quality is known.
"""

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from edge.sensors.fix import EARLIEST_MS, RANGE_ERROR_MM, Fix, believed_time
from edge.sensors.splitting import LineSplitter
from protocol.units import Udeg, UnixMs

WATCH: Final = b'?WATCH={"enable":true,"json":true};\n'
_LINE_MAX_BYTES: Final = 1 << 16  # gpsd's own limit is about 10 KiB, with hundreds of satellites
_SKY_MAX_AGE_MS: Final = 10_000
_Degrees = Annotated[float, Meta(ge=-180, le=180)]
_Metres = Annotated[float, Meta(ge=-20_000, le=20_000)]


class _Tpv(Struct, tag_field="class", tag="TPV"):
    """Time, position, velocity."""

    mode: int = 0
    time: str | None = None
    lat: _Degrees | None = None
    lon: _Degrees | None = None
    alt: _Metres | None = None  # the word of gpsd before 3.20
    altMSL: _Metres | None = None  # noqa: N815  # gpsd's own spelling
    eph: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None


class _Satellite(Struct):
    used: bool = False


class _Sky(Struct, tag_field="class", tag="SKY"):
    """Dilution of precision, satellites."""

    hdop: Annotated[float, Meta(ge=0, le=1_000)] | None = None
    uSat: Annotated[int, Meta(ge=0, le=255)] | None = None  # noqa: N815  # gpsd's own spelling
    satellites: list[_Satellite] | None = None


class _Devices(Struct, tag_field="class", tag="DEVICES"):
    devices: list[msgspec.Raw] = []


class _Trouble(Struct, tag_field="class", tag="ERROR"):
    message: str = ""


class _Any(Struct):
    """What else gpsd says: VERSION, WATCH, DEVICE, PPS, AIS..."""

    kind: str = msgspec.field(name="class", default="")


_WORDS: Final = msgspec.json.Decoder(_Tpv | _Sky | _Devices | _Trouble)
_REST: Final = msgspec.json.Decoder(_Any)
_NO_WORD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # whatever bytes may do to the decoder


class GpsdListener:
    """Makes fixes out of what gpsd sends; see ``edge.sensors.stream.Listener``."""

    def __init__(self, *, earliest_ms: int = EARLIEST_MS) -> None:
        """Begin with nothing heard; ``earliest_ms``: no true date is before it."""
        self._earliest_ms = earliest_ms
        self._lines = LineSplitter(max_bytes=_LINE_MAX_BYTES)
        self._sky = _Sky()
        self._sky_at_ms: int | None = None
        self._waiting: tuple[_Tpv, UnixMs] | None = None
        self._is_gpsd = False
        self._has_receiver: bool | None = None
        self._trouble = ""
        self.refused_lines = 0

    def feed(self, chunk: bytes, *, at_ms: UnixMs) -> list[tuple[Fix, ...]]:
        """Take in bytes; see ``Listener.feed``."""
        fixes: list[tuple[Fix, ...]] = []
        for line in self._lines.feed(chunk):
            word = self._word(line)
            if isinstance(word, _Tpv):
                fixes += self._waiting_fix()
                self._waiting = (word, at_ms)
                fixes += self._waiting_fix() if self._fresh_sky(at_ms) is not None else []
            elif isinstance(word, _Sky):
                self._hear_sky(word, at_ms)
                fixes += self._waiting_fix()
            elif isinstance(word, _Devices):
                self._has_receiver = bool(word.devices)
            elif isinstance(word, _Trouble):
                self._trouble = word.message[:120]
        return fixes

    def pause(self, *, at_ms: UnixMs) -> list[tuple[Fix, ...]]:  # noqa: ARG002  # the seam gives the time
        """Do nothing: gpsd tells whole fixes."""
        return []

    def forget(self) -> None:
        """Drop the half line; that it is a gpsd, and which receivers it has, stays known."""
        self._lines.forget()
        self._trouble, self.refused_lines = "", 0
        self._waiting = None

    def complaint(self) -> str:
        """Say what is wrong; see ``Listener.complaint``."""
        if self._trouble:
            return f"gpsd says {self._trouble!r}"
        if self._has_receiver is False:
            return "gpsd has no receiver: name one in /etc/default/gpsd"
        if self._is_gpsd:
            return "gpsd is there and its receiver is silent: check its wiring and its sky"
        if self.refused_lines or self._lines.dropped_bytes:
            return "what answers there is no gpsd: mend the address"
        return "what answers there says nothing: mend the address"

    def _word(self, line: bytes) -> _Tpv | _Sky | _Devices | _Trouble | None:
        try:
            word: _Tpv | _Sky | _Devices | _Trouble | None = _WORDS.decode(line)
        except _NO_WORD:
            word = None
        if word is None and not self._is_other_word(line):
            self.refused_lines += 1
            return None
        self._is_gpsd = True
        return word

    @staticmethod
    def _is_other_word(line: bytes) -> bool:
        try:
            return _REST.decode(line).kind not in {"", "TPV", "SKY"}
        except _NO_WORD:
            return False

    def _hear_sky(self, word: _Sky, at_ms: UnixMs) -> None:
        # Some receivers make gpsd tell dilution and satellites in two words.
        known = self._fresh_sky(at_ms) or _Sky()
        self._sky = _Sky(
            hdop=known.hdop if word.hdop is None else word.hdop,
            uSat=known.uSat if word.uSat is None else word.uSat,
            satellites=word.satellites or known.satellites,
        )
        self._sky_at_ms = at_ms

    def _fresh_sky(self, at_ms: UnixMs) -> _Sky | None:
        is_fresh = self._sky_at_ms is not None and abs(at_ms - self._sky_at_ms) <= _SKY_MAX_AGE_MS
        return self._sky if is_fresh else None

    def _waiting_fix(self) -> list[tuple[Fix, ...]]:
        if self._waiting is None:
            return []
        (tpv, at_ms), self._waiting = self._waiting, None
        return [(self._fix_of(tpv, at_ms),)]

    def _fix_of(self, tpv: _Tpv, at_ms: UnixMs) -> Fix:
        sky = self._fresh_sky(at_ms) or _Sky()
        satellites = sky.uSat
        if satellites is None and sky.satellites is not None:
            satellites = min(sum(each.used for each in sky.satellites), 255)
        hdop_milli = None if sky.hdop is None else round(sky.hdop * 1_000)
        if tpv.mode not in {2, 3} or tpv.lat is None or tpv.lon is None or not -90 <= tpv.lat <= 90:
            return Fix(measured_at_ms=at_ms, dimension=0, satellites=satellites, hdop_milli=hdop_milli)
        time = _time_of(tpv.time)
        believed = believed_time(time, earliest_ms=self._earliest_ms) if time else None
        altitude_m = tpv.altMSL if tpv.altMSL is not None else tpv.alt
        return Fix(
            measured_at_ms=at_ms,
            dimension=tpv.mode,
            lat_udeg=Udeg(round(tpv.lat * 1_000_000)),
            lon_udeg=Udeg(round(tpv.lon * 1_000_000)),
            altitude_mm=None if altitude_m is None or altitude_m < -1_000 else round(altitude_m * 1_000),
            accuracy_mm=_accuracy_mm(tpv.eph, hdop_milli),
            satellites=satellites,
            hdop_milli=hdop_milli,
            time_ms=UnixMs(believed.time_ms) if believed else None,
            clock_offset_ms=at_ms - believed.time_ms if believed else None,
            is_rolled_over=believed is not None and believed.is_rolled_over,
        )


def _accuracy_mm(eph_m: float | None, hdop_milli: int | None) -> int | None:
    if eph_m is not None:
        return round(eph_m * 1_000)
    return None if hdop_milli is None else hdop_milli * RANGE_ERROR_MM // 1_000


def _time_of(text: str | None) -> datetime | None:
    # A leap second has no name in Python; its fraction falls away with it.
    try:
        time = datetime.fromisoformat((text or "").replace(":60.", ":59.").replace(":60Z", ":59Z"))
    except ValueError:
        return None
    return time if time.tzinfo is not None else None
