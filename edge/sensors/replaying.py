"""A receiver's log through the parser and the rules, offline: which fixes, which of them good, what would be told."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.sensors.fix import Fix
from edge.sensors.nmea import NmeaListener
from edge.sensors.sensor import SensorError
from edge.sensors.whereabouts import PlaceRules, is_good
from protocol.units import UnixMs

_LOG_MAX_BYTES: Final = 1 << 30
_CHUNK_BYTES: Final = 65_536


def replay_nmea(log: Path, rules: PlaceRules | None) -> dict[str, object]:
    """Return what a log of NMEA sentences holds, as plain values for JSON.

    Args:
        log: the bytes as the receiver sent them.
        rules: the device's, for which of the fixes are good enough to be told; None: none are known.

    Raises:
        SensorError: it cannot be read, or there is no sentence in it.
    """
    fixes = list(_fixes_of(log))
    if not fixes:
        raise SensorError(f"{log} holds no NMEA sentence with a right checksum: is it the log of a receiver?")
    placed = [fix for fix in fixes if fix.dimension]
    told: dict[str, object] = {
        "log": str(log),
        "answers": len(fixes),
        "fixes": len(placed),
        "fixes_3d": sum(fix.dimension == 3 for fix in fixes),
        "rolled_over": sum(fix.is_rolled_over for fix in fixes),
        "first": _words_of(placed[0]) if placed else None,
        "last": _words_of(placed[-1]) if placed else None,
    }
    if rules is not None:
        told["good"] = sum(is_good(fix, rules) for fix in fixes)
    return told


def _fixes_of(log: Path) -> Iterator[Fix]:
    listener = NmeaListener()
    try:
        with log.open("rb") as file:
            # A receiver's answers come a second apart; how long ago the log was made is no matter here.
            at_ms, left_bytes = 0, _LOG_MAX_BYTES
            while left_bytes > 0 and (chunk := file.readline(_CHUNK_BYTES)):
                left_bytes -= len(chunk)
                for answer in listener.feed(chunk, at_ms=UnixMs(at_ms)):
                    at_ms += 1_000
                    yield from answer
            for answer in listener.pause(at_ms=UnixMs(at_ms)):
                yield from answer
    except OSError as error:
        raise SensorError(f"{log} cannot be read: {error.strerror}") from error


def _words_of(fix: Fix) -> dict[str, object]:
    return {
        "lat_udeg": fix.lat_udeg,
        "lon_udeg": fix.lon_udeg,
        "accuracy_mm": fix.accuracy_mm,
        "satellites": fix.satellites,
        "hdop_milli": fix.hdop_milli,
        "time_ms": fix.time_ms,
    }
