"""From finished tracks and readings to drafts of envelopes: small batches, a coarse position, nothing else.

An envelope is due when enough observations wait or the oldest has waited long enough. Until a hub's beacon has been
heard, observations wait a while longer: an envelope without a beacon proves no time and is not paid.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from protocol.beacon import NO_BEACON, Beacon
from protocol.envelope import MAX_OBSERVATIONS, NO_MODEL
from protocol.observation import Observation, Position
from protocol.units import Udeg, UnixMs

_MM_PER_UDEG = 112  # of latitude; longitude is never longer. 111.7 at the poles, rounded up: never claim too much
_HALF_DIAGONAL_PPM = 707_107  # half the diagonal of a unit square, rounded up


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
        self._waiting: deque[tuple[UnixMs, Observation]] = deque()
        self.refused = 0  # observations that found no room

    def use_model(self, digest: bytes) -> None:
        """What is added from now on was seen by the model with this SHA-256; nothing of another one may wait."""
        self._model_digest = digest

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, observation: Observation, *, now_ms: UnixMs) -> bool:
        """Take in an observation; False (and counted) if too many wait already: the oldest come first."""
        if len(self._waiting) >= self._limits.max_waiting:
            self.refused += 1
            return False
        self._waiting.append((now_ms, observation))
        return True

    def draft(self, *, now_ms: UnixMs, beacon: Beacon | None, urgency: Urgency = Urgency.USUAL) -> Draft | None:
        """Return the envelope that is due, None if none is. It stays waiting until `sent` says it is signed.

        Args:
            now_ms: the device's time; becomes ``created_at_ms``.
            beacon: the latest beacon heard; None where none was.
            urgency: what not to wait for.
        """
        if not self._waiting:
            return None
        # A clock that stepped back must not hold observations for ever: a negative wait counts as long enough.
        waited_ms = now_ms - self._waiting[0][0]
        is_young = 0 <= waited_ms < self._limits.max_delay_ms and len(self._waiting) < self._limits.max_observations
        if urgency < Urgency.SOON and is_young:
            return None
        lacks_beacon = beacon is None and 0 <= waited_ms < self._limits.beacon_patience_ms
        if urgency < Urgency.NOW and lacks_beacon:
            return None
        first = islice(self._waiting, self._limits.max_observations)
        return Draft(
            beacon=beacon or NO_BEACON,
            model_digest=self._model_digest,
            agent_release=self._agent_release,
            position=self._position,
            created_at_ms=now_ms,
            observations=tuple(observation for _, observation in first),
        )

    def sent(self, draft: Draft) -> None:
        """Forget the observations of ``draft``, the last one that `draft` returned: they are in the outbox."""
        for _ in draft.observations:
            self._waiting.popleft()


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
