"""The thermal governor: how many frames a second a hot or underfed board may look at. Pure; knows no clock, no sensor.

The hotter, the fewer, in steps: each halves the rate, down to one that is never zero. Only beyond the critical
temperature the device pauses, and says so. One step at a time in both directions, and back up only after a while and
with some degrees to spare, so that it does not swing.

Invariants (tests/property/test_thermal_properties.py): hotter never means more frames; two steps back up are
`relax_after_ms` apart, and none comes sooner than that after a step down; a board that stays cool comes back to full
speed; nothing but the critical temperature ever stops it.
"""

from dataclasses import dataclass, replace
from typing import Final

from edge.care.host import FREQUENCY_CAPPED, SOFT_LIMIT, THROTTLED, UNDER_VOLTAGE
from edge.errors import EdgeError

STEPS: Final = 4  # each halves the rate
PAUSE: Final = STEPS + 1


class ThermalError(EdgeError):
    """The limits contradict each other; the message says which to change."""


@dataclass(frozen=True, slots=True)
class ThermalLimits:
    """When to slow down. Valid from birth.

    Raises:
        ThermalError: the temperatures do not rise from warm to critical, or a rate or a time makes no sense.
    """

    warm_mdegc: int = 70_000  # the first step
    hot_mdegc: int = 82_000  # the last step
    critical_mdegc: int = 92_000  # a pause
    spare_mdegc: int = 3_000  # how much cooler it must be before a step is taken back
    tighten_after_ms: int = 5_000  # between two steps down
    relax_after_ms: int = 30_000  # since the last step of any kind, before one is taken back
    full_mfps: int = 30_000  # thousandths of a frame a second when all is well
    least_mfps: int = 1_000

    def __post_init__(self) -> None:
        if not self.warm_mdegc < self.hot_mdegc < self.critical_mdegc - self.spare_mdegc < self.critical_mdegc:
            raise ThermalError(
                "the temperatures under [care] must rise: warm_mdegc, hot_mdegc, and critical_mdegc by more than "
                "spare_mdegc above it"
            )
        if not 0 < self.least_mfps <= self.full_mfps:
            raise ThermalError("least_mfps under [care] must be more than 0 and not more than full_mfps")
        if not 0 <= self.tighten_after_ms <= self.relax_after_ms or self.relax_after_ms == 0:
            raise ThermalError("tighten_after_ms under [care] must not be longer than relax_after_ms")


@dataclass(frozen=True, slots=True)
class Governor:
    """Where the governor stands. A value: `governed` returns the next."""

    level: int = 0  # 0 full speed, up to STEPS, PAUSE
    changed_at_ms: int | None = None  # monotonic, of the last change
    usual_mfps: int | None = None  # what the pipeline did before the first step; None: not known


@dataclass(frozen=True, slots=True)
class Heat:
    """What the machine says at one moment; None where it cannot tell."""

    soc_mdegc: int | None
    throttled_bits: int | None = None  # as the Raspberry Pi's firmware counts them


@dataclass(frozen=True, slots=True)
class Allowance:
    """What the pipeline may do, and why."""

    max_mfps: int  # 0: pause
    reason: str | None  # a sentence; None at full speed

    @property
    def is_pause(self) -> bool:
        """Whether no frame may be looked at."""
        return self.max_mfps == 0


def wanted_level(heat: Heat, limits: ThermalLimits) -> int:
    """Return the level that this heat deserves by itself, were there no past."""
    mdegc, bits = heat.soc_mdegc, heat.throttled_bits or 0
    level = 0
    if mdegc is not None and mdegc >= limits.critical_mdegc:
        return PAUSE
    if mdegc is not None and mdegc >= limits.warm_mdegc:
        span_mdegc = limits.hot_mdegc - limits.warm_mdegc
        level = min(STEPS, 1 + (STEPS - 1) * (mdegc - limits.warm_mdegc) // span_mdegc)
    if bits & (UNDER_VOLTAGE | SOFT_LIMIT):
        level = max(level, 1)
    if bits & (FREQUENCY_CAPPED | THROTTLED):
        level = max(level, 2)
    return level


def governed(
    governor: Governor, heat: Heat, limits: ThermalLimits, *, monotonic_ms: int, running_mfps: int | None = None
) -> Governor:
    """Return where the governor stands after one look; call it every second or few.

    Args:
        governor: where it stood.
        heat: this moment's.
        limits: the settings.
        monotonic_ms: any clock that never goes back.
        running_mfps: what the pipeline manages now; at full speed it is what the steps are fractions of.
    """
    wanted = wanted_level(heat, limits)
    if governor.level == 0 and running_mfps:
        governor = replace(governor, usual_mfps=running_mfps)
    if wanted == PAUSE:
        return governor if governor.level == PAUSE else replace(governor, level=PAUSE, changed_at_ms=monotonic_ms)
    since_ms = None if governor.changed_at_ms is None else monotonic_ms - governor.changed_at_ms
    if wanted > governor.level:
        is_due = since_ms is None or since_ms >= limits.tighten_after_ms
        return replace(governor, level=governor.level + 1, changed_at_ms=monotonic_ms) if is_due else governor
    if governor.level and _spared_level(heat, limits) < governor.level:
        is_due = since_ms is None or since_ms >= limits.relax_after_ms
        return replace(governor, level=governor.level - 1, changed_at_ms=monotonic_ms) if is_due else governor
    return governor


def _spared_level(heat: Heat, limits: ThermalLimits) -> int:
    if heat.soc_mdegc is None:
        return wanted_level(heat, limits)
    return wanted_level(replace(heat, soc_mdegc=heat.soc_mdegc + limits.spare_mdegc), limits)


def allowance(governor: Governor, heat: Heat, limits: ThermalLimits) -> Allowance:
    """Return what the pipeline may do where the governor stands; ``heat`` is for the sentence only."""
    if governor.level == 0:
        return Allowance(limits.full_mfps, None)
    if governor.level == PAUSE:
        cool_mdegc = limits.critical_mdegc - limits.spare_mdegc
        return Allowance(
            0,
            f"Paused{_at(heat)}: the board is too hot to look at anything until it is below {_degrees(cool_mdegc)}. "
            "Give it shade, air or a heat sink.",
        )
    usual_mfps = min(governor.usual_mfps or limits.full_mfps, limits.full_mfps)
    max_mfps = max(limits.least_mfps, usual_mfps >> governor.level)
    return Allowance(max_mfps, f"At most {max_mfps / 1000:.1f} frames a second{_at(heat)}: {_cause(heat, limits)}")


def _cause(heat: Heat, limits: ThermalLimits) -> str:
    bits = heat.throttled_bits or 0
    is_warm = heat.soc_mdegc is not None and heat.soc_mdegc >= limits.warm_mdegc - limits.spare_mdegc
    if bits & UNDER_VOLTAGE and not is_warm:
        return "the power supply is too weak. Use the one that the board's maker names."
    if bits & (FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT) and not is_warm:
        return "the board holds itself back. Check its cooling and its power supply."
    if is_warm:
        return "the board is warm. Give it shade, air or a heat sink."
    return "the board was warm and comes back step by step."


def _at(heat: Heat) -> str:
    return "" if heat.soc_mdegc is None else f" at {_degrees(heat.soc_mdegc)}"


def _degrees(mdegc: int) -> str:
    return f"{mdegc / 1000:.1f} °C"
