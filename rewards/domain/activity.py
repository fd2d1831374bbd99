"""What a device did in an epoch, reduced to what pay depends on: one vantage and a set of active time slots.

Counting slots instead of observations is the point: ten observations in a slot earn what one earns, so there is nothing
to gain from splitting tracks or inventing more of them. Only tracks and readings count: a crossing or a stay tells
more of a track that is there already, and a gap, a health record or a succession claims nothing about the world.

*Which time counts.* An observation falls into the slot in which its device last saw or measured it, not the slot in
which the hub received it, because store-and-forward devices deliver an hour at once and did watch all of it. The claim
is bounded by what can be checked: it is never later than the envelope was signed or received, and it is clipped to the
epoch, so late data from an earlier epoch is worth at most the first slot.

*One vantage an epoch*, that of the active envelope with the lowest sequence: a device that moves is paid where it
began. Otherwise one device could stand in a hundred places at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.identity import PublicKey
from protocol.observation import Observation, Position, Rewardable, Track
from protocol.units import UnixMs
from rewards.domain.vantage import Vantage


@dataclass(frozen=True, slots=True)
class AcceptedEnvelope:
    """The part of an accepted, verified envelope that pay looks at."""

    device: PublicKey
    sequence: int
    position: Position
    created_at_ms: UnixMs
    received_at_ms: UnixMs
    observed_at_ms: tuple[UnixMs, ...]  # one an observation that may be paid


@dataclass(frozen=True, slots=True)
class SlotClock:
    """The epoch, cut into ``slots`` parts of equal length (the last millisecond belongs to the last slot)."""

    started_at_ms: UnixMs
    ended_at_ms: UnixMs
    slots: int

    def slot_of(self, observed_at_ms: UnixMs, envelope: AcceptedEnvelope) -> int:
        """Return the slot, 0 to ``slots - 1``, that an observation of ``envelope`` falls into."""
        claimed_ms = min(observed_at_ms, envelope.created_at_ms, envelope.received_at_ms)
        within_ms = max(self.started_at_ms, min(claimed_ms, self.ended_at_ms - 1))
        return (within_ms - self.started_at_ms) * self.slots // (self.ended_at_ms - self.started_at_ms)


@dataclass(frozen=True, slots=True)
class DeviceActivity:
    """One device in one epoch. ``slots`` is empty and ``vantage`` None if it observed nothing."""

    device: PublicKey
    vantage: Vantage | None
    slots: frozenset[int]
    envelopes: int
    observations: int

    def __post_init__(self) -> None:
        if bool(self.slots) != (self.vantage is not None):
            raise ValueError("exactly an active device has a vantage")


def observed_at_ms(observations: Iterable[Observation]) -> tuple[UnixMs, ...]:
    """Return when each of those that may be paid was last seen or measured; what a device says of itself is free."""
    return tuple(
        each.last_seen_ms if isinstance(each, Track) else each.measured_at_ms
        for each in observations
        if isinstance(each, Rewardable)
    )


def activities(envelopes: Iterable[AcceptedEnvelope], clock: SlotClock) -> tuple[DeviceActivity, ...]:
    """Return what every device did, by device key; the order of ``envelopes`` does not matter."""
    by_device: dict[PublicKey, list[AcceptedEnvelope]] = {}
    for envelope in envelopes:
        by_device.setdefault(envelope.device, []).append(envelope)
    return tuple(_activity(device, by_device[device], clock) for device in sorted(by_device))


def _activity(device: PublicKey, envelopes: list[AcceptedEnvelope], clock: SlotClock) -> DeviceActivity:
    active = [envelope for envelope in envelopes if envelope.observed_at_ms]
    first = min(active, key=lambda envelope: envelope.sequence, default=None)
    return DeviceActivity(
        device=device,
        vantage=None if first is None else Vantage.of(first.position),
        slots=frozenset(clock.slot_of(moment, envelope) for envelope in active for moment in envelope.observed_at_ms),
        envelopes=len(envelopes),
        observations=sum(len(envelope.observed_at_ms) for envelope in active),
    )
