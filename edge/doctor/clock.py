"""The device's clock: does it agree with the hub's beacon, and does anything keep it right."""

from typing import Final

from edge.doctor.check import Finding, FixError, ill, note, well
from edge.doctor.patient import Patient

SKEW_MAX_MS: Final = 5_000
BEACON_AGE_MAX_MS: Final = 300_000
_BY_HAND: Final = "install chrony or systemd-timesyncd and enable it"


def look_at_clock(patient: Patient) -> Finding | None:
    """The clock agrees with the time at which the hub relayed its beacon."""
    hub = patient.hub
    if hub is None or hub.ahead_ms is None:
        return None  # the checks of broker and hub have said why
    if _agrees(hub.ahead_ms):
        return well("agrees with the hub's")
    side = "behind" if hub.ahead_ms < 0 else "ahead of"
    return ill(f"{abs(hub.ahead_ms) // 1000} s {side} the hub's beacon: switch on NTP, or the hub is asleep")


def look_at_ntp(patient: Patient) -> Finding:
    """Something keeps the clock right: the kernel says so, whichever daemon does it."""
    clock = patient.world.host.clock()
    if clock is None:
        return note("this machine does not say whether NTP keeps its clock right")
    if clock.is_synchronised:
        return well(f"the clock is synchronised, off by at most {clock.error_max_ms} ms{_offset_of_chrony(patient)}")
    is_off = _timedate(patient).get("NTP") == "no"
    can_be_fixed = is_off and patient.world.user_id == 0
    why = "NTP is switched off: run `sudo timedatectl set-ntp true`" if is_off else _waiting_words(patient)
    hub = patient.hub
    if hub is not None and hub.ahead_ms is not None and _agrees(hub.ahead_ms):
        return note(f"the clock is right by chance, nothing keeps it so; {why}", can_be_fixed=can_be_fixed)
    return ill(f"nothing keeps the clock right; {why}", can_be_fixed=can_be_fixed)


def switch_on_ntp(patient: Patient) -> str:
    """Enable the machine's own NTP client."""
    answer = patient.world.tools.ask(["timedatectl", "set-ntp", "true"])
    if answer is None or answer.status != 0:
        reason = answer.stderr.strip().splitlines()[-1:] if answer is not None else []
        raise FixError(f"timedatectl could not switch NTP on ({''.join(reason) or 'no answer'}): {_BY_HAND}")
    return "switched NTP on with timedatectl; it may take a minute until the clock is synchronised"


def _agrees(ahead_ms: int) -> bool:
    return -SKEW_MAX_MS <= ahead_ms <= BEACON_AGE_MAX_MS


def _timedate(patient: Patient) -> dict[str, str]:
    answer = patient.world.tools.ask(["timedatectl", "show"])
    if answer is None or answer.status != 0:
        return {}
    pairs = (line.partition("=") for line in answer.stdout.splitlines())
    return {name: value for name, _, value in pairs}


def _waiting_words(patient: Patient) -> str:
    if _timedate(patient).get("NTP") == "yes" or patient.world.tools.has("chronyc"):
        return "NTP is on but has reached no server: check that this machine reaches one (UDP port 123)"
    return _BY_HAND


def _offset_of_chrony(patient: Patient) -> str:
    """What chrony, where it is there, says of the last offset: field 5 of `chronyc -c tracking`, in seconds."""
    answer = patient.world.tools.ask(["chronyc", "-c", "tracking"])
    if answer is None or answer.status != 0:
        return ""
    words = answer.stdout.strip().split(",")
    try:
        return f"; chrony follows {words[1]}, {abs(float(words[4])) * 1000:.1f} ms off"
    except (IndexError, ValueError):
        return ""
