"""Pages for people and programs, in log order. A cursor is the number of the last row seen; rows never move."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, literal_column, select

from hub.domain.records import BlockPlace
from hub.log.files import segment_name
from hub.store import tables
from hub.store.tables import ObservationKind
from protocol.cid import Cid
from protocol.observation import Health
from protocol.payload import decode_payload
from protocol.units import UnixMs
from protocol.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Window:
    """Which part of a list: at most ``limit`` rows behind the cursor ``after``."""

    limit: int
    after: int = -1


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """An enrolled device and what the log holds of it."""

    cursor: int
    name: str
    owner: bytes
    enrolled_at_ms: UnixMs
    last_seen_ms: UnixMs
    highest_sequence: int
    envelopes: int
    observations: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What a device says of itself: its latest health, what it lost in all, which key it goes on under."""

    health: Health | None = None
    gaps: int = 0
    lost_envelopes: int = 0
    lost_observations: int = 0
    successor: str | None = None  # a name; it agreed


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    """A device with its verdicts, where it last said it stands (None: it never said), and how it says it is."""

    device: DeviceRow
    verdicts: Mapping[str, int]
    position_udeg: tuple[int, int] | None  # latitude, longitude
    accuracy_mm: int | None
    condition: Condition


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One message and what was made of it."""

    cursor: int
    digest: bytes
    verdict: Verdict
    at_the_door: Verdict  # before the epoch was judged
    received_at_ms: UnixMs
    epoch: int
    device: str | None
    sequence: int
    observations: int
    is_kept: bool


@dataclass(frozen=True, slots=True)
class ObservationLine:
    """One observation of a kept envelope."""

    cursor: int
    device: str
    epoch: int
    envelope: Cid
    verdict: Verdict
    kind: ObservationKind
    class_id: int | None
    quantity: int | None
    first_ms: UnixMs
    last_ms: UnixMs
    confidence_ppm: int | None
    value: int | None
    continues: bool
    flags: int
    is_forward: bool
    record: bytes | None  # the encoded observation, where the columns do not say all of it
    position_udeg: tuple[int, int]
    accuracy_mm: int


@dataclass(frozen=True, slots=True)
class Sieve:
    """What to leave out of a list; None leaves out nothing."""

    device: str | None = None
    epoch: int | None = None
    verdict: Verdict | None = None
    kind: ObservationKind | None = None
    class_id: int | None = None  # of tracks, crossings and stays
    from_ms: int | None = None  # observations seen at or after
    to_ms: int | None = None  # observations first seen before


_VERDICT = func.coalesce(tables.entries.c.judged, tables.entries.c.verdict)


def devices(connection: Connection, window: Window) -> list[DeviceRow]:
    """Return devices in order of enrollment."""
    column = tables.devices.c.device_id
    query = select(tables.devices).where(column > window.after).order_by(column).limit(window.limit)
    return [_device_row(row) for row in connection.execute(query)]


def device(connection: Connection, name: str) -> DeviceDetail | None:
    """Return one device; None if it never enrolled here."""
    found = connection.execute(select(tables.devices).where(tables.devices.c.name == name)).first()
    if found is None:
        return None
    columns = tables.entries.c
    of_device = columns.device_id == found.device_id
    counted = select(_VERDICT.label("verdict"), func.count().label("messages")).where(of_device).group_by(_VERDICT)
    counts = {Verdict(row.verdict).slug: row.messages for row in connection.execute(counted)}
    last = connection.execute(
        select(columns.lat_udeg, columns.lon_udeg, columns.accuracy_mm)
        .where(of_device, columns.kind == tables.ENVELOPE)
        .order_by(columns.sequence.desc())
        .limit(1)
    ).first()
    position = None if last is None else (last.lat_udeg, last.lon_udeg)
    accuracy_mm = None if last is None else last.accuracy_mm
    return DeviceDetail(_device_row(found), counts, position, accuracy_mm, _condition(connection, found.device_id))


def _condition(connection: Connection, device_id: int) -> Condition:
    told, seen = tables.conditions.c, tables.observations.c
    found = connection.execute(
        select(tables.conditions, seen.record)
        .join_from(tables.conditions, tables.observations, seen.observation == told.health, isouter=True)
        .where(told.device_id == device_id)
    ).first()
    if found is None:
        return Condition()
    return Condition(
        health=None if found.record is None else decode_payload(found.record, Health),
        gaps=found.gaps,
        lost_envelopes=found.lost_envelopes,
        lost_observations=found.lost_observations,
        successor=found.successor,
    )


def verdicts(connection: Connection, sieve: Sieve, window: Window) -> list[VerdictLine]:
    """Return the messages that arrived, in order of arrival."""
    columns = tables.entries.c
    query = (
        select(tables.entries, _VERDICT.label("final"), tables.devices.c.name)
        .join_from(tables.entries, tables.devices, isouter=True)
        .where(columns.entry > window.after, *_entry_conditions(sieve))
        .order_by(columns.entry)
        .limit(window.limit)
    )
    return [
        VerdictLine(
            cursor=row.entry,
            digest=row.digest,
            verdict=Verdict(row.final),
            at_the_door=Verdict(row.verdict),
            received_at_ms=UnixMs(row.received_at_ms),
            epoch=row.epoch,
            device=row.name,
            sequence=row.sequence or 0,
            observations=row.observations or 0,
            is_kept=row.segment is not None,
        )
        for row in connection.execute(query)
    ]


def observations(connection: Connection, sieve: Sieve, window: Window) -> list[ObservationLine]:
    """Return observations in the order in which their envelopes arrived."""
    entry, seen = tables.entries.c, tables.observations.c
    per_entry: ColumnElement[int] = literal_column(str(1 << tables.OBSERVATION_BITS))
    if sieve.device is None:
        belongs: ColumnElement[bool] = entry.entry == seen.observation.op("/")(per_entry)  # both whole
    else:  # led by the device's entries, so the other table is the one to look up in
        first = entry.entry * per_entry
        belongs = seen.observation.between(first, first + per_entry - 1)
    query = (
        select(
            tables.observations,
            *(entry.epoch, entry.digest, entry.lat_udeg, entry.lon_udeg, entry.accuracy_mm),
            _VERDICT.label("final"),
            tables.devices.c.name,
        )
        .select_from(tables.observations)
        .join(tables.entries, belongs)
        .join(tables.devices, tables.devices.c.device_id == entry.device_id)
        .where(seen.observation > window.after, *_entry_conditions(sieve), *_observation_conditions(sieve))
        .order_by(seen.observation)
        .limit(window.limit)
    )
    return [_observation_line(row) for row in connection.execute(query)]


def block_place(connection: Connection, digest: bytes) -> BlockPlace | None:
    """Return where the published block with this digest stands; None if it is not known here."""
    columns = tables.entries.c
    kept = connection.execute(
        select(columns.segment, columns.offset_bytes, columns.length_bytes).where(
            columns.digest == digest, columns.segment.is_not(None)
        )
    ).first()
    if kept is not None:
        return BlockPlace(digest, segment_name(kept.segment), kept.offset_bytes, kept.length_bytes)
    other = connection.execute(select(tables.blocks).where(tables.blocks.c.digest == digest)).first()
    return None if other is None else BlockPlace(digest, other.file, other.offset_bytes, other.length_bytes)


def message_counts(connection: Connection, epoch: int) -> dict[str, int]:
    """Return how many messages of ``epoch`` got which verdict so far, the merely counted ones included."""
    counts: dict[str, int] = {}
    listed = (
        select(_VERDICT.label("verdict"), func.count().label("messages"))
        .where(tables.entries.c.epoch == epoch)
        .group_by(_VERDICT)
    )
    unlisted = (
        select(tables.tallies.c.verdict, func.sum(tables.tallies.c.messages).label("messages"))
        .join_from(tables.tallies, tables.batches)
        .where(tables.batches.c.epoch == epoch)
        .group_by(tables.tallies.c.verdict)
    )
    for row in (*connection.execute(listed), *connection.execute(unlisted)):
        slug = Verdict(row.verdict).slug
        counts[slug] = counts.get(slug, 0) + int(row.messages)
    return counts


def accepted_totals(connection: Connection, epoch: int) -> tuple[int, int]:
    """Return how many envelopes of ``epoch`` are accepted so far, and how many observations in them may be paid."""
    columns = tables.entries.c
    row = connection.execute(
        select(func.count(), func.coalesce(func.sum(columns.observations), 0)).where(
            columns.epoch == epoch, columns.kind == tables.ENVELOPE, _VERDICT.in_((int(Verdict.ACCEPTED),))
        )
    ).one()
    return int(row[0]), int(row[1])


def _entry_conditions(sieve: Sieve) -> list[ColumnElement[bool]]:
    columns = tables.entries.c
    conditions: list[ColumnElement[bool]] = []
    if sieve.device is not None:
        conditions.append(tables.devices.c.name == sieve.device)
    if sieve.epoch is not None:
        conditions.append(columns.epoch == sieve.epoch)
    if sieve.verdict is not None:
        conditions.append(_VERDICT.in_((int(sieve.verdict),)))
    return conditions


def _observation_conditions(sieve: Sieve) -> list[ColumnElement[bool]]:
    columns = tables.observations.c
    conditions: list[ColumnElement[bool]] = []
    if sieve.kind is not None:
        conditions.append(columns.kind == int(sieve.kind))
    if sieve.class_id is not None:
        conditions.append(columns.class_id == sieve.class_id)
    if sieve.from_ms is not None:
        conditions.append(columns.last_ms >= sieve.from_ms)
    if sieve.to_ms is not None:
        conditions.append(columns.first_ms < sieve.to_ms)
    return conditions


def _device_row(row: Row[Any]) -> DeviceRow:
    return DeviceRow(
        cursor=row.device_id,
        name=row.name,
        owner=row.owner,
        enrolled_at_ms=UnixMs(row.enrolled_at_ms),
        last_seen_ms=UnixMs(row.last_seen_ms),
        highest_sequence=row.highest_sequence,
        envelopes=row.envelopes,
        observations=row.observations,
    )


def _observation_line(row: Row[Any]) -> ObservationLine:
    return ObservationLine(
        cursor=row.observation,
        device=row.name,
        epoch=row.epoch,
        envelope=Cid.of_digest(row.digest),
        verdict=Verdict(row.final),
        kind=ObservationKind(row.kind),
        class_id=row.class_id,
        quantity=row.quantity,
        first_ms=UnixMs(row.first_ms),
        last_ms=UnixMs(row.last_ms),
        confidence_ppm=row.confidence_ppm,
        value=row.value,
        continues=bool(row.continues),
        flags=row.flags or 0,
        is_forward=bool(row.is_forward),
        record=row.record,
        position_udeg=(row.lat_udeg, row.lon_udeg),
        accuracy_mm=row.accuracy_mm,
    )
