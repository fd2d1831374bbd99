"""How much memory a process has resident, and how it gives back what it only needed to start."""

import ctypes
import re
import resource
import sys
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_MADV_DONTNEED: Final = 4
_MAPPING: Final = re.compile(r"(?P<begin>[0-9a-f]+)-(?P<end>[0-9a-f]+) (?P<rights>\S+) \S+ \S+ \d+ *(?P<path>.*)")


def peak_rss_kib(proc: Path = PROC) -> int:
    """Return the most memory this process has had resident, in KiB."""
    # Not getrusage where it can be had otherwise: on Linux it inherits the peak of whoever started this process.
    if (peak := _status_kib(proc / "self", "VmHWM")) is not None:
        return peak
    told = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return told // 1024 if sys.platform == "darwin" else told


def rss_kib(pid: int | None = None, *, proc: Path = PROC) -> int:
    """Return the memory that ``pid`` (this process where not given) has resident, in KiB; 0 if it cannot be told."""
    return _status_kib(proc / ("self" if pid is None else str(pid)), "VmRSS") or 0


def _status_kib(folder: Path, name: str) -> int | None:
    try:
        for line in (folder / "status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return None


def give_back(smaps: Path = PROC / "self" / "smaps") -> None:
    """Give back what was needed to start and is not needed to go on: freed heap, and library pages read only once.

    Loading OpenCV and ONNX Runtime touches tens of mebibytes of code that never runs again. ``MADV_DONTNEED``
    (madvise(2)) lets go of such pages where they are a file's, unchanged; the page cache keeps them as long as it has
    room, and whatever is needed after all comes back from there by itself.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        libc.malloc_trim(0)
        for begin, size in unchanged_file_spans(smaps.read_text(encoding="utf-8", errors="replace")):
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(size), _MADV_DONTNEED)
    except (OSError, AttributeError):
        return  # another C library, or no such file: nothing is owed


def unchanged_file_spans(smaps: str) -> list[tuple[int, int]]:
    """Return begin and size of the mappings of files that cannot be written and hold no page of our own.

    Args:
        smaps: /proc/PID/smaps (proc(5)). A page that was changed, by the linker for example, counts as anonymous: to
            let go of it would undo the change.
    """
    spans: list[tuple[int, int]] = []
    candidate: tuple[int, int] | None = None
    for line in smaps.splitlines():
        if (found := _MAPPING.match(line)) is not None:
            begin, end = int(found["begin"], 16), int(found["end"], 16)
            candidate = (begin, end - begin) if found["path"].startswith("/") and "w" not in found["rights"] else None
        elif line.startswith("Anonymous:") and candidate is not None:
            if line.split()[1] == "0":
                spans.append(candidate)
            candidate = None
    return spans
