"""Every check of the doctor that needs no network, well and ill, and every fix that really fixes."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edge.care.disk_wear import Disk
from edge.doctor.board import look_at_heat, look_at_memory, look_at_power
from edge.doctor.check import Check, Finding, Grade, Outcome, examine, ill, well
from edge.doctor.clock import look_at_clock, look_at_ntp
from edge.doctor.disk import look_at_room, look_at_wear, smart_used_percent
from edge.doctor.hub_word import HubWord
from edge.doctor.identity import look_at_sequence, look_at_settings
from edge.doctor.patient import Patient
from edge.doctor.rights import look_at_rights
from edge.doctor.service import look_at_service
from edge.doctor.table import CHECKS
from edge.doctor.way_up import look_at_broker, look_at_hub, look_at_outbox
from edge.keeping.outbox import Outbox, OutboxLimits, Waiting
from edge.keeping.priority import Priority
from edge.owning.identity import load_key_file
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.units import UnixMs
from tests.support.edge_machine import ADRIFT, JETSON, PI, Bed, change, program
from tests.support.edge_story import NOW_MS

BY_NAME = {check.name: check for check in CHECKS}
OLD_S = 1_700_000_000


def mended(bed: Bed, name: str) -> Outcome:
    """Look, fix, look again: what `doctor --fix` does for one check."""
    (outcome,) = examine(bed.patient(), [BY_NAME[name]], with_fixes=True)
    return outcome


def grade(look: Callable[[Patient], Finding | None], patient: Patient) -> Grade:
    finding = look(patient)
    assert finding is not None
    return finding.grade


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path, PI)


def test_the_table_names_every_check_once_and_briefly() -> None:
    names = [check.name for check in CHECKS]
    assert len(names) == len(set(names)) == 19
    assert max(map(len, names)) <= 9


def test_without_fixes_nothing_is_changed_and_a_failed_fix_is_told(bed: Bed) -> None:
    path = bed.device / "device.key"
    path.chmod(0o644)
    (outcome,) = examine(bed.patient(), [BY_NAME["key"]])
    assert (outcome.is_well, outcome.did, path.stat().st_mode & 0o777) == (False, None, 0o644)
    broken = Check("x", lambda _: ill("it is so", can_be_fixed=True), BY_NAME["ntp"].fix)
    (outcome,) = examine(bed.patient(), [broken], with_fixes=True)
    assert outcome.finding.says == "it is so"
    assert "install chrony" in str(outcome.failed)


def test_a_check_with_nothing_to_look_at_says_nothing(bed: Bed) -> None:
    assert list(examine(bed.patient(), [Check("x", lambda _: None)])) == []


def test_a_key_that_others_can_read_is_closed(bed: Bed) -> None:
    path = bed.device / "device.key"
    assert BY_NAME["key"].look(bed.patient()) == well(load_key_file(path).public_key.did)
    path.chmod(0o640)
    outcome = mended(bed, "key")
    assert (outcome.is_well, path.stat().st_mode & 0o777) == (True, 0o600)
    assert "may have copied it" in str(outcome.did)


def test_a_key_that_is_gone_or_no_key_is_beyond_a_fix(bed: Bed) -> None:
    path = bed.device / "device.key"
    path.write_text("not a key")
    assert mended(bed, "key").did is None
    path.unlink()
    outcome = mended(bed, "key")
    assert (outcome.is_well, outcome.did) == (False, None)
    assert "cairn-edge init" in outcome.finding.says


def test_sequence_and_settings_well_and_ill(bed: Bed) -> None:
    assert grade(look_at_sequence, bed.patient()) is Grade.WELL
    assert grade(look_at_settings, bed.patient()) is Grade.WELL
    (bed.device / "sequence.json").write_text("{")
    assert grade(look_at_sequence, bed.patient()) is Grade.ILL
    assert look_at_settings(bed.patient(told="cairn.toml: no such word")) == ill("cairn.toml: no such word")


@pytest.mark.parametrize(("mode", "is_well"), [(0o700, True), (0o750, True), (0o755, False), (0o770, False)])
def test_a_directory_open_to_others_is_closed(bed: Bed, mode: int, is_well: bool) -> None:  # noqa: FBT001
    bed.device.chmod(mode)
    assert (grade(look_at_rights, bed.patient()) is Grade.WELL) == is_well
    outcome = mended(bed, "rights")
    assert outcome.is_well
    assert bed.device.stat().st_mode & 0o777 == (mode if is_well else 0o700)


def test_what_a_run_with_sudo_left_behind_is_given_back(bed: Bed) -> None:
    bed.owners = {"outbox.db": 0}
    change(bed.device, "outbox.db", "")
    bed.user_id = 1_000
    (outcome,) = examine(bed.patient(), [BY_NAME["rights"]], with_fixes=True)
    assert "sudo chown -R" in outcome.finding.says
    assert outcome.did is None
    bed.user_id = 0
    outcome = mended(bed, "rights")
    assert (outcome.is_well, outcome.did) == (True, "gave outbox.db to the directory's owner")
    assert bed.owners["outbox.db"] == 1_000


def test_a_directory_that_is_gone_cannot_be_looked_at(bed: Bed) -> None:
    patient = Bed(bed.device.parent / "other").patient()
    patient.directory = bed.device / "nowhere"
    assert grade(look_at_rights, patient) is Grade.ILL


def test_leftovers_of_a_power_cut_are_swept_and_what_is_in_work_stays(bed: Bed) -> None:
    assert mended(bed, "files").did is None
    for name in ("status.json.new", "sequence.json.new", "models/.adding-x1/yolox.onnx", ".doctor-abc"):
        change(bed.device, name, "half")
    for path in (bed.device / "sequence.json.new", bed.device / "models/.adding-x1", bed.device / ".doctor-abc"):
        os.utime(path, (OLD_S, OLD_S))
    (found,) = examine(bed.patient(), [BY_NAME["files"]])
    assert not found.is_well
    outcome = mended(bed, "files")
    assert outcome.is_well
    assert outcome.did == "deleted .doctor-abc, deleted .adding-x1, deleted sequence.json.new"
    assert (bed.device / "status.json.new").exists()  # written this moment: an agent may be at it
    assert (bed.device / "sequence.json").exists()


def test_a_lock_that_cannot_be_taken_is_replaced(bed: Bed) -> None:
    lock = bed.device / "sequence.json.lock"
    lock.mkdir()
    assert mended(bed, "files").is_well
    assert lock.is_file()
    lock.chmod(0o400)
    assert mended(bed, "files").did == "made sequence.json.lock writable"
    assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    lock.symlink_to(bed.device / "device.key")
    assert mended(bed, "files").is_well
    assert not lock.is_symlink()
    assert (bed.device / "device.key").exists()


def test_a_lock_folder_with_something_in_it_is_left_to_its_owner(bed: Bed) -> None:
    change(bed.device, "sequence.json.lock/mine", "mine")
    outcome = mended(bed, "files")
    assert not outcome.is_well
    assert "look at it and remove it" in str(outcome.failed)


def test_a_disk_without_room_or_rights_is_found(bed: Bed) -> None:
    assert grade(look_at_room, bed.patient()) is Grade.WELL
    bed.free_bytes = 99 << 20
    assert look_at_room(bed.patient()) == ill(f"only 99 MiB are free under {bed.device}: make room")
    patient = bed.patient()
    patient.directory = bed.device / "nowhere"
    assert grade(look_at_room, patient) is Grade.ILL


def test_an_sd_card_says_that_it_does_not_say(bed: Bed) -> None:
    finding = look_at_wear(bed.patient())
    assert finding.grade is Grade.NOTE
    assert "SD card" in finding.says


@pytest.mark.parametrize(
    ("life", "reserve", "expected"),
    [
        ("0x03 0x02", "0x01", Grade.WELL),
        ("0x09 0x01", "0x01", Grade.ILL),
        ("0x0b 0x01", "0x01", Grade.ILL),
        ("0x02 0x01", "0x02", Grade.ILL),
        ("0x02 0x01", "0x03", Grade.ILL),
        ("0x00 0x00", "0x00", Grade.NOTE),
    ],
)
def test_flash_is_judged_by_its_own_registers(tmp_path: Path, life: str, reserve: str, expected: Grade) -> None:
    bed = Bed(tmp_path, JETSON)
    change(bed.root, "sys/devices/mmc/mmcblk0/device/life_time", life)
    change(bed.root, "sys/devices/mmc/mmcblk0/device/pre_eol_info", reserve)
    assert grade(look_at_wear, bed.patient()) is expected


NVME = {
    "proc/self/mountinfo": "26 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n",
    "sys/devices/nvme/nvme0n1/nvme0n1p2/partition": "2\n",
}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"nvme_smart_health_information_log": {"percentage_used": 7}}, Grade.WELL),
        ({"nvme_smart_health_information_log": {"percentage_used": 93}}, Grade.ILL),
        ({"nvme_smart_health_information_log": {"percentage_used": 2, "critical_warning": 1}}, Grade.ILL),
        ({"smart_status": {"passed": False}, "endurance_used": {"current_percent": 3}}, Grade.ILL),
        ({"smart_status": {"passed": True}}, Grade.NOTE),
    ],
)
def test_an_nvme_disk_is_judged_by_smartctl(tmp_path: Path, said: dict[str, object], expected: Grade) -> None:
    bed = Bed(tmp_path, NVME)
    (bed.root / "sys/dev/block").mkdir(parents=True)
    (bed.root / "sys/dev/block/259:2").symlink_to(bed.root / "sys/devices/nvme/nvme0n1/nvme0n1p2")
    assert "install smartmontools" in look_at_wear(bed.patient()).says
    program(bed.programs, "smartctl", f"echo '{json.dumps(said)}'; exit 4")
    assert grade(look_at_wear, bed.patient()) is expected
    program(bed.programs, "smartctl", "echo Permission denied >&2; exit 2")
    assert grade(look_at_wear, bed.patient()) is Grade.NOTE


def test_sata_disks_tell_the_life_left_in_one_of_three_attributes() -> None:
    table = [{"id": 9, "value": 99}, {"id": 177, "value": 88}]
    assert smart_used_percent({"ata_smart_attributes": {"table": table}}) == 12
    assert smart_used_percent({"ata_smart_attributes": {"table": "odd"}}) is None
    assert smart_used_percent({"ata_smart_attributes": [], "endurance_used": 7}) is None


def test_a_disk_without_a_word_for_its_wear_says_so(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    assert bed.patient().world.host.disk(bed.device) is None
    assert grade(look_at_wear, bed.patient()) is Grade.NOTE
    assert Disk("vda", "other").wear_ppm is None


@pytest.mark.parametrize(
    ("mdegc", "expected"),
    [("48312", Grade.WELL), ("74000", Grade.NOTE), ("105000", Grade.ILL), ("", Grade.NOTE)],
)
def test_heat_well_warm_and_near_the_end(bed: Bed, mdegc: str, expected: Grade) -> None:
    change(bed.root, "sys/class/thermal/thermal_zone0/temp", mdegc)
    assert grade(look_at_heat, bed.patient()) is expected


def test_a_zone_without_trips_is_hot_at_85_degrees_and_the_jetsons_liar_is_ignored(tmp_path: Path) -> None:
    bed = Bed(tmp_path, JETSON)
    assert grade(look_at_heat, bed.patient()) is Grade.WELL
    change(bed.root, "sys/class/thermal/thermal_zone0/temp", "85000")
    assert grade(look_at_heat, bed.patient()) is Grade.ILL


@pytest.mark.parametrize(
    ("bits", "expected", "words"),
    [
        ("0", Grade.WELL, "no throttling"),
        ("50005", Grade.ILL, "at this moment the supply voltage is too low, the processor is throttled"),
        ("10000", Grade.ILL, "too low since the machine started"),
        ("80000", Grade.NOTE, "the soft temperature limit is reached"),
    ],
)
def test_power_by_sysfs_and_by_the_firmwares_own_program(bed: Bed, bits: str, expected: Grade, words: str) -> None:
    change(bed.root, "sys/devices/platform/soc/soc:firmware/get_throttled", bits)
    by_file = look_at_power(bed.patient())
    change(bed.root, "sys/devices/platform/soc/soc:firmware/get_throttled", "0")
    program(bed.programs, "vcgencmd", f'[ "$1" = get_throttled ] && echo throttled=0x{bits}')
    assert look_at_power(bed.patient()) == by_file
    assert by_file.grade is expected
    assert words in by_file.says


def test_power_on_a_jetson_and_on_a_machine_that_cannot_tell(tmp_path: Path) -> None:
    bed = Bed(tmp_path / "jetson", JETSON)
    assert grade(look_at_power, bed.patient()) is Grade.WELL
    change(bed.root, "sys/class/hwmon/hwmon3/oc1_event_cnt", "12")
    assert "12 times for want of current" in look_at_power(bed.patient()).says
    assert grade(look_at_power, Bed(tmp_path / "bare").patient()) is Grade.NOTE


@pytest.mark.parametrize(
    ("available_kib", "total_kib", "expected"),
    [(412_000, 948_304, Grade.WELL), (40_000, 948_304, Grade.ILL), (200_000, 380_000, Grade.NOTE)],
)
def test_memory(bed: Bed, available_kib: int, total_kib: int, expected: Grade) -> None:
    change(bed.root, "proc/meminfo", f"MemTotal: {total_kib} kB\nMemAvailable: {available_kib} kB\n")
    assert grade(look_at_memory, bed.patient()) is expected


def test_memory_that_is_not_told(tmp_path: Path) -> None:
    assert grade(look_at_memory, Bed(tmp_path).patient()) is Grade.NOTE


TIMEDATECTL = """
case "$1" in
  show) echo CanNTP=yes; echo "NTP=$(cat "$HERE/ntp" 2>/dev/null || echo no)" ;;
  set-ntp) echo yes > "$HERE/ntp" ;;
