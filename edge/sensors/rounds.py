"""Asks every sensor at its own period, each in a thread of its own: one that hangs delays nobody.

This is the supervisor of drivers that others may have written. Whatever they raise is caught where the thread's result
is taken, becomes one sentence and is counted; after something that is not a SensorError the sensor is opened anew.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import msgspec

from edge.sensors.fix import Fix
from edge.sensors.messages import FixTold, Message, ReadingTold, SensorFailed
from edge.sensors.opening import foreign_words
from edge.sensors.quantities import FlatlineWatch, checked
from edge.sensors.sensor import Measurement, Sensor, SensorAddress, SensorError
from protocol.errors import MalformedError
from protocol.observation import Reading
from protocol.units import UnixMs

HANGING_AFTER_S: Final = 15.0  # our own drivers give up after five
_MEASUREMENTS_MAX: Final = 64  # in one answer

SensorOpener = Callable[[SensorAddress], Sensor]


class _Turns:
    """One sensor: when it is due, whether it is being asked, what it answered."""

    def __init__(self, address: SensorAddress, open_sensor: SensorOpener, *, period_s: float, due_s: float) -> None:
        self._address = address
        self._open_sensor = open_sensor
        self._period_s = period_s
        self.due_s = due_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=str(address))
        self._sensor: Sensor | None = None  # touched by that thread only
        self._is_spoilt = False  # a foreign error came out of it
        self._asked: Future[tuple[Measurement, ...]] | None = None
        self._asked_at_s = 0.0
        self._complaint_s = 0.0  # when a driver that hangs is complained of next
        self._flatlines = FlatlineWatch()
        self.failures = 0

    @property
    def is_busy(self) -> bool:
        return self._asked is not None

    @property
    def next_s(self) -> float:
        """When something happens here at the latest, apart from an answer."""
        return self._complaint_s if self.is_busy else self.due_s

    def ask(self, *, now_s: float, now_ms: UnixMs, wake: Callable[[], None]) -> None:
        """Ask if it is due."""
        if self.is_busy or now_s < self.due_s:
            return
        # Turns that were missed are not made up for.
        next_s = self.due_s + self._period_s
        self.due_s = next_s if next_s > now_s else now_s + self._period_s
        self._asked_at_s, self._complaint_s = now_s, now_s + HANGING_AFTER_S
        self._asked = self._thread.submit(self._read, now_ms)
        self._asked.add_done_callback(lambda _: wake())

    def answer(self, *, now_s: float) -> list[Message]:
        """Return what has been answered since."""
        if self._asked is None:
            return []
        if not self._asked.done():
            if now_s < self._complaint_s:
                return []
            self._complaint_s = now_s + max(self._period_s, HANGING_AFTER_S)
            hangs_s = now_s - self._asked_at_s
            return [self._failure(f"{self._address} has not answered for {hangs_s:.0f} s: unplug it and plug it in")]
        asked, self._asked = self._asked, None
        error = asked.exception()
        if error is not None:
            self._is_spoilt = not isinstance(error, SensorError)
            return [self._failure(foreign_words(str(self._address), error))]
        return [self._told(measurement, now_s) for measurement in asked.result()]

    def stop(self) -> None:
        """Close the sensor after what it is doing now; nobody waits for that."""
        self._thread.submit(self._close)
        self._thread.shutdown(wait=False)

    def _read(self, now_ms: UnixMs) -> tuple[Measurement, ...]:
        if self._is_spoilt:
            self._is_spoilt = False
            self._close()
        if self._sensor is None:
            self._sensor = self._open_sensor(self._address)
        return vetted(self._sensor.read(at_ms=now_ms), name=str(self._address))

    def _close(self) -> None:
        sensor, self._sensor = self._sensor, None
        if sensor is not None:
            sensor.close()

    def _told(self, measurement: Measurement, now_s: float) -> Message:
        if isinstance(measurement, Fix):
            return FixTold(str(self._address), measurement)
        return ReadingTold(str(self._address), self._flatlines.judged(measurement, at_s=now_s))

    def _failure(self, says: str) -> SensorFailed:
        self.failures += 1
        return SensorFailed(str(self._address), says, self.failures)


def vetted(measurements: object, *, name: str) -> tuple[Measurement, ...]:
    """Return what a driver gave if it is what the seam promises: nothing that others wrote is believed.

    Raises:
        SensorError: it is not.
    """
    if not isinstance(measurements, tuple) or not 0 < len(measurements) <= _MEASUREMENTS_MAX:
        raise SensorError(f"the driver of {name} gave no tuple of measurements: report it to whoever wrote the driver")
    return tuple(_vetted_one(measurement, name) for measurement in measurements)


def _vetted_one(measurement: object, name: str) -> Measurement:
    try:
        if isinstance(measurement, Fix):
            return msgspec.json.decode(msgspec.json.encode(measurement), type=Fix)
        if isinstance(measurement, Reading):
            return checked(msgspec.json.decode(msgspec.json.encode(measurement), type=Reading), name=name)
    except (msgspec.MsgspecError, MalformedError, TypeError, ValueError, OverflowError) as error:
        raise SensorError(foreign_words(name, error)) from error
    raise SensorError(
        f"the driver of {name} gave {type(measurement).__name__}, no measurement: report it to its author"
    )


class SensorRounds:
    """All sensors of a device. Used by one thread; knows no clock."""

    def __init__(
        self, addresses: Sequence[SensorAddress], open_sensor: SensorOpener, *, period_ms: int, now_s: float
    ) -> None:
        """Prepare to ask each of ``addresses`` at once and then at its own period, else every ``period_ms``."""
        self._turns = [
            _Turns(address, open_sensor, period_s=(address.period_ms or period_ms) / 1_000, due_s=now_s)
            for address in addresses
        ]

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def failures(self) -> int:
        """How often a sensor gave nothing."""
        return sum(turns.failures for turns in self._turns)

    def turn(self, *, now_s: float, now_ms: UnixMs, wake: Callable[[], None]) -> list[Message]:
        """Take the answers that have come and ask who is due.

        Args:
            now_s: a monotonic clock's.
            now_ms: the device's clock.
            wake: called from another thread as soon as an answer is there.
        """
        told = [message for turns in self._turns for message in turns.answer(now_s=now_s)]
        for turns in self._turns:
            turns.ask(now_s=now_s, now_ms=now_ms, wake=wake)
        return told

    def next_s(self, *, at_most_s: float) -> float:
        """Return when `turn` has something to do next, answers apart."""
        return min([turns.next_s for turns in self._turns] + [at_most_s])

    def stop(self) -> None:
        """Close what can be closed; a driver that hangs is left to the end of the process."""
        for turns in self._turns:
            turns.stop()
