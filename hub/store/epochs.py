"""Closed epochs: what the archive published about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy import bindparam as bind

from hub.domain.records import BlockPlace
from hub.store import tables
from hub.store.writing import insert_ignoring_known
from protocol.cid import Cid
from protocol.manifest import SegmentRef, VerdictRow
from protocol.units import UnixMs
from protocol.verdict import Verdict


@dataclass(frozen=True, slots=True)
class EpochRow:
    """A closed epoch as the index holds it."""

    epoch: int
    started_at_ms: UnixMs
    ended_at_ms: UnixMs
    manifest: Cid
    verdicts: Cid
    epoch_car: SegmentRef
    segments: tuple[SegmentRef, ...]  # in log order
    counts: Mapping[str, int]
    envelopes: int
    observations: int


def write_epoch(
    connection: Connection, row: EpochRow, judged: Iterable[VerdictRow], places: Iterable[BlockPlace]
) -> None:
    """Index a closed epoch, or nothing if it is indexed already.

    Args:
        connection: in a transaction that writes.
        row: the epoch.
        judged: its verdicts; the ones that differ from the verdict at the door are noted there.
        places: blocks that can be fetched by CID besides the devices' own.
    """
    new = insert_ignoring_known(
        connection,
        tables.epochs,
        [
            {
                "epoch": row.epoch,
                "started_at_ms": row.started_at_ms,
                "ended_at_ms": row.ended_at_ms,
                "manifest": row.manifest.raw,
                "verdicts": row.verdicts.raw,
                "car": row.epoch_car.car.raw,
                "piece": row.epoch_car.piece.raw,
                "size_bytes": row.epoch_car.size_bytes,
                "envelopes": row.envelopes,
                "observations": row.observations,
            }
        ],
    )
    if not new:
        return
    counts = [{"epoch": row.epoch, "slug": slug, "messages": count} for slug, count in row.counts.items()]
    insert_ignoring_known(connection, tables.epoch_counts, counts)
    segments = [
        {
            "epoch": row.epoch,
            "place": place,
            "car": segment.car.raw,
            "piece": segment.piece.raw,
            "size_bytes": segment.size_bytes,
        }
        for place, segment in enumerate(row.segments)
    ]
    if segments:
        connection.execute(insert(tables.segments), segments)
    blocks = [
        {"digest": place.digest, "file": place.file, "offset_bytes": place.offset, "length_bytes": place.length}
        for place in places
    ]
    insert_ignoring_known(connection, tables.blocks, blocks)
    _write_judged(connection, judged)


def epoch_row(connection: Connection, epoch: int) -> EpochRow | None:
    """Return a closed epoch; None if it is not closed, or not indexed yet."""
    found = connection.execute(select(tables.epochs).where(tables.epochs.c.epoch == epoch)).first()
    return None if found is None else _epoch_row(connection, found)


def epoch_rows(connection: Connection, *, after: int, limit: int) -> list[EpochRow]:
    """Return closed epochs in order."""
    column = tables.epochs.c.epoch
    found = connection.execute(select(tables.epochs).where(column > after).order_by(column).limit(limit)).all()
    return [_epoch_row(connection, row) for row in found]


def last_closed_epoch(connection: Connection) -> int:
    """Return the last closed epoch; 0 before the first. They close in order."""
    return connection.execute(select(func.max(tables.epochs.c.epoch))).scalar() or 0


def _write_judged(connection: Connection, judged: Iterable[VerdictRow]) -> None:
    columns = tables.entries.c
    changes = [
        {"of_digest": row.digest, "new_verdict": int(row.verdict)}
        for row in judged
        if row.device is not None and row.verdict is not Verdict.ACCEPTED
    ]
    if changes:
        statement = (
            update(tables.entries)
            .where(columns.digest == bind("of_digest"), columns.segment.is_not(None))
            .where(columns.verdict != bind("new_verdict"))
            .values(judged=bind("new_verdict"))
        )
        connection.execute(statement, changes)


def _epoch_row(connection: Connection, row: Row[tuple[object, ...]]) -> EpochRow:
    counts = select(tables.epoch_counts).where(tables.epoch_counts.c.epoch == row.epoch)
    segments = select(tables.segments).where(tables.segments.c.epoch == row.epoch).order_by(tables.segments.c.place)
    return EpochRow(
        epoch=row.epoch,
        started_at_ms=UnixMs(row.started_at_ms),
        ended_at_ms=UnixMs(row.ended_at_ms),
        manifest=Cid(row.manifest),
        verdicts=Cid(row.verdicts),
        epoch_car=SegmentRef(Cid(row.car), Cid(row.piece), row.size_bytes),
        segments=tuple(
            SegmentRef(Cid(found.car), Cid(found.piece), found.size_bytes) for found in connection.execute(segments)
        ),
        counts={found.slug: found.messages for found in connection.execute(counts)},
        envelopes=row.envelopes,
        observations=row.observations,
    )
