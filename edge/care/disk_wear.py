"""Which disk a directory lies on and how worn it is, as Linux tells it without starting any program.

eMMC says it itself (JEDEC JESD84-B51: DEVICE_LIFE_TIME_EST_TYP_A and _B in steps of a tenth, PRE_EOL_INFO;
Documentation/driver-api/mmc/mmc-dev-attrs.rst). SD cards have no such register. NVMe and SATA disks say it to
`smartctl` only (edge/doctor/wear.py): the record of health leaves it out, as it never starts a program.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

DiskKind = Literal["emmc", "sd", "nvme", "sata", "other"]

_MMC: Final = re.compile(r"mmcblk\d+")
_NVME: Final = re.compile(r"nvme\d+n\d+")
_LIFE_EXCEEDED: Final = 0x0B
_LIFE_STEP_PPM: Final = 100_000
_SLAVES_MAX: Final = 8  # layers of encryption and volumes under one file system


@dataclass(frozen=True, slots=True)
class Disk:
    """One physical disk; None where it does not say."""

    name: str  # as the kernel calls it: mmcblk0
    kind: DiskKind
    wear_ppm: int | None = None  # of the life its maker promises, at most this much is used
    reserve_word: Literal["normal", "low", "nearly gone"] | None = None  # spare blocks, eMMC only


def disk_under(root: Path, device_number: tuple[int, int]) -> Disk | None:
    """Return the disk that holds the file system ``device_number`` (major, minor).

    Args:
        root: where the machine's ``sys`` lies: ``/``.
        device_number: of any file on it, as ``os.stat`` gives it.

    Returns:
        None where the file system lies on no disk of this machine (memory, network, an overlay).
    """
    major, minor = device_number
    entry = root / "sys" / "dev" / "block" / f"{major}:{minor}"
    if not entry.exists():
        return None
    folder = _whole_disk(entry.resolve())
    for _ in range(_SLAVES_MAX):
        below = sorted(folder.glob("slaves/*"))
        if not below:
            break
        folder = _whole_disk(below[0].resolve())
    return _described(folder)


def _whole_disk(folder: Path) -> Path:
    return folder.parent if (folder / "partition").exists() else folder


def _described(folder: Path) -> Disk:
    name = folder.name
    if _MMC.fullmatch(name):
        if _text(folder / "device" / "type") == "SD":
            return Disk(name, "sd")
        wears = [ppm for ppm in _lives_ppm(folder) if ppm is not None]
        return Disk(name, "emmc", max(wears, default=None), _reserve_word(folder))
    if _NVME.fullmatch(name):
        return Disk(name, "nvme")
    return Disk(name, "sata" if re.fullmatch(r"sd[a-z]+", name) else "other")


def _lives_ppm(folder: Path) -> Iterator[int | None]:
    for word in _text(folder / "device" / "life_time").split():
        try:
            step = int(word, 16)
        except ValueError:
            continue
        # 0x01 is 0 to 10 % used, 0x0A is 90 to 100 %, 0x0B is beyond; 0x00 and the rest are not defined.
        yield step * _LIFE_STEP_PPM if 1 <= step <= _LIFE_EXCEEDED else None


def _reserve_word(folder: Path) -> Literal["normal", "low", "nearly gone"] | None:
    match _text(folder / "device" / "pre_eol_info").lower():
        case "0x01":
            return "normal"
        case "0x02":
            return "low"
        case "0x03":
            return "nearly gone"
        case _:
            return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
