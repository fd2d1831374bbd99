"""What a machine says of itself, on a Raspberry Pi, a Jetson and a bare PC made of files."""

import os
from pathlib import Path

import pytest

from edge.care.clock_watch import ClockSteps, KernelClock, kernel_clock, source_of
from edge.care.disk_wear import Disk, disk_under
from edge.care.host import Host, HostWord, Memory
from protocol.observation import ClockSource
from tests.support.edge_machine import ADRIFT, BARE, IN_STEP, JETSON, PI, change, machine


def test_a_raspberry_pi_tells_heat_throttling_and_that_its_card_does_not_say(tmp_path: Path) -> None:
    root = machine(tmp_path / "pi", PI)
    change(root, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    change(root, "proc/41/status", "Name:\tpython\nVmRSS:\t   27012 kB\n")
    change(root, "proc/42/status", "VmRSS:\t   90000 kB\n")
    word = Host(root, ask_kernel_clock=lambda: IN_STEP).word(tmp_path, pids=[41, 42, 4_000_000])
    free_mib = word.disk_free_mib
    assert word == HostWord(48_312, 0x50005, free_mib, None, IN_STEP, rss_kib=117_012)
    assert free_mib is not None
    assert Host(root).model_name() == "Raspberry Pi 4 Model B Rev 1.4"
    assert Host(root).disk(tmp_path) == Disk("mmcblk0", "sd")


def test_a_jetson_is_as_hot_as_its_hottest_processor_zone_and_its_flash_says_how_worn_it_is(tmp_path: Path) -> None:
    root = machine(tmp_path / "jetson", JETSON)
    host = Host(root, ask_kernel_clock=lambda: ADRIFT)
    assert host.soc_mdegc() == 53_500  # not the PMIC's invented 100 degrees
    assert host.word(tmp_path, pids=()).disk_wear_ppm == 300_000
    assert host.throttled_bits() == 0
    change(root, "sys/class/thermal/cooling_device0/cur_state", "2\n")
    assert host.throttled_bits() == 0b10  # a running fan slows nothing, this does


def test_a_bare_machine_tells_nothing_and_invents_nothing(tmp_path: Path) -> None:
    host = Host(machine(tmp_path / "bare", BARE), ask_kernel_clock=lambda: None)
    word = host.word(tmp_path, pids=[1])
    assert word == HostWord(None, None, word.disk_free_mib, None, None, rss_kib=0)
    assert (host.zones(), host.memory(), host.disk(tmp_path), host.is_slowed()) == ((), None, None, None)
    assert (host.over_current_events(), host.model_name()) == (None, None)


def test_a_zone_that_always_lies_is_not_believed_even_where_it_is_the_only_one(tmp_path: Path) -> None:
    change(tmp_path, "sys/class/thermal/thermal_zone0/type", "PMIC-Die\n")
    change(tmp_path, "sys/class/thermal/thermal_zone0/temp", "100000\n")
    assert Host(tmp_path).soc_mdegc() is None


def test_the_voltage_alarm_counts_where_the_firmware_does_not_answer(tmp_path: Path) -> None:
    quiet = {path: text for path, text in PI.items() if "get_throttled" not in path}
    root = machine(tmp_path / "pi5", quiet)
    assert Host(root).throttled_bits() == 0
    change(root, "sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1\n")
    assert Host(root).throttled_bits() == 1


@pytest.mark.parametrize("text", ["", "warm", "999999", "-50000"])
def test_a_nonsense_temperature_is_no_temperature(tmp_path: Path, text: str) -> None:
    root = machine(tmp_path / "pi", PI)
    change(root, "sys/class/thermal/thermal_zone0/temp", text)
    assert Host(root).soc_mdegc() is None


def test_a_chip_is_asked_where_no_zone_is_the_processors(tmp_path: Path) -> None:
    root = tmp_path / "pc"
    change(root, "sys/class/hwmon/hwmon0/name", "coretemp\n")
    change(root, "sys/class/hwmon/hwmon0/temp1_input", "61000\n")
    change(root, "sys/class/thermal/thermal_zone0/type", "acpitz\n")
    change(root, "sys/class/thermal/thermal_zone0/temp", "27800\n")
    assert Host(root).soc_mdegc() == 61_000


@pytest.mark.parametrize(
    ("life_time", "wear_ppm"),
    [
        ("0x01 0x01", 100_000),
        ("0x02 0x0a", 1_000_000),
        ("0x0b 0x01", 1_100_000),
        ("0x00 0x00", None),
        ("0xff", None),
        ("", None),
    ],
)
def test_flash_life_is_the_worse_of_both_kinds(tmp_path: Path, life_time: str, wear_ppm: int | None) -> None:
    root = machine(tmp_path, JETSON)
    change(root, "sys/devices/mmc/mmcblk0/device/life_time", life_time)
    disk = disk_under(root, (179, 1))
    assert disk is not None
    assert (disk.kind, disk.wear_ppm, disk.reserve_word) == ("emmc", wear_ppm, "normal")


def test_a_disk_is_found_through_encryption_and_through_btrfs(tmp_path: Path) -> None:
    for path in ("sys/devices/nvme/nvme0n1/nvme0n1p2/partition", "sys/devices/virtual/dm-0/size"):
        change(tmp_path, path, "2\n")
    (tmp_path / "sys/devices/virtual/dm-0/slaves").mkdir()
    (tmp_path / "sys/devices/virtual/dm-0/slaves/nvme0n1p2").symlink_to(tmp_path / "sys/devices/nvme/nvme0n1/nvme0n1p2")
    (tmp_path / "sys/dev/block").mkdir(parents=True)
    (tmp_path / "sys/dev/block/253:0").symlink_to(tmp_path / "sys/devices/virtual/dm-0")
    change(tmp_path, "sys/class/block/cryptroot/dev", "253:0\n")
    change(tmp_path, "proc/self/mountinfo", "30 1 0:29 /@ / rw - btrfs /dev/mapper/cryptroot rw\n")
    assert Host(tmp_path).disk(tmp_path) == Disk("nvme0n1", "nvme")


def test_the_deepest_mount_is_the_directorys(tmp_path: Path) -> None:
    root = machine(tmp_path / "pi", PI)
    change(root, "proc/self/mountinfo", f"{PI['proc/self/mountinfo']}31 26 0:40 / {tmp_path} rw - tmpfs tmpfs rw\n")
    assert Host(root).disk(tmp_path) is None
    assert Host(root).disk(Path("/")) is not None


def test_the_real_machine_can_be_asked() -> None:
    host = Host()
    memory = host.memory()
    assert isinstance(memory, Memory)
    assert 0 < memory.available_kib <= memory.total_kib
    assert host.rss_kib([os.getpid()]) > 1_000
    clock = kernel_clock()
    assert clock is None or clock.error_max_ms >= 0


@pytest.mark.parametrize(
    ("clock", "has_gnss_time", "source"),
    [
        (None, False, ClockSource.UNKNOWN),
        (IN_STEP, False, ClockSource.NTP),
        (ADRIFT, False, ClockSource.FREE),
        (ADRIFT, True, ClockSource.GNSS),
    ],
)
def test_what_the_clock_follows(clock: KernelClock | None, has_gnss_time: bool, source: ClockSource) -> None:  # noqa: FBT001
    assert source_of(clock, has_gnss_time=has_gnss_time) is source


def test_jumps_of_the_clock_are_counted_and_slow_corrections_are_not() -> None:
    steps = ClockSteps()
    assert steps.look(wall_ms=1_000_000, monotonic_ms=0) is None
    for tick in range(1, 100):  # 400 ms a second slower than it should: never a jump of 500
        assert steps.look(wall_ms=1_000_000 + tick * 600, monotonic_ms=tick * 1_000) is None
    before_ms = 1_000_000 + 99 * 600
    assert steps.look(wall_ms=before_ms + 1_000 + 3_600_000, monotonic_ms=100_000) == 3_600_000
    assert steps.look(wall_ms=before_ms + 2_000, monotonic_ms=101_000) == -3_600_000
    assert (steps.count, steps.last_ms) == (2, -3_600_000)
