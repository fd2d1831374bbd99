"""Room on the disk, and how much of its life is gone."""

import tempfile
from typing import Any, Final

import msgspec

from edge.care.disk_wear import Disk
from edge.doctor.check import Finding, ill, note, well
from edge.doctor.patient import Patient

_ROOM_MIN_BYTES: Final = 100 << 20
_WORN_PPM: Final = 800_000
_ATTRIBUTES_LEFT: Final = frozenset({177, 231, 233})  # SATA attributes whose value is the life left, in per cent
_CRITICAL_SPARE: Final = 1  # bit of NVMe's critical warning: spare blocks below the threshold


def look_at_room(patient: Patient) -> Finding:
    """The directory can be written and has room."""
    directory = patient.directory
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-"):
            free_bytes = patient.world.free_bytes(directory)
    except OSError as error:
        return ill(f"{directory} cannot be written ({error.strerror}): check its rights and its disk")
    if free_bytes < _ROOM_MIN_BYTES:
        return ill(f"only {free_bytes >> 20} MiB are free under {directory}: make room")
    return well(f"{free_bytes >> 20} MiB free under {directory}")


def look_at_wear(patient: Patient) -> Finding:
    """The disk has life left, as far as it says."""
    disk = patient.world.host.disk(patient.directory)
    if disk is None:
        return note("the directory lies on no disk of this machine that says how worn it is")
    if disk.kind == "sd":
        return note(f"{disk.name} is an SD card, which does not say how worn it is: keep a copy of the key and a spare")
    if disk.kind == "emmc":
        return _judged(disk)
    if disk.kind == "other":
        return note(f"{disk.name} does not say how worn it is")
    return _asked_smart(disk, patient)


def _judged(disk: Disk) -> Finding:
    if disk.wear_ppm is None:
        return note(f"{disk.name} does not say how worn it is")
    says = f"{disk.name} has used at most {disk.wear_ppm // 10_000} % of the life its maker promises"
    if disk.reserve_word in {"low", "nearly gone"}:
        return ill(f"{says}, and its spare blocks are {disk.reserve_word}: copy the key and replace it")
    if disk.wear_ppm > _WORN_PPM:
        return ill(f"{says}: copy the key and replace it soon")
    return well(says)


def _asked_smart(disk: Disk, patient: Patient) -> Finding:
    tools = patient.world.tools
    if not tools.has("smartctl"):
        return note(f"{disk.name} tells its wear to smartctl only: install smartmontools to know it")
    answer = tools.ask(["smartctl", "-j", "-a", f"/dev/{disk.name}"])
    try:
        said = msgspec.json.decode(answer.stdout) if answer is not None else None
    except msgspec.MsgspecError:
        said = None
    if not isinstance(said, dict):
        return note(f"smartctl says nothing about {disk.name}: run the doctor as root to know its wear")
    used_percent = smart_used_percent(said)
    if _number(said, "smart_status", "passed") == 0 or _spare_is_low(said):
        return ill(f"{disk.name} says of itself that it fails (SMART): copy the key and replace it now")
    if used_percent is None:
        return note(f"smartctl does not know how worn {disk.name} is")
    return _judged(Disk(disk.name, disk.kind, used_percent * 10_000))


def smart_used_percent(said: dict[str, Any]) -> int | None:
    """Return how much of the promised life ``smartctl -j`` says is used, in per cent; None if it does not say."""
    for path in (("endurance_used", "current_percent"), ("nvme_smart_health_information_log", "percentage_used")):
        used = _number(said, *path)
        if used is not None:
            return max(0, used)
    table = _inner(said, "ata_smart_attributes").get("table")
    for row in table if isinstance(table, list) else ():
        if isinstance(row, dict) and row.get("id") in _ATTRIBUTES_LEFT and isinstance(row.get("value"), int):
            return max(0, 100 - int(row["value"]))
    return None


def _spare_is_low(said: dict[str, Any]) -> bool:
    return bool((_number(said, "nvme_smart_health_information_log", "critical_warning") or 0) & _CRITICAL_SPARE)


def _number(said: dict[str, Any], table: str, name: str) -> int | None:
    value = _inner(said, table).get(name)
    return int(value) if isinstance(value, int) else None


def _inner(said: dict[str, Any], name: str) -> dict[str, Any]:
    value = said.get(name)
    return value if isinstance(value, dict) else {}
