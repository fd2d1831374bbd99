"""Heat, power and memory of the machine."""

from typing import Final

from edge.care.host import (
    FREQUENCY_CAPPED,
    NOW_BITS,
    SINCE_BOOT_SHIFT,
    SOFT_LIMIT,
    THROTTLED,
    UNDER_VOLTAGE,
    Zone,
)
from edge.doctor.check import Finding, ill, note, well
from edge.doctor.patient import Patient

_HOT_MDEGC: Final = 85_000  # where a zone names no trip of its own
_MARGIN_MDEGC: Final = 5_000
_AVAILABLE_MIN_KIB: Final = 64 << 10
_TOTAL_MIN_KIB: Final = 400 << 10
_WORDS: Final = {
    UNDER_VOLTAGE: "the supply voltage is too low",
    FREQUENCY_CAPPED: "the processor's speed is capped",
    THROTTLED: "the processor is throttled",
    SOFT_LIMIT: "the soft temperature limit is reached",
}


def look_at_heat(patient: Patient) -> Finding:
    """No thermal zone is near the temperature at which the machine switches itself off."""
    zones = [zone for zone in patient.world.host.zones() if zone.name != "PMIC-Die"]
    mdegc = patient.world.host.soc_mdegc()
    if mdegc is None:
        return note("this machine does not say how hot it is")
    for zone in zones:
        limit_mdegc = _limit_mdegc(zone)
        if zone.mdegc >= limit_mdegc:
            return ill(
                f"{zone.name} is at {_degrees(zone.mdegc)}, {_degrees(_last_trip_mdegc(zone))} is where it switches "
                "itself off: give it shade, air or a heat sink"
            )
    if patient.told is not None and mdegc >= patient.told.warm_mdegc:
        return note(f"{_degrees(mdegc)}, so the agent looks at fewer frames: give it shade, air or a heat sink")
    return well(f"{_degrees(mdegc)}")


def look_at_power(patient: Patient) -> Finding:
    """The machine is not held back for want of voltage, current or cooling."""
    host = patient.world.host
    bits = _throttled_bits(patient)
    if bits is None:
        return note("this machine does not say whether its power supply is strong enough")
    now = [word for bit, word in _WORDS.items() if bits & NOW_BITS & bit]
    before = [word for bit, word in _WORDS.items() if bits >> SINCE_BOOT_SHIFT & NOW_BITS & bit]
    advice = "use the power supply and cable that the board's maker names, and check its cooling"
    if now:
        return ill(f"at this moment {', '.join(now)}: {advice}")
    if bits >> SINCE_BOOT_SHIFT & UNDER_VOLTAGE:
        return ill(f"the supply voltage has been too low since the machine started: {advice}")
    if before:
        return note(f"well now, but since the machine started it has been that {', '.join(before)}: {advice}")
    events = host.over_current_events()
    if events:
        return note(f"the board has throttled {events} times for want of current since it started: {advice}")
    return well("no throttling and no low voltage")


def look_at_memory(patient: Patient) -> Finding:
    """There is memory for the agent."""
    memory = patient.world.host.memory()
    if memory is None:
        return note("this machine does not say how much memory it has")
    says = f"{memory.available_kib >> 10} of {memory.total_kib >> 10} MiB are available"
    if memory.available_kib < _AVAILABLE_MIN_KIB:
        return ill(f"only {says}: stop other programs, or choose a smaller model")
    if memory.total_kib < _TOTAL_MIN_KIB:
        return note(f"{says}: little for a camera; sensors alone will do well")
    return well(says)


def _throttled_bits(patient: Patient) -> int | None:
    """Ask the firmware's own program first where there is one: it knows all the bits."""
    answer = patient.world.tools.ask(["vcgencmd", "get_throttled"])
    if answer is not None and answer.status == 0:
        try:
            return int(answer.stdout.strip().removeprefix("throttled="), 16)
        except ValueError:
            pass
    return patient.world.host.throttled_bits()


def _last_trip_mdegc(zone: Zone) -> int:
    return min((zone.trips_mdegc[kind] for kind in ("critical", "hot") if kind in zone.trips_mdegc), default=_HOT_MDEGC)


def _limit_mdegc(zone: Zone) -> int:
    last_mdegc = _last_trip_mdegc(zone)
    return last_mdegc - _MARGIN_MDEGC if zone.trips_mdegc.keys() & {"critical", "hot"} else last_mdegc


def _degrees(mdegc: int) -> str:
    return f"{mdegc / 1000:.1f} °C"
