"""What a running agent is made of."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.care.warden import Warden, Watched
from edge.eyes import Eyes
from edge.keeping.builder import coarsened
from edge.keeping.outbox import Outbox
from edge.keeping.scribe import Scribe
from edge.models.keeper import ModelKeeper
from edge.sending.uplinks import Uplinks
from edge.senses import Senses
from edge.sensors.fix import Fix
from edge.sensors.whereabouts import PlaceRules, Whereabouts, whereabouts
from edge.supervisor import Child
from protocol.observation import Position
from protocol.units import UnixMs

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


class Whither:
    """Where the device is, as far as it tells: the settings' place, or what a satellite receiver says."""

    def __init__(self, rules: PlaceRules) -> None:
        """Begin at the settings' place."""
        self._rules = rules
        self._last: Whereabouts | None = None

    def place(self, fix: Fix | None, *, now_ms: UnixMs) -> Position:
        """Return the present place, coarse already."""
        self._last = whereabouts(fix, self._rules, self._last, now_ms=now_ms)
        return coarsened(self._last.position, grid_udeg=self._rules.grid_udeg)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of the keeper."""

    outbox: Outbox
    uplinks: Uplinks
    scribe: Scribe
    whither: Whither
    warden: Warden
    eyes: Eyes | None  # None: sensors only
    senses: Senses | None  # None: no sensors
    models: ModelKeeper | None  # None: nothing that a model would be for
    is_leaving: bool  # another key is to follow: what there is is delivered, nothing new is signed
    latencies: Latencies = field(default_factory=Latencies)

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes that run beside this one."""
        seeing = self.eyes.children if self.eyes is not None else ()
        return (*seeing, self.senses.child) if self.senses is not None else seeing

    @property
    def watched(self) -> Watched:
        """What the warden looks at."""
        return Watched(
            outbox=self.outbox,
            eyes=self.eyes,
            senses=self.senses,
            observations_refused=lambda: self.scribe.refused,
            clock_offset_ms=lambda: self.uplinks.state.clock_offset_ms,
        )
