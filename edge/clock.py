"""The one place that reads the device's clock; everybody else is given it."""

import time

from protocol.units import UnixMs


def clock_ms() -> UnixMs:
    """Return the device's time."""
    return UnixMs(time.time_ns() // 1_000_000)
