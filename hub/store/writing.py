"""How batches and beacons become rows. One batch is one transaction, so it is indexed whole or not at all."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from hub.store import tables
from hub.store.logged import Kept, LoggedBatch, LoggedEntry
from hub.store.observed import Row, Word, changed_conditions, observation_rows, words_of
from protocol.beacon import BeaconNotice
from protocol.enrollment import Enrollment
from protocol.identity import PublicKey
from protocol.verdict import Verdict

T = TypeVar("T")
_ENTRY_COLUMNS: Final = tuple(column.name for column in tables.entries.columns)
_IN_CHUNK: Final = 500  # far below the bound parameters any SQLite allows


def insert_ignoring_known(connection: Connection, table: Table, rows: list[Row]) -> int:
    """Insert ``rows``, leaving alone those whose key is there already; return how many were new."""
    if not rows:
        return 0
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).on_conflict_do_nothing()
    return int(connection.execute(statement, rows).rowcount)


def chunks(values: list[T]) -> Iterator[list[T]]:
    """Yield ``values`` in pieces that fit into one IN list."""
    for start in range(0, len(values), _IN_CHUNK):
        yield values[start : start + _IN_CHUNK]


def write_batch(connection: Connection, batch: LoggedBatch) -> bool:
    """Index one batch. Return False, and write nothing, where it is indexed already."""
    known = select(tables.batches.c.batch).where(tables.batches.c.batch == batch.batch)
    if connection.execute(known).first() is not None:
        return False
    connection.execute(insert(tables.batches), [_batch_row(batch)])
    tallies = [{"batch": batch.batch, "verdict": int(t.verdict), "messages": t.messages} for t in batch.unlisted]
    if tallies:
        connection.execute(insert(tables.tallies), tallies)
    device_ids = _write_devices(connection, batch)
    entry_rows: list[Row] = []
    observed: list[Row] = []
    words: list[Word] = []
    for place, entry in enumerate(batch.entries):
        number = batch.batch << tables.ENTRY_BITS | place
        entry_rows.append(_entry_row(number, entry, batch, device_ids))
        if entry.kept is not None and entry.kept.opened.envelope is not None:
            observed += observation_rows(number << tables.OBSERVATION_BITS, entry.kept.opened)
            words += words_of(number << tables.OBSERVATION_BITS, entry.kept.opened, entry.verdict)
    if entry_rows:
        connection.execute(insert(tables.entries), entry_rows)
    if observed:
        connection.execute(insert(tables.observations), observed)
    _write_conditions(connection, [(device_ids[word.device], word) for word in words if word.device in device_ids])
    return True


def write_notice(connection: Connection, notice: BeaconNotice) -> None:
    """Index one relayed beacon. The first relay of a beacon is the one that counts."""
    row = {
        "round": notice.beacon.round,
        "hash": notice.beacon.hash,
        "made_at_ms": notice.made_at_ms,
        "relayed_at_ms": notice.relayed_at_ms,
    }
    insert_ignoring_known(connection, tables.beacons, [row])


def _batch_row(batch: LoggedBatch) -> Row:
    return {
        "batch": batch.batch,
        "segment": batch.segment,
        "epoch": batch.epoch,
        "received_at_ms": batch.received_at_ms,
        "entries": len(batch.entries),
    }


def _write_devices(connection: Connection, batch: LoggedBatch) -> Mapping[PublicKey, int]:
    """Bring the devices of a batch up to date; return the ids of those that are enrolled."""
    keys = {kept.opened.key for kept in _kept(batch)} - {None}
    names = {key: key.name for key in keys if key is not None}
    devices: dict[str, Row] = {}
    for some in chunks(list(names.values())):
        for row in connection.execute(select(tables.devices).where(tables.devices.c.name.in_(some))).mappings():
            devices[row["name"]] = dict(row)
    known = sorted(devices)
    for place, entry in enumerate(batch.entries):
        if entry.kept is None or entry.kept.opened.key is None:
            continue
        opened, name = entry.kept.opened, names[entry.kept.opened.key]
        device = devices.get(name)
        if opened.enrollment is not None and entry.verdict is Verdict.ACCEPTED:
            number = batch.batch << tables.ENTRY_BITS | place
            devices[name] = _enrolled(device or _unknown(number, name, batch), opened.enrollment, batch)
        elif opened.envelope is not None and device is not None:
            device["last_seen_ms"] = batch.received_at_ms
            device["highest_sequence"] = max(device["highest_sequence"], opened.sequence)
            device["envelopes"] += 1
            device["observations"] += opened.observations if entry.verdict.is_rewardable else 0
    fresh = [device for name, device in devices.items() if name not in set(known)]
    if fresh:
        connection.execute(insert(tables.devices), fresh)
    changed = [{f"new_{column}": devices[name][column] for column in ("device_id", *_MUTABLE)} for name in known]
    if changed:
        connection.execute(_UPDATE_DEVICE, changed)
    return {key: devices[name]["device_id"] for key, name in names.items() if name in devices}


def _write_conditions(connection: Connection, words: list[tuple[int, Word]]) -> None:
    """Bring what devices say of themselves up to date; ``words`` are in log order, each with its device's id."""
    column = tables.conditions.c.device_id
    for some in chunks(sorted({device_id for device_id, _ in words})):
        known = connection.execute(select(tables.conditions).where(column.in_(some))).mappings()
        before = {row["device_id"]: dict(row) for row in known}
        rows = changed_conditions(before, [(device_id, word) for device_id, word in words if device_id in set(some)])
        connection.execute(delete(tables.conditions).where(column.in_(some)))
        connection.execute(insert(tables.conditions), rows)


