"""What the machine says of itself through /sys and /proc: heat, power, disk, memory. No program is started.

Everything is read below a root, so that a test can build a machine out of files. None: the machine cannot tell.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.care.clock_watch import KernelClock, kernel_clock
from edge.care.disk_wear import Disk, disk_under

UNDER_VOLTAGE: Final = 1 << 0  # bits as the Raspberry Pi's firmware counts them (vcgencmd get_throttled)
FREQUENCY_CAPPED: Final = 1 << 1
THROTTLED: Final = 1 << 2
SOFT_LIMIT: Final = 1 << 3
NOW_BITS: Final = UNDER_VOLTAGE | FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT
SINCE_BOOT_SHIFT: Final = 16  # the same four bits, since the machine started

_SENSIBLE_MDEGC: Final = range(-40_000, 150_001)
_PROCESSOR_ZONE: Final = re.compile(r"cpu|soc|tj|pkg|gpu|package", re.IGNORECASE)
_PROCESSOR_CHIPS: Final = frozenset({"coretemp", "k10temp", "cpu_thermal", "zenpower"})
_LYING_ZONES: Final = frozenset({"PMIC-Die"})  # the Jetson Nano's always says 100 degrees
_SLOWING_DEVICES: Final = re.compile(r"(thermal-)?(cpufreq|devfreq)|Processor", re.IGNORECASE)
_TRIPS_MAX: Final = 16
_MOUNTS_MAX: Final = 4_096


@dataclass(frozen=True, slots=True)
class Zone:
    """One thermal zone."""

    name: str
    mdegc: int
    trips_mdegc: dict[str, int]  # kind (passive, hot, critical) to the lowest temperature at which it acts


@dataclass(frozen=True, slots=True)
class Memory:
    """The machine's memory."""

    total_kib: int
    available_kib: int


@dataclass(frozen=True, slots=True)
class HostWord:
    """One look at the machine, for the record of health."""

    soc_mdegc: int | None
    throttled_bits: int | None
    disk_free_mib: int | None
    disk_wear_ppm: int | None
    clock: KernelClock | None
    rss_kib: int  # of the processes asked about, together