esac
"""


def test_ntp_that_is_off_is_switched_on(bed: Bed) -> None:
    assert grade(look_at_ntp, bed.patient()) is Grade.WELL
    bed.clock = ADRIFT
    program(bed.programs, "timedatectl", TIMEDATECTL)
    finding = look_at_ntp(bed.patient())
    assert (finding.grade, finding.can_be_fixed) == (Grade.ILL, True)
    outcome = mended(bed, "ntp")
    assert outcome.did is not None
    assert (bed.programs / "ntp").read_text() == "yes\n"
    assert "NTP is on but has reached no server" in outcome.finding.says


def test_ntp_is_not_touched_by_somebody_who_may_not_or_where_it_cannot_be(bed: Bed) -> None:
    bed.clock = ADRIFT
    assert "install chrony" in look_at_ntp(bed.patient()).says
    program(bed.programs, "timedatectl", TIMEDATECTL)
    bed.user_id = 1_000
    finding = look_at_ntp(bed.patient())
    assert not finding.can_be_fixed
    assert "sudo timedatectl set-ntp true" in finding.says
    bed.user_id = 0
    program(bed.programs, "timedatectl", TIMEDATECTL.replace('echo yes > "$HERE/ntp"', "echo no NTP here >&2; exit 1"))
    assert "no NTP here" in str(mended(bed, "ntp").failed)
    bed.clock = None
    assert grade(look_at_ntp, bed.patient()) is Grade.NOTE


def test_chrony_is_asked_how_far_off_it_is(bed: Bed) -> None:
    program(bed.programs, "chronyc", '[ "$1 $2" = "-c tracking" ] && echo A29FC801,ntp.example,3,1.2,-0.000212,0.1')
    assert "chrony follows ntp.example, 0.2 ms off" in look_at_ntp(bed.patient()).says


SYSTEMCTL = """
case "$1" in
  show) cat "$HERE/unit" ;;
  restart) sed -i s/ActiveState=failed/ActiveState=active/ "$HERE/unit" ;;
