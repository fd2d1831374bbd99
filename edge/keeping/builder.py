"""From observations to drafts of envelopes: small batches, one class each, a coarse position, nothing else.

An envelope is due when enough observations of a class wait or the oldest has waited long enough; the other classes go
with it in envelopes of their own, because one wait for the disk serves them all. The first envelope of a run is due at
once, so that the owner sees the device live. A health record never makes an envelope due before its time. Until a hub's
beacon has been heard, observations wait a while longer: an envelope without a beacon proves no time and is not paid.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final

from edge.keeping.book import lost_in_memory, merged
from edge.keeping.priority import Priority, priority_of
from protocol.beacon import NO_BEACON, Beacon
from protocol.envelope import MAX_OBSERVATIONS, NO_MODEL
from protocol.observation import Gap, Observation, Position
from protocol.units import Udeg, UnixMs

_MM_PER_UDEG = 112  # of latitude; longitude is never longer. 111.7 at the poles, rounded up: never claim too much
_HALF_DIAGONAL_PPM = 707_107  # half the diagonal of a unit square, rounded up
_SEEN: Final = frozenset({Priority.TRACK, Priority.EVENT})  # what a model says; the rest names none
_HEALTH_MAX: Final = 32  # records of health in one envelope: they are the longest observations there are


class Urgency(IntEnum):
    """What an envelope still waits for."""

    USUAL = 0  # more observations, and a beacon
    SOON = 1  # a beacon only
    NOW = 2  # nothing: whatever is in memory would be lost


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When an envelope is due, and how much may wait for one.

    Raises:
        ValueError: out of range or out of order.
    """

    max_observations: int = 64
    max_delay_ms: int = 5_000
    beacon_patience_ms: int = 30_000  # how long observations wait for the first beacon
    max_waiting: int = 4_096  # observations in memory while the outbox cannot take more

    def __post_init__(self) -> None:
        if not 1 <= self.max_observations <= MAX_OBSERVATIONS:
            raise ValueError(f"max_observations must be 1..{MAX_OBSERVATIONS}, not {self.max_observations}")
        if self.max_delay_ms < 0 or self.beacon_patience_ms < 0:
            raise ValueError("delays must not be negative")
        if self.max_waiting < self.max_observations:
            raise ValueError("max_waiting must be at least max_observations")


@dataclass(frozen=True, slots=True)
class Draft:
    """Everything in an envelope but its place in the chain."""

    beacon: Beacon
    model_digest: bytes
    agent_release: str
    position: Position
    created_at_ms: UnixMs
    observations: tuple[Observation, ...]

    @property
    def priority(self) -> Priority:
        """The class of what is in it: that of its first observation."""
        return priority_of(self.observations[0])


