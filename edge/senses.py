"""The keeper's side of sensing: it starts the process that reads the sensors, and listens to it.

Drivers may be anybody's and serial ports hang, so none of them runs where the key is. Used by one thread.
"""

from typing import Final

from edge.confine import Confinement, confined_command
from edge.log import get_logger
from edge.sensors.fix import Fix
from edge.sensors.messages import (
    FixTold,
    Heartbeat,
    ReadingTold,
    SensingOrder,
    SensorFailed,
    decode_message,
    encode,
)
from edge.sensors.sensor import SensorError
from edge.supervisor import Child, Recipe
from protocol.observation import Reading

_SILENCE_MAX_S: Final = 15.0  # it beats every second

log = get_logger()


class Senses:
    """The sensing process; `feel` is called often."""

    def __init__(self, order: SensingOrder) -> None:
        """Prepare; the first `feel` starts it."""
        # gpsd is a neighbour on the network; everything else is a file.
        needs_network = any(address.kind == "gpsd" for address in order.addresses())
        confinement = Confinement(module="edge.sensing", has_network=needs_network)
        self.child = Child(Recipe("sensing", lambda: confined_command(confinement), lambda: encode(order)))
        self._failures: dict[str, int] = {}
        self._failures_before = 0
        self._heard_at_s = 0.0
        self.fix: Fix | None = None
        self.trouble: str | None = None

    @property
    def failures(self) -> int:
        """How often a sensor gave nothing."""
        return self._failures_before + sum(self._failures.values())

    def feel(self, now_s: float) -> tuple[Reading, ...]:
        """Keep the process going; return the readings that came since the last call."""
        readings: list[Reading] = []
        restarts = self.child.restarts
        for line in self.child.step(now_s):
            self._heard_at_s = now_s
            try:
                message = decode_message(line)
            except SensorError as error:
                log.warning("sensing_unintelligible", reason=str(error))
                self.child.restart()
                break
            match message:
                case ReadingTold(source, reading):
                    readings.append(reading)
                    self._is_well(source)
                case FixTold(source, fix):
                    self.fix = fix
                    self._is_well(source)
                case SensorFailed(source, says, failures):
                    self._failures[source] = failures
                    self.trouble = f"{source}: {says}"
                case Heartbeat():
                    pass
        if self.child.restarts > restarts:
            self._failures_before, self._failures = self.failures, {}
        if self.child.is_running and now_s - max(self._heard_at_s, self.child.started_at_s) > _SILENCE_MAX_S:
            log.warning("sensing_silent")
            self.child.restart()
        return tuple(readings)

    def _is_well(self, source: str) -> None:
        if self.trouble is not None and self.trouble.startswith(f"{source}: "):
            self.trouble = None
