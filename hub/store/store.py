"""The store as the rest of the hub sees it: what is written, and what admission asks. Pages for people: `reading`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from sqlalchemy import delete, select

from hub.domain.admission import Opened
from hub.domain.records import BlockPlace
from hub.store import tables
from hub.store.epochs import EpochRow, last_closed_epoch, write_epoch
from hub.store.logged import LoggedBatch
from hub.store.session import Database, StoreError
from hub.store.standing import BatchStanding, EarlierStanding
from hub.store.writing import write_batch, write_notice
from protocol.beacon import BeaconNotice
from protocol.manifest import VerdictRow
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class IndexedBatch:
    """The last batch that the index holds."""

    batch: int
    segment: int


class Store:
    """The index over the log. Threads may share it; one of them writes batches."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open and migrate; see `Database.open`."""
        return cls(Database.open(url))

    def index(self, fact: LoggedBatch | BeaconNotice) -> bool:
        """Index what the log holds, whole or not at all; return whether a batch was new.

        Raises:
            StoreError: the database refused; nothing was written.
        """
        with self.database.writing() as connection:
            if isinstance(fact, LoggedBatch):
                return write_batch(connection, fact)
            write_notice(connection, fact)
            return False

    def standing_of(self, opened: Sequence[Opened]) -> BatchStanding:
        """Return what the log holds about these messages.

        Raises:
            StoreError: the database did not answer.
        """
        with self.database.reading() as connection:
            return BatchStanding(connection, opened)

    @contextmanager
    def standing_before(self, epoch: int, started_at_ms: UnixMs) -> Iterator[EarlierStanding]:
        """Yield what the log held before ``epoch``, which began at ``started_at_ms``.

        Raises:
            StoreError: the database did not answer.
        """
        with self.database.reading() as connection:
            yield EarlierStanding(connection, epoch=epoch, started_at_ms=started_at_ms)

    def last_batch(self) -> IndexedBatch | None:
        """Return how far the index has come."""
        columns = tables.batches.c
        query = select(columns.batch, columns.segment).order_by(columns.batch.desc()).limit(1)
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else IndexedBatch(row.batch, row.segment)

    def refuse_future(self, last_logged_batch: int) -> None:
        """Make sure that the index is of this log.

        Raises:
            StoreError: it knows batches that the log does not hold.
        """
        indexed = self.last_batch()
        if indexed is not None and indexed.batch > last_logged_batch:
            raise StoreError(
                f"the database knows batch {indexed.batch}, the log ends at {last_logged_batch}: "
                "it belongs to another log; run `cairn-hub reindex`"
            )

    def close_epoch(self, row: EpochRow, judged: Sequence[VerdictRow], places: Sequence[BlockPlace]) -> None:
        """Index a closed epoch; see `write_epoch`.

        Raises:
            StoreError: the database refused; nothing was written.
        """
        with self.database.writing() as connection:
            write_epoch(connection, row, judged, places)

    def last_closed_epoch(self) -> int:
        """Return the last epoch that is closed and indexed; 0 before the first."""
        with self.database.reading() as connection:
            return last_closed_epoch(connection)

    def empty(self) -> None:
        """Forget everything, to be indexed again."""
        with self.database.writing() as connection:
            for table in reversed(tables.metadata.sorted_tables):
                connection.execute(delete(table))

    def rows(self, table_name: str) -> list[tuple[object, ...]]:
        """Return all rows of a table in the order of its key, to compare two indexes."""
        table = tables.metadata.tables[table_name]
        with self.database.reading() as connection:
            query = select(table).order_by(*table.primary_key.columns)
            return [tuple(row) for row in connection.execute(query)]