esac
"""
UNIT = "LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nResult=success\nNRestarts=2\n"


@pytest.mark.parametrize(
    ("unit", "expected", "words"),
    [
        (UNIT, Grade.WELL, "was restarted 2 times"),
        (UNIT.replace("=enabled", "=disabled"), Grade.ILL, "systemctl enable"),
        (UNIT.replace("=active", "=inactive"), Grade.NOTE, "systemctl start"),
        (UNIT.replace("loaded", "not-found"), Grade.NOTE, "not installed"),
        (UNIT.replace("loaded", "error"), Grade.ILL, "cannot be loaded"),
    ],
)
def test_the_service(bed: Bed, unit: str, expected: Grade, words: str) -> None:
    assert look_at_service(bed.patient()) is None  # no systemd on this machine
    program(bed.programs, "systemctl", SYSTEMCTL)
    change(bed.programs, "unit", unit)
    finding = look_at_service(bed.patient())
    assert finding is not None
    assert finding.grade is expected
    assert words in finding.says


def test_a_service_that_has_failed_is_restarted(bed: Bed) -> None:
    program(bed.programs, "systemctl", SYSTEMCTL)
    change(bed.programs, "unit", UNIT.replace("=active", "=failed").replace("success", "exit-code"))
    assert "exit-code" in str(look_at_service(bed.patient()))
    outcome = mended(bed, "service")
    assert outcome.is_well
    assert outcome.did == "restarted cairn-edge.service"


def test_a_service_that_does_not_come_back_is_said_to_be_so(bed: Bed) -> None:
    program(bed.programs, "systemctl", '[ "$1" = show ] && cat "$HERE/unit" || { echo Job failed. >&2; exit 1; }')
    change(bed.programs, "unit", UNIT.replace("=active", "=failed"))
    outcome = mended(bed, "service")
    assert not outcome.is_well
    assert "Job failed." in str(outcome.failed)


def test_a_program_that_hangs_or_is_broken_is_no_answer(bed: Bed) -> None:
    (bed.programs).mkdir(exist_ok=True)
    (bed.programs / "timedatectl").write_bytes(b"\x7fELF broken")
    (bed.programs / "timedatectl").chmod(0o755)
    assert bed.patient().world.tools.ask(["timedatectl", "show"]) is None
    assert bed.patient().world.tools.ask(["no-such-program"]) is None


def outbox_of(bed: Bed, last: int, *, first: int = 1) -> None:
    box = Outbox.open(bed.device / "outbox.db", limits=OutboxLimits())
    for sequence in range(first, last + 1):
        box.append([Waiting(sequence, bytes([sequence]) * 32, b"block", NOW_MS, Priority.TRACK, 1)])
    box.close()


def test_the_outbox_empty_well_full_and_broken(bed: Bed) -> None:
    finding = look_at_outbox(bed.patient())
    assert finding is not None
    assert "has not run yet" in finding.says
    outbox_of(bed, 3)
    bed.now_ms = UnixMs(NOW_MS + 90_000)
    finding = look_at_outbox(bed.patient())
    assert finding is not None
    assert (finding.grade, finding.says) == (Grade.WELL, "3 envelopes wait (0 % of the room), the oldest for 90 s")
    outbox_of(bed, 25, first=4)
    bed.limits = replace(bed.limits, max_bytes=MAX_ENVELOPE_BYTES + 2_048)  # room for 34
    assert grade(look_at_outbox, bed.patient()) is Grade.ILL
    (bed.device / "outbox.db").write_bytes(b"no database" * 1_000)
    assert grade(look_at_outbox, bed.patient()) is Grade.ILL


def test_broker_hub_and_clock_tell_what_was_heard(bed: Bed) -> None:
    looks = (look_at_broker, look_at_hub, look_at_clock)

    def heard(**word: object) -> list[Grade | None]:
        bed.hub_word = HubWord("h:1", **word)  # type: ignore[arg-type]
        found = [look(bed.patient()) for look in looks]
        return [finding.grade if finding else None for finding in found]

    assert heard(broker_complaint="refused") == [Grade.ILL, None, None]
    assert heard(impostor="another key") == [Grade.WELL, Grade.ILL, None]
    assert heard() == [Grade.WELL, Grade.ILL, None]
    assert heard(beacon_round=7, ahead_ms=0) == [Grade.WELL] * 3
    assert heard(beacon_round=7, ahead_ms=-5_001) == [Grade.WELL, Grade.WELL, Grade.ILL]
    assert heard(beacon_round=7, ahead_ms=300_001) == [Grade.WELL, Grade.WELL, Grade.ILL]


def test_a_clock_that_is_right_without_ntp_is_right_by_chance(bed: Bed) -> None:
    bed.clock = ADRIFT
    bed.hub_word = HubWord("h:1", beacon_round=7, ahead_ms=100)
    assert grade(look_at_ntp, bed.patient()) is Grade.NOTE
    bed.hub_word = HubWord("h:1", beacon_round=7, ahead_ms=-9_000)
    assert grade(look_at_ntp, bed.patient()) is Grade.ILL


@pytest.mark.parametrize("look", [look_at_outbox, look_at_broker, look_at_hub, look_at_clock])
def test_without_settings_the_rest_is_silent(bed: Bed, look: Callable[[Patient], Finding | None]) -> None:
    assert look(bed.patient(told="broken")) is None
