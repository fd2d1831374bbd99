"""The way to the hub: what waits in the outbox, whether the broker answers, whether the hub is there."""

from edge.doctor.check import Finding, ill, well
from edge.doctor.patient import Patient
from edge.keeping.outbox import OutboxError, peek_depth


def look_at_outbox(patient: Patient) -> Finding | None:
    """What waits is little and young."""
    if patient.told is None:
        return None
    path = patient.directory / patient.files.outbox
    if not path.exists():
        return well("empty: the agent has not run yet")
    limits = patient.told.outbox_limits
    try:
        depth = peek_depth(path, limits=limits)
    except OutboxError as error:
        return ill(str(error))
    oldest = depth.oldest_created_at_ms
    oldest_s = 0 if oldest is None else (patient.world.now_ms() - oldest) // 1000
    full_percent = 100 * depth.block_bytes // limits.max_bytes
    says = f"{depth.envelopes} envelopes wait ({full_percent} % of the room), the oldest for {oldest_s} s"
    if depth.refused:
        return ill(f"{says}; the hub refuses {depth.refused}: check that agent and hub are up to date")
    if full_percent > 50:
        return ill(f"{says}: more than half full, check that the hub can be reached")
    return well(says)


def look_at_broker(patient: Patient) -> Finding | None:
    """The broker answers."""
    word = patient.hub
    if word is None:
        return None
    if word.broker_complaint is not None:
        return ill(f"{word.broker_complaint}: check its address and this machine's network")
    return well(f"{word.where} answers")


def look_at_hub(patient: Patient) -> Finding | None:
    """The hub's own beacon is to be heard at the broker."""
    word = patient.hub
    if word is None or word.broker_complaint is not None:
        return None
    if word.impostor is not None:
        return ill(
            f"{word.where} relays the word of another hub ({word.impostor}): check hub and network in "
            f"{patient.files.settings}"
        )
    if word.beacon_round is None:
        return ill(f"no beacon was heard within {word.waited_s:.0f} s: ask the operator")
    return well(f"beacon {word.beacon_round} heard, signed by the hub")
