"""The seam behind which every sensor stands, the word that opens one, and the one error of all of them."""

import re
from dataclasses import dataclass
from typing import Final, Protocol, Self

from edge.errors import EdgeError
from edge.sensors.fix import Fix
from protocol.observation import Reading
from protocol.units import UnixMs

ENTRY_POINT_GROUP: Final = "cairn.sensors"
PERIOD_MIN_MS: Final = 1_000
PERIOD_MAX_MS: Final = 86_400_000
_WORD: Final = re.compile(r"(?P<kind>[a-z][a-z0-9_]*):(?P<rest>[^\s@\x00-\x1f\x7f]*)(?:@(?P<period_ms>[0-9]{1,9}))?")
_WORD_MAX: Final = 200

Measurement = Reading | Fix


class SensorError(EdgeError):
    """The sensor is absent or gives nonsense; the message says what to do."""


@dataclass(frozen=True, slots=True)
class SensorAddress:
    """Which sensor, as the settings say it: ``kind:rest`` or, with a period of its own, ``kind:rest@300000``."""

    kind: str  # the name of the driver, an entry point of group ``cairn.sensors``
    rest: str  # for the driver to read
    period_ms: int | None = None  # None: as often as the rest of the device's sensors
    seed: int = 0  # what simulated sensors draw from; the others ignore it

    @classmethod
    def parse(cls, word: str, *, seed: int = 0) -> Self:
        """Read what the settings say.

        Raises:
            SensorError: not of that form, or a period out of range.
        """
        found = _WORD.fullmatch(word) if len(word) <= _WORD_MAX else None
        if found is None:
            raise SensorError(f"{word[:80]!r} is no sensor: write KIND:WHICH, for example hwmon:CHIP/temp1")
        period_ms = None if found["period_ms"] is None else int(found["period_ms"])
        if period_ms is not None and not PERIOD_MIN_MS <= period_ms <= PERIOD_MAX_MS:
            raise SensorError(
                f"{word!r} has a period of {period_ms} ms: write one of {PERIOD_MIN_MS} to {PERIOD_MAX_MS}"
            )
        return cls(found["kind"], found["rest"], period_ms, seed)

    def __str__(self) -> str:
        """Return the sensor's name for people, without its period."""
        return f"{self.kind}:{self.rest}"


class Sensor(Protocol):
    """One device that measures one thing or several at one place. One error family: SensorError."""

    @property
    def name(self) -> str:
        """The word that opens it, for people and logs."""
        ...

    def read(self, *, at_ms: UnixMs) -> tuple[Measurement, ...]:
        """Wait for the next measurement, a few seconds at most, and return what it says; at least one thing.

        Args:
            at_ms: the device's clock at the moment of the call. Nothing returned is older, unless the sensor is read
                again and again without a pause: then nothing is left out.

        Raises:
            SensorError: absent, silent, or not a number in its physical range. It may be asked again.
        """
        ...

    def close(self) -> None:
        """Let go of it; once is enough, twice does no harm. Never raises."""
        ...
