"""Which position goes into an envelope: the one in the settings, or that of a good fix.

Rules, in this order. A fix is good if it has the dimensions, satellites and dilution of precision that the settings ask
for and tells its accuracy. The last good fix holds for a while, and gets a metre less exact with every second of its
age (a walking pace). After that the position of the settings counts again, with an accuracy that admits that the
device may have moved. A device that stands near the edge of a square of its grid does not flicker between two squares,
which would tell more than the square: it leaves one only when its fix is outside by more than its accuracy.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from edge.sensors.fix import Fix
from protocol.observation import Position
from protocol.units import Udeg, UnixMs

_MM_PER_UDEG: Final = 112  # of latitude; longitude is never longer
_PACE_MM_PER_MS: Final = 1
_ACCURACY_MAX_MM: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PlaceRules:
    """What the settings say about positions."""

    configured: Position
    follows_gnss: bool
    min_dimension: int  # 2 or 3
    min_satellites: int
    max_hdop_milli: int
    hold_ms: int
    fallback_accuracy_mm: int  # of the configured position, while a device that should have fixes has none
    grid_udeg: int  # side of the squares that positions are made coarse to, by whoever publishes them


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a device says it is (not yet coarse), and the last good fix with the place that stood for it."""

    position: Position
    good: Fix | None = None
    anchor_udeg: tuple[int, int] | None = None


def is_good(fix: Fix, rules: PlaceRules) -> bool:
    """Whether ``fix`` may be published: the quality filter."""
    return (
        fix.dimension >= rules.min_dimension
        and fix.accuracy_mm is not None
        and (fix.satellites is None or fix.satellites >= rules.min_satellites)
        and (fix.hdop_milli is None or fix.hdop_milli <= rules.max_hdop_milli)
    )


def whereabouts(fix: Fix | None, rules: PlaceRules, last: Whereabouts | None, *, now_ms: UnixMs) -> Whereabouts:
    """Return where the device is now.

    Args:
        fix: the newest, good or not; None: none has come.
        rules: what the settings say.
        last: what this function returned before; None at first.
        now_ms: the device's clock. After it has stepped back, a fix from what is now the future no longer counts.
    """
    if not rules.follows_gnss:
        return Whereabouts(rules.configured)
    good = fix if fix is not None and is_good(fix, rules) else (last.good if last else None)
    if good is None or not 0 <= now_ms - good.measured_at_ms <= rules.hold_ms:
        return Whereabouts(_fallback(rules))
    here = (good.lat_udeg or 0, good.lon_udeg or 0)
    anchor, strayed_mm = _anchor(here, last.anchor_udeg if last else None, rules.grid_udeg, good.accuracy_mm or 0)
    aged_mm = (now_ms - good.measured_at_ms) * _PACE_MM_PER_MS
    accuracy_mm = min((good.accuracy_mm or 0) + strayed_mm + aged_mm, _ACCURACY_MAX_MM)
    position = Position(Udeg(anchor[0]), Udeg(anchor[1]), accuracy_mm, rules.configured.heading_mdeg)
    return Whereabouts(position, good, anchor)


def _fallback(rules: PlaceRules) -> Position:
    configured = rules.configured
    return msgspec.structs.replace(configured, accuracy_mm=max(configured.accuracy_mm, rules.fallback_accuracy_mm))


def _anchor(
    here: tuple[int, int], before: tuple[int, int] | None, grid_udeg: int, accuracy_mm: int
) -> tuple[tuple[int, int], int]:
    """Return the place that stands for ``here`` and how far outside that one's square ``here`` is.

    It is the place ``before`` as long as the device may still be in its square, else ``here`` itself.
    """
    if before is None or grid_udeg == 1:
        return here, 0
    strayed_mm = _MM_PER_UDEG * sum(_outside(now, then, grid_udeg) for now, then in zip(here, before, strict=True))
    return (before, strayed_mm) if strayed_mm <= accuracy_mm else (here, 0)


def _outside(now: int, then: int, grid_udeg: int) -> int:
    """Return how far ``now`` is outside the grid's interval that holds ``then``."""
    begin = then // grid_udeg * grid_udeg
    return max(begin - now, now - (begin + grid_udeg - 1), 0)
