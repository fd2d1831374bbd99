"""The agent as a service of the machine: does it start by itself, and has it not given up."""

from typing import Final

from edge.doctor.check import Finding, FixError, ill, note, well
from edge.doctor.patient import Patient

UNIT: Final = "cairn-edge.service"
_FACTS: Final = ("LoadState", "UnitFileState", "ActiveState", "Result", "NRestarts")


def look_at_service(patient: Patient) -> Finding | None:
    """The unit is installed, enabled and has not failed."""
    facts = _facts(patient)
    if facts is None:
        return None  # no systemd here: a container, or another kind of machine
    return _judged(facts, patient)


def restart_service(patient: Patient) -> str:
    """Start a service that has failed once more."""
    tools = patient.world.tools
    tools.ask(["systemctl", "reset-failed", UNIT])
    answer = tools.ask(["systemctl", "restart", UNIT])
    if answer is None or answer.status != 0:
        reason = answer.stderr.strip().splitlines()[-1:] if answer is not None else []
        raise FixError(f"{UNIT} does not start ({''.join(reason) or 'no answer'}): read `journalctl -u {UNIT}`")
    return f"restarted {UNIT}"


def _judged(facts: dict[str, str], patient: Patient) -> Finding:
    if facts["LoadState"] == "not-found":
        return note("not installed as a service: the agent runs only while somebody runs it")
    if facts["LoadState"] != "loaded":
        return ill(f"{UNIT} cannot be loaded ({facts['LoadState']}): run `systemctl status {UNIT}`")
    return _judged_loaded(facts, patient)


def _judged_loaded(facts: dict[str, str], patient: Patient) -> Finding:
    if facts["ActiveState"] == "failed":
        says = f"{UNIT} has failed ({facts['Result']}): read `journalctl -u {UNIT}`, then `sudo systemctl restart` it"
        return ill(says, can_be_fixed=patient.world.user_id == 0)
    if facts["UnitFileState"] not in {"enabled", "enabled-runtime", "static"}:
        return ill(f"{UNIT} does not start by itself after a power cut: run `sudo systemctl enable {UNIT}`")
    if facts["ActiveState"] != "active" and patient.running is None:
        return note(f"{UNIT} is {facts['ActiveState']}: start it with `sudo systemctl start {UNIT}`")
    restarts = int(facts["NRestarts"]) if facts["NRestarts"].isdecimal() else 0
    return well(f"{UNIT} is {facts['ActiveState']}, starts by itself, was restarted {restarts} times")


def _facts(patient: Patient) -> dict[str, str] | None:
    answer = patient.world.tools.ask(["systemctl", "show", UNIT, f"--property={','.join(_FACTS)}"])
    if answer is None or answer.status != 0:
        return None
    pairs = (line.partition("=") for line in answer.stdout.splitlines())
    said = {name: value.strip() for name, _, value in pairs}
    return {name: said.get(name, "") for name in _FACTS}
