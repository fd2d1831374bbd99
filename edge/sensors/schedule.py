"""Reads sensors at a steady period; a sensor that fails is counted and asked again, never guessed."""

from collections.abc import Sequence

from edge.log import get_logger
from edge.sensors.sensor import Sensor, SensorError
from protocol.observation import Reading
from protocol.units import UnixMs

log = get_logger()


class SensorSchedule:
    """All sensors of a device, read together. Knows no clock."""

    def __init__(self, sensors: Sequence[Sensor], *, period_ms: int) -> None:
        """Read ``sensors`` at the first call of `read_due` and every ``period_ms`` after it."""
        self._sensors = tuple(sensors)
        self._period_ms = period_ms
        self._last_ms: UnixMs | None = None
        self.failures = 0

    def __len__(self) -> int:
        return len(self._sensors)

    def read_due(self, *, now_ms: UnixMs) -> list[Reading]:
        """Return a reading of each sensor that works, if the period has passed or the clock has stepped back."""
        if self._last_ms is not None and 0 <= now_ms - self._last_ms < self._period_ms:
            return []
        self._last_ms = now_ms
        readings = []
        for sensor in self._sensors:
            try:
                readings += [each for each in sensor.read(at_ms=now_ms) if isinstance(each, Reading)]
            except SensorError as error:
                self.failures += 1
                log.warning("sensor_failed", sensor=sensor.name, reason=str(error))
        return readings