class Host:
    """The machine below ``root``."""

    def __init__(
        self, root: Path = Path("/"), *, ask_kernel_clock: Callable[[], KernelClock | None] = kernel_clock
    ) -> None:
        """Look at the machine whose ``sys`` and ``proc`` lie in ``root``."""
        self._root = root
        self._ask_kernel_clock = ask_kernel_clock

    def word(self, directory: Path, *, pids: Iterable[int]) -> HostWord:
        """Return what a record of health says of the machine.

        Args:
            directory: the device's; its disk counts.
            pids: the agent's processes.
        """
        disk = self.disk(directory)
        return HostWord(
            soc_mdegc=self.soc_mdegc(),
            throttled_bits=self.throttled_bits(),
            disk_free_mib=free_mib(directory),
            disk_wear_ppm=disk.wear_ppm if disk else None,
            clock=self.clock(),
            rss_kib=self.rss_kib(pids),
        )

    def soc_mdegc(self) -> int | None:
        """Return how hot the processor is: its hottest zone, else its chip's thermometer, else any zone."""
        zones = [zone for zone in self.zones() if zone.name not in _LYING_ZONES]
        processor = [zone.mdegc for zone in zones if _PROCESSOR_ZONE.search(zone.name)]
        return max(processor or [*self._chip_mdegc()] or [zone.mdegc for zone in zones], default=None)

    def zones(self) -> tuple[Zone, ...]:
        """Return the thermal zones that give a sensible temperature."""
        found = []
        for folder in self._classes("thermal/thermal_zone*"):
            mdegc = _number(folder / "temp")
            if mdegc is not None and mdegc in _SENSIBLE_MDEGC:
                found.append(Zone(_text(folder / "type") or folder.name, mdegc, _trips_mdegc(folder)))
        return tuple(found)

    def throttled_bits(self) -> int | None:
        """Return what holds the machine back, in the Raspberry Pi's bits.

        A Pi's firmware gives all of them; elsewhere a voltage alarm is bit 0 and a slowed processor bit 1.
        """
        for path in sorted((self._root / "sys" / "devices" / "platform").glob("soc*/soc*firmware/get_throttled")):
            bits = _number(path, base=16)
            if bits is not None and 0 <= bits < 1 << 32:
                return bits
        alarm, slowed = self._voltage_alarm(), self.is_slowed()
        if alarm is None and slowed is None:
            return None
        return (UNDER_VOLTAGE if alarm else 0) | (FREQUENCY_CAPPED if slowed else 0)

    def is_slowed(self) -> bool | None:
        """Whether the kernel holds a processor back to cool it; None where it has no such means."""
        states = [
            _number(folder / "cur_state")
            for folder in self._classes("thermal/cooling_device*")
            if _SLOWING_DEVICES.match(_text(folder / "type"))
        ]
        known = [state for state in states if state is not None]
        return any(state > 0 for state in known) if known else None

    def over_current_events(self) -> int | None:
        """Return how often a Jetson has throttled for want of current since it started; None on other machines."""
        counts = [_number(path) for path in self._classes("hwmon/hwmon*/oc*_event_cnt")]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def disk(self, directory: Path) -> Disk | None:
        """Return the disk under ``directory``; None where there is no telling."""
        number = self._device_number(directory)
        return None if number is None else disk_under(self._root, number)

    def clock(self) -> KernelClock | None:
        """Return the kernel's word on its clock."""
        return self._ask_kernel_clock()

    def memory(self) -> Memory | None:
        """Return the machine's memory."""
        lines = _fields(self._root / "proc" / "meminfo")
        try:
            return Memory(int(lines["MemTotal"].split()[0]), int(lines["MemAvailable"].split()[0]))
        except (KeyError, ValueError, IndexError):
            return None

    def rss_kib(self, pids: Iterable[int]) -> int:
        """Return the resident memory of ``pids`` together, shared pages counted once a process; the gone count 0."""
        total = 0
        for pid in pids:
            words = _fields(self._root / "proc" / str(pid) / "status").get("VmRSS", "").split()
            total += int(words[0]) if words and words[0].isdecimal() else 0
        return total

    def model_name(self) -> str | None:
        """Return what the board calls itself; None where it does not (most PCs)."""
        return _text(self._root / "proc" / "device-tree" / "model").rstrip("\x00") or None

    def _voltage_alarm(self) -> bool | None:
        for folder in self._classes("hwmon/hwmon*"):
            if _text(folder / "name") == "rpi_volt":
                alarm = _number(folder / "in0_lcrit_alarm")
                return None if alarm is None else alarm > 0
        return None

    def _chip_mdegc(self) -> Iterator[int]:
        for folder in self._classes("hwmon/hwmon*"):
            if _text(folder / "name") in _PROCESSOR_CHIPS:
                mdegc = _number(folder / "temp1_input")
                if mdegc is not None and mdegc in _SENSIBLE_MDEGC:
                    yield mdegc

    def _classes(self, pattern: str) -> list[Path]:
        return sorted((self._root / "sys" / "class").glob(pattern))

    def _device_number(self, directory: Path) -> tuple[int, int] | None:
        """Take the mount table's word: an overlay or btrfs has a number of its own that no disk answers to."""
        where = directory.resolve()
        best: tuple[int, str, str] | None = None
        for line in _text(self._root / "proc" / "self" / "mountinfo").splitlines()[:_MOUNTS_MAX]:
            left, _, right = line.partition(" - ")
            words, source = left.split(), right.split()
            if len(words) < 5 or len(source) < 2:
                continue
            point = words[4].replace("\\040", " ")
            if where.is_relative_to(point) and (best is None or len(point) >= best[0]):
                best = (len(point), words[2], source[1])
        return None if best is None else self._numbered(best[1], best[2])

    def _numbered(self, number: str, source: str) -> tuple[int, int] | None:
        if number.startswith("0:"):  # btrfs: the source names the disk, sysfs knows its number
            number = _text(self._root / "sys" / "class" / "block" / Path(source).name / "dev")
        major, _, minor = number.partition(":")
        return (int(major), int(minor)) if major.isdecimal() and minor.isdecimal() else None


def free_mib(directory: Path) -> int | None:
    """Return the MiB free for this user on the file system of ``directory``."""
    try:
        stat = os.statvfs(directory)
    except OSError:
        return None
    return stat.f_bavail * stat.f_frsize >> 20


def _trips_mdegc(folder: Path) -> dict[str, int]:
    trips: dict[str, int] = {}
    for number in range(_TRIPS_MAX):
        mdegc = _number(folder / f"trip_point_{number}_temp")
        if mdegc is None:
            break
        kind = _text(folder / f"trip_point_{number}_type")
        if mdegc > 0:  # boards switch a trip off by setting it to nothing or less
            trips[kind] = min(mdegc, trips.get(kind, mdegc))
    return trips


def _fields(path: Path) -> dict[str, str]:
    parts = (line.partition(":") for line in _text(path).splitlines())
    return {name: value.strip() for name, _, value in parts}


def _number(path: Path, *, base: int = 10) -> int | None:
    try:
        return int(_text(path), base)
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
