"""Names and durable acts: where segments lie, and what makes a write survive a power cut."""

import fcntl
import os
import re
from pathlib import Path
from typing import Final

OPEN_SUFFIX: Final = ".car.open"
SEALED_SUFFIX: Final = ".car"
_NAME: Final = re.compile(r"segment-([0-9]{8,})")

# Where the system offers it, skip what no reader needs (the time of change).
sync_file = getattr(os, "fdatasync", os.fsync)


def segment_name(segment: int) -> str:
    """Return the name of a segment's file without its suffix."""
    return f"segment-{segment:08d}"


def segment_number(path: Path) -> int:
    """Return the number of a file that `sealed_segments` or `open_segments` listed."""
    return int(path.name.partition(".")[0].removeprefix("segment-"))


def sealed_segments(directory: Path) -> list[Path]:
    """Return the sealed segments in the order they were written."""
    return _segments(directory, SEALED_SUFFIX)


def open_segments(directory: Path) -> list[Path]:
    """Return the unsealed segments: one, or none before the first start and in the instant of a roll."""
    return _segments(directory, OPEN_SUFFIX)


def sync_directory(directory: Path) -> None:
    """Make names that were created, renamed or removed in ``directory`` survive a power cut.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock_directory(directory: Path) -> int:
    """Admit one writer; the lock goes when the returned descriptor is closed or its process ends, however it ends.

    Raises:
        BlockingIOError: another one holds it.
        OSError: the lock file cannot be made.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def write_whole(descriptor: int, content: bytes | bytearray) -> None:
    """Write all of ``content`` at the descriptor's place; the system may take it in parts.

    Raises:
        OSError: the disk refused, with any part of it written.
    """
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _segments(directory: Path, suffix: str) -> list[Path]:
    found = [path for path in directory.iterdir() if _NAME.fullmatch(path.name.removesuffix(suffix))]
    return sorted((path for path in found if path.name.endswith(suffix)), key=segment_number)
