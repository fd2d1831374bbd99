"""What a running agent is made of."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.eyes import Eyes
from edge.outbox import Outbox
from edge.scribe import Scribe
from edge.sensors.schedule import SensorSchedule
from edge.uplink import Uplink

_KEPT: Final = 1_000


class Latencies:
    """How long the last observations took from the frame that brought them to the outbox, durable."""

    def __init__(self) -> None:
        """Begin with none."""
        self._under_way: list[int] = []
        self._done_us: deque[int] = deque(maxlen=_KEPT)

    def begin(self, read_at_ns: Sequence[int]) -> None:
        """Observations have come whose frames were read at these moments (CLOCK_MONOTONIC)."""
        self._under_way += read_at_ns

    def all_durable(self, now_ns: int) -> None:
        """Everything that had come is in the outbox now."""
        self._done_us += [(now_ns - each) // 1000 for each in self._under_way]
        self._under_way.clear()

    def p95_ms(self) -> float | None:
        """Return what 95 of 100 took at most; None before the first."""
        if not self._done_us:
            return None
        ordered = sorted(self._done_us)
        return ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)] / 1000


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the keeper."""

    outbox: Outbox
    uplink: Uplink
    scribe: Scribe
    sensors: SensorSchedule
    eyes: Eyes | None  # None: sensors only
    latencies: Latencies = field(default_factory=Latencies)
