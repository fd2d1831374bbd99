"""The seam behind which every sensor stands, and its one error."""

from typing import Protocol

from edge.errors import EdgeError
from protocol.observation import Reading
from protocol.units import UnixMs


class SensorError(EdgeError):
    """The sensor is absent or gives nonsense; the message says what to do."""


class Sensor(Protocol):
    """One quantity at one place. One error family: SensorError."""

    @property
    def name(self) -> str:
        """The word that opens it, for people and logs."""
        ...

    def read(self, *, at_ms: UnixMs) -> Reading:
        """Return the present value, measured at ``at_ms``.

        Raises:
            SensorError: absent, or not a number in its physical range.
        """
        ...
