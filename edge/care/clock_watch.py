"""What the kernel says of its clock, and whether that clock has been set by jumps since the agent started."""

import ctypes
from dataclasses import dataclass
from typing import Final

from protocol.observation import ClockSource

_UNSYNCHRONISED: Final = 0x0040  # STA_UNSYNC of adjtimex(2)
_STEP_MIN_MS: Final = 500  # NTP daemons slew what is smaller; a loaded machine delays two readings by less


@dataclass(frozen=True, slots=True)
class KernelClock:
    """The kernel's word on its clock."""

    is_synchronised: bool  # some daemon (timesyncd, chrony, ntpd) has told it so and not taken it back
    error_max_ms: int  # the worst that it may be off by, as far as the kernel knows


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_int),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),  # longer than what follows on any machine
    )


def kernel_clock() -> KernelClock | None:
    """Ask adjtimex(2), which changes nothing when asked so; None where there is none."""
    timex = _Timex()
    try:
        answer = ctypes.CDLL(None).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if answer < 0:
        return None
    return KernelClock(not timex.status & _UNSYNCHRONISED, timex.maxerror // 1000)


def source_of(clock: KernelClock | None, *, has_gnss_time: bool = False) -> ClockSource:
    """Return what the clock follows, for the record of health."""
    if has_gnss_time:
        return ClockSource.GNSS
    if clock is None:
        return ClockSource.UNKNOWN
    return ClockSource.NTP if clock.is_synchronised else ClockSource.FREE


class ClockSteps:
    """Counts the jumps of the wall clock against the monotonic one; slow corrections are no jumps."""

    def __init__(self, *, step_min_ms: int = _STEP_MIN_MS) -> None:
        """Count jumps of at least ``step_min_ms`` between two looks."""
        self._step_min_ms = step_min_ms
        self._offset_ms: int | None = None
        self.count = 0
        self.last_ms: int | None = None  # by how much the last jump went forward

    def look(self, *, wall_ms: int, monotonic_ms: int) -> int | None:
        """Take one look at both clocks; return by how much the wall clock has jumped since the last, None if not."""
        offset_ms = wall_ms - monotonic_ms
        before_ms, self._offset_ms = self._offset_ms, offset_ms
        if before_ms is None or abs(offset_ms - before_ms) < self._step_min_ms:
            return None
        self.count += 1
        self.last_ms = offset_ms - before_ms
        return self.last_ms
