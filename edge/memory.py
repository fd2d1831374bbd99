"""How much memory a process has resident, and how it gives back what it only needed to start."""

import ctypes
import resource
import sys
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
_MADV_PAGEOUT: Final = 21
_MAPPED_WORDS: Final = 5


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


def give_back(maps: Path = PROC / "self" / "maps") -> None:
    """Give back what was needed to start and is not needed to go on: freed heap, and library pages read only once.

    Loading OpenCV and ONNX Runtime touches tens of mebibytes of code that never runs again. ``MADV_PAGEOUT``
    (madvise(2), Linux 5.4) drops such pages; whatever is needed after all comes back from the page cache by itself.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        libc.malloc_trim(0)
        for line in maps.read_text(encoding="utf-8", errors="replace").splitlines():
            span, rights, *_, path = line.split(maxsplit=5) if line.count(" ") >= _MAPPED_WORDS else ("", "", "")
            if path.startswith("/") and "w" not in rights and rights.startswith("r"):
                begin, end = (int(word, 16) for word in span.split("-"))
                libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _MADV_PAGEOUT)
    except (OSError, ValueError, AttributeError):
        return  # another C library, or no such file: nothing is owed