def _kept(batch: LoggedBatch) -> Iterator[Kept]:
    return (entry.kept for entry in batch.entries if entry.kept is not None)


_MUTABLE: Final = ("owner", "owner_since_ms", "last_seen_ms", "highest_sequence", "envelopes", "observations")
_UPDATE_DEVICE: Final = (
    update(tables.devices)
    .where(tables.devices.c.device_id == bindparam("new_device_id"))
    .values({column: bindparam(f"new_{column}") for column in _MUTABLE})
)


def _unknown(number: int, name: str, batch: LoggedBatch) -> Row:
    return {
        "device_id": number,
        "name": name,
        "owner": b"",
        "owner_since_ms": -1,
        "enrolled_at_ms": batch.received_at_ms,
        "highest_sequence": 0,
        "envelopes": 0,
        "observations": 0,
    }


def _enrolled(device: Row, enrollment: Enrollment, batch: LoggedBatch) -> Row:
    device["last_seen_ms"] = batch.received_at_ms
    if enrollment.created_at_ms > device["owner_since_ms"]:
        device |= {"owner": enrollment.owner, "owner_since_ms": enrollment.created_at_ms}
    return device


def _entry_row(number: int, entry: LoggedEntry, batch: LoggedBatch, device_ids: Mapping[PublicKey, int]) -> Row:
    row: Row = dict.fromkeys(_ENTRY_COLUMNS)
    row |= {
        "entry": number,
        "digest": entry.digest,
        "verdict": int(entry.verdict),
        "received_at_ms": batch.received_at_ms,
        "epoch": batch.epoch,
    }
    if entry.kept is None:
        return row
    opened, place = entry.kept.opened, entry.kept.place
    row |= {
        "device_id": None if opened.key is None else device_ids.get(opened.key),
        "sequence": opened.sequence,
        "observations": opened.observations,
        "segment": batch.segment,
        "offset_bytes": place.offset,
        "length_bytes": place.length,
    }
    if opened.enrollment is not None:
        return row | {"kind": tables.ENROLLMENT, "created_at_ms": opened.enrollment.created_at_ms}
    if opened.envelope is None:
        return row
    position = opened.envelope.position
    return row | {
        "kind": tables.ENVELOPE,
        "created_at_ms": opened.envelope.created_at_ms,
        "observations_digest": opened.claims,
        "lat_udeg": position.lat_udeg,
        "lon_udeg": position.lon_udeg,
        "accuracy_mm": position.accuracy_mm,
    }
