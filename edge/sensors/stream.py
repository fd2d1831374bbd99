"""Sensors that speak unasked, over a line: bytes come in, whole measurements go out."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from edge.sensors.lines import SteadyLine
from edge.sensors.sensor import Measurement, SensorError
from protocol.units import UnixMs

QUIET_S: Final = 0.25  # what speaks once a second pauses longer than this after each burst
_STALE_AFTER_S: Final = 0.2  # who asks after a longer pause wants to know how it is now, not what lies in the port


class Listener(Protocol):
    """A parser: it knows no line and no clock, and no bytes whatever make it fail."""

    def feed(self, chunk: bytes, *, at_ms: UnixMs) -> Sequence[tuple[Measurement, ...]]:
        """Take in bytes that arrived at ``at_ms`` and return what they complete, in order."""
        ...

    def pause(self, *, at_ms: UnixMs) -> Sequence[tuple[Measurement, ...]]:
        """Learn that nothing has come for a moment; return what that completes."""
        ...

    def forget(self) -> None:
        """Drop what is half heard, and all complaints about it."""
        ...

    def complaint(self) -> str:
        """Return what is wrong with what has been heard, with an advice; for when nothing comes of it."""
        ...


class StreamSensor:
    """A line and the listener that understands it."""

    def __init__(
        self,
        line: SteadyLine,
        listener: Listener,
        *,
        name: str,
        patience_s: float,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen to ``line``; nothing is opened yet.

        Args:
            line: where its bytes come from.
            listener: what makes sense of them.
            name: the word that opened it.
            patience_s: how long one `read` waits.
            monotonic_s: the clock of waiting.
        """
        self._line = line
        self._listener = listener
        self._name = name
        self._patience_s = patience_s
        self._monotonic_s = monotonic_s
        self._pending: deque[tuple[Measurement, ...]] = deque()
        self._last_read_s: float | None = None

    @property
    def name(self) -> str:
        """The word that opened it."""
        return self._name

    def read(self, *, at_ms: UnixMs) -> tuple[Measurement, ...]:
        """Return the next measurement; see ``Sensor.read``.

        Who reads again and again misses nothing; who comes back after a pause gets no stale words.
        """
        began_s = self._monotonic_s()
        if self._last_read_s is None or began_s - self._last_read_s > _STALE_AFTER_S:
            self._pending.clear()
            self._line.forget()
            self._listener.forget()
        while not self._pending:
            elapsed_s = self._monotonic_s() - began_s
            if elapsed_s > self._patience_s:
                raise SensorError(f"{self._name} gave nothing for {self._patience_s:.0f} s: {self._complaint()}")
            chunk = self._line.receive(QUIET_S)
            now_ms = UnixMs(at_ms + int((self._monotonic_s() - began_s) * 1_000))
            heard = self._listener.feed(chunk, at_ms=now_ms) if chunk else self._listener.pause(at_ms=now_ms)
            self._pending.extend(heard)
        self._last_read_s = self._monotonic_s()
        return self._pending.popleft()

    def close(self) -> None:
        """Close the line."""
        self._line.close()

    def _complaint(self) -> str:
        return self._listener.complaint()
