"""What the intake has done since it started, for `/v1/health`. Never feeds back into a verdict."""

import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from protocol.units import UnixMs
from protocol.verdict import Verdict

_KEPT_TIMINGS: Final = 1_000


@dataclass(frozen=True, slots=True)
class IntakeReadings:
    """One look at the gauges."""

    received: int
    verdicts: dict[str, int]  # by slug, refused and accepted
    dropped: int  # unconfirmed (QoS 0) deliveries that found the inbox full
    batches: int
    fsync_ms_p50: float
    fsync_ms_p99: float
    last_beacon_at_ms: UnixMs | None
    index_failures: int


class IntakeGauges:
    """Counters that the intake's threads share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._verdicts: Counter[Verdict] = Counter()
        self._timings_ms: deque[float] = deque(maxlen=_KEPT_TIMINGS)
        self._dropped = 0
        self._batches = 0
        self._index_failures = 0
        self._last_beacon_at_ms: UnixMs | None = None

    def batch_logged(self, verdicts: Counter[Verdict], fsync_ms: float) -> None:
        """Count one batch that is on disk."""
        with self._lock:
            self._verdicts.update(verdicts)
            self._timings_ms.append(fsync_ms)
            self._batches += 1

    def delivery_dropped(self) -> None:
        """Count a QoS 0 delivery for which there was no room."""
        with self._lock:
            self._dropped += 1

    def index_failed(self) -> None:
        """Count a transaction that has to be tried again."""
        with self._lock:
            self._index_failures += 1

    def beacon_relayed(self, at_ms: UnixMs) -> None:
        """Note when the last beacon went out."""
        with self._lock:
            self._last_beacon_at_ms = at_ms

    def read(self) -> IntakeReadings:
        """Return all of it at one moment."""
        with self._lock:
            timings = sorted(self._timings_ms) or [0.0]
            return IntakeReadings(
                received=self._verdicts.total(),
                verdicts={verdict.slug: count for verdict, count in sorted(self._verdicts.items())},
                dropped=self._dropped,
                batches=self._batches,
                fsync_ms_p50=timings[len(timings) // 2],
                fsync_ms_p99=timings[len(timings) * 99 // 100],
                last_beacon_at_ms=self._last_beacon_at_ms,
                index_failures=self._index_failures,
            )
