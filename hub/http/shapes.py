"""From rows to answers."""

from collections.abc import Sequence
from typing import Final, TypeVar

from hub.http import answers
from hub.http.desk import HubFacts, Pulse
from hub.http.observed import health_record_answer, observed_answer
from hub.store import reading
from hub.store.epochs import EpochRow
from protocol.cid import Cid
from protocol.identity import PublicKey
from protocol.manifest import SegmentRef
from protocol.units import UnixMs
from protocol.verdict import Verdict

T = TypeVar("T")

_LONG_WAIT_MS: Final = 10_000
_LITTLE_DISK_BYTES: Final = 1 << 30


def page(rows: Sequence[tuple[int, T]], limit: int) -> answers.Page[T]:
    """Return one page of ``(cursor, answer)`` rows; a full one says how to go on."""
    after = str(rows[-1][0]) if len(rows) == limit else None
    return answers.Page(rows=[row for _, row in rows], after=after)


def device_answer(row: reading.DeviceRow) -> answers.Device:
    """Return a device as the API shows it."""
    return answers.Device(
        name=row.name,
        did=PublicKey.parse(row.name).did,
        owner=f"0x{row.owner.hex()}",
        enrolled_at_ms=row.enrolled_at_ms,
        last_seen_ms=row.last_seen_ms,
        highest_sequence=row.highest_sequence,
        envelopes=row.envelopes,
        observations=row.observations,
    )


def device_detail_answer(found: reading.DeviceDetail) -> answers.DeviceDetail:
    """Return a device with everything known of it as the API shows it."""
    condition = found.condition
    return answers.DeviceDetail(
        **device_answer(found.device).model_dump(),
        verdicts=dict(found.verdicts),
        position=None if found.position_udeg is None else position_answer(found.position_udeg, found.accuracy_mm),
        health=None if condition.health is None else health_record_answer(condition.health),
        lost=answers.Lost(
            gaps=condition.gaps, envelopes=condition.lost_envelopes, observations=condition.lost_observations
        ),
        successor=None if condition.successor is None else PublicKey.parse(condition.successor).did,
    )


def position_answer(position_udeg: tuple[int, int], accuracy_mm: int | None) -> answers.Position:
    """Return a position as the API shows it."""
    return answers.Position(lat_udeg=position_udeg[0], lon_udeg=position_udeg[1], accuracy_mm=accuracy_mm)


def observation_answer(row: reading.ObservationLine) -> answers.Observation:
    """Return an observation as the API shows it."""
    return answers.Observation(
        device=row.device,
        epoch=row.epoch,
        envelope=str(row.envelope),
        verdict=row.verdict.slug,
        position=position_answer(row.position_udeg, row.accuracy_mm),
        observed=observed_answer(row),
    )


def verdict_answer(row: reading.VerdictLine) -> answers.VerdictLine:
    """Return a message's verdict as the API shows it."""
    return answers.VerdictLine(
        digest=row.digest.hex(),
        cid=str(Cid.of_digest(row.digest)) if row.is_kept else None,
        verdict=row.verdict.slug,
        at_the_door=row.at_the_door.slug,
        received_at_ms=row.received_at_ms,
        epoch=row.epoch,
        device=row.device,
        sequence=row.sequence,
        observations=row.observations,
    )


def epoch_answer(row: EpochRow) -> answers.Epoch:
    """Return a closed epoch as the API shows it."""
    return answers.Epoch(
        epoch=row.epoch,
        started_at_ms=row.started_at_ms,
        ended_at_ms=row.ended_at_ms,
        state="closed",
        manifest=str(row.manifest),
        verdicts=str(row.verdicts),
        segments=[_pinned(segment) for segment in row.segments],
        epoch_car=_pinned(row.epoch_car),
        counts=dict(row.counts),
        envelopes=row.envelopes,
        observations=row.observations,
    )


def network_answer(facts: HubFacts, now_ms: UnixMs) -> answers.Network:
    """Return what a device must know."""
    return answers.Network(
        network=facts.network,
        hub=facts.key.did,
        hub_name=facts.name,
        genesis_ms=facts.schedule.genesis_ms,
        epoch_ms=facts.schedule.epoch_ms,
        epoch=facts.schedule.epoch_at(now_ms),
        broker=answers.Broker(host=facts.broker.host, port=facts.broker.port),
        policy=answers.Limits(
            max_clock_skew_ms=facts.policy.max_clock_skew_ms,
            beacon_window_ms=facts.policy.beacon_window_ms,
            max_lateness_ms=facts.policy.max_lateness_ms,
        ),
    )


def health_answer(facts: HubFacts, pulse: Pulse, now_ms: UnixMs) -> answers.Health:
    """Return how the hub is doing, with the reasons where that is not well."""
    intake = pulse.intake
    beacon_age_ms = None if intake.last_beacon_at_ms is None else max(0, now_ms - intake.last_beacon_at_ms)
    reasons = [
        reason
        for applies, reason in (
            (not pulse.broker_connected, "the broker is away: devices keep their envelopes until it is back"),
            (pulse.oldest_unacknowledged_ms > _LONG_WAIT_MS, "messages wait: look at the disk and the database"),
            (beacon_age_ms is None, "no beacon was relayed yet"),
            (
                beacon_age_ms is not None and 2 * beacon_age_ms > facts.policy.beacon_window_ms,
                "no new beacon for a long time: envelopes will soon be refused as stale",
            ),
            (pulse.disk_free_bytes < _LITTLE_DISK_BYTES, "less than 1 GiB of disk is left"),
        )
        if applies
    ] + list(pulse.troubles)
    accepted = intake.verdicts.get(Verdict.ACCEPTED.slug, 0)
    return answers.Health(
        status="failing" if pulse.failure else "degraded" if reasons else "ok",
        reasons=[pulse.failure, *reasons] if pulse.failure else reasons,
        version=facts.version,
        now_ms=now_ms,
        oldest_unacknowledged_ms=pulse.oldest_unacknowledged_ms,
        queue_depth=pulse.queue_depth,
        received=intake.received,
        accepted=accepted,
        dropped=intake.dropped,
        rejected_by_reason={slug: n for slug, n in intake.verdicts.items() if slug != Verdict.ACCEPTED.slug},
        fsync_ms_p50=round(intake.fsync_ms_p50, 3),
        fsync_ms_p99=round(intake.fsync_ms_p99, 3),
        index_failures=intake.index_failures,
        broker_connected=pulse.broker_connected,
        last_beacon_age_ms=beacon_age_ms,
        disk_free_bytes=pulse.disk_free_bytes,
    )


def _pinned(segment: SegmentRef) -> answers.Pinned:
    return answers.Pinned(car=str(segment.car), piece=str(segment.piece), size_bytes=segment.size_bytes)