class DraftBuilder:
    """Collects observations and says when an envelope is due. Knows no clock; used by one thread."""

    def __init__(
        self, *, model_digest: bytes | None, agent_release: str, position: Position, limits: BatchLimits
    ) -> None:
        """Build for one device: its model (None: sensors only), its release, its position, coarse already."""
        self._model_digest = NO_MODEL if model_digest is None else model_digest
        self._agent_release = agent_release
        self._position = position
        self._limits = limits
        self._waiting: dict[Priority, deque[tuple[UnixMs, Observation]]] = {each: deque() for each in Priority}
        self._has_signed = False
        self._lost: Gap | None = None
        self.refused = 0  # observations that found no room or could not be signed, since the start

    def use_model(self, digest: bytes) -> None:
        """What is added from now on was seen by the model with this SHA-256; nothing of another one may wait."""
        self._model_digest = digest

    def move_to(self, position: Position) -> None:
        """What is drafted from now on was observed at ``position``, coarse already."""
        self._position = position

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    @property
    def lost(self) -> Gap | None:
        """What was lost in memory and does not stand in the outbox yet; see `booked`."""
        return self._lost

    def add(self, observation: Observation, *, now_ms: UnixMs) -> None:
        """Take in an observation; where too many wait, every second one of the lowest class is lost, and counted."""
        self._waiting[priority_of(observation)].append((now_ms, observation))
        if len(self) > self._limits.max_waiting:
            lowest = max(priority for priority, queue in self._waiting.items() if queue)
            queue = self._waiting[lowest]
            self._lose([added_at_ms for added_at_ms, _ in islice(queue, 0, None, 2)])
            self._waiting[lowest] = deque(islice(queue, 1, None, 2))

    def drafts(self, *, now_ms: UnixMs, beacon: Beacon | None, urgency: Urgency = Urgency.USUAL) -> tuple[Draft, ...]:
        """Return the envelopes that are due, at most one a class, the highest class first.

        Their observations stay waiting until `sent` says that they are signed.

        Args:
            now_ms: the device's time; becomes ``created_at_ms``.
            beacon: the latest beacon heard; None where none was.
            urgency: what not to wait for.
        """
        waited_ms = {each: now_ms - queue[0][0] for each, queue in self._waiting.items() if queue}
        if not waited_ms:
            return ()
        if urgency < Urgency.SOON and all(self._is_young(each, waited_ms[each], beacon) for each in waited_ms):
            return ()
        # A clock that stepped back must not hold observations for ever: a negative wait counts as long enough.
        patience_ms = self._limits.beacon_patience_ms
        if urgency < Urgency.NOW and beacon is None and all(0 <= each < patience_ms for each in waited_ms.values()):
            return ()
        return tuple(self.draft_of(self._first(each), now_ms=now_ms, beacon=beacon) for each in sorted(waited_ms))

    def draft_of(self, observations: Sequence[Observation], *, now_ms: UnixMs, beacon: Beacon | None) -> Draft:
        """Return the draft of an envelope for ``observations``, which are of one class and wait nowhere."""
        return Draft(
            beacon=beacon or NO_BEACON,
            model_digest=self._model_digest if priority_of(observations[0]) in _SEEN else NO_MODEL,
            agent_release=self._agent_release,
            position=self._position,
            created_at_ms=now_ms,
            observations=tuple(observations),
        )

    def sent(self, draft: Draft) -> None:
        """Forget the observations of ``draft``, one of the last that `drafts` returned: they are in the outbox."""
        self._has_signed = True
        for _ in draft.observations:
            self._waiting[draft.priority].popleft()

    def drop(self, draft: Draft) -> None:
        """Give up the observations of ``draft``, one of the last that `drafts` returned: no envelope can hold them."""
        queue = self._waiting[draft.priority]
        self._lose([queue.popleft()[0] for _ in draft.observations])

    def booked(self, lost: Gap) -> None:
        """Forget ``lost``, as `lost` returned it: it is in the outbox's books."""
        if self._lost == lost:
            self._lost = None

    def _is_young(self, priority: Priority, waited_ms: int, beacon: Beacon | None) -> bool:
        is_early = 0 <= waited_ms < self._limits.max_delay_ms
        if priority is Priority.HEALTH:
            return is_early
        is_first = not self._has_signed and beacon is not None
        return is_early and not is_first and len(self._waiting[priority]) < self._limits.max_observations

    def _first(self, priority: Priority) -> tuple[Observation, ...]:
        most = self._limits.max_observations
        at_most = min(most, _HEALTH_MAX) if priority is Priority.HEALTH else most
        return tuple(observation for _, observation in islice(self._waiting[priority], at_most))

    def _lose(self, added_at_ms: list[UnixMs]) -> None:
        self.refused += len(added_at_ms)
        gap = lost_in_memory(len(added_at_ms), from_ms=min(added_at_ms), until_ms=max(added_at_ms))
        self._lost = gap if self._lost is None else merged((self._lost, gap))


def coarsened(position: Position, *, grid_udeg: int) -> Position:
    """Return ``position`` moved to the middle of its grid square, its accuracy widened to tell the truth about it.

    Args:
        position: the true place; never leaves the device if the grid is coarser than 1.
        grid_udeg: side of a grid square in micro-degrees; 1 keeps the position as it is.

    Raises:
        ValueError: the grid is not 1..1_000_000.
    """
    if not 1 <= grid_udeg <= 1_000_000:
        raise ValueError(f"grid_udeg must be 1..1000000, not {grid_udeg}")
    if grid_udeg == 1:
        return position
    moved_mm = grid_udeg * _MM_PER_UDEG * _HALF_DIAGONAL_PPM // 1_000_000 + 1
    return Position(
        lat_udeg=Udeg(_middle(position.lat_udeg, grid_udeg, 90_000_000)),
        lon_udeg=Udeg(_middle(position.lon_udeg, grid_udeg, 180_000_000)),
        accuracy_mm=min(position.accuracy_mm + moved_mm, 1_000_000_000),
        heading_mdeg=position.heading_mdeg,
    )


def _middle(udeg: int, grid_udeg: int, limit_udeg: int) -> int:
    middle = udeg // grid_udeg * grid_udeg + grid_udeg // 2
    return max(-limit_udeg, min(limit_udeg, middle))
