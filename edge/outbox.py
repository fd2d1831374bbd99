"""The outbox: signed envelopes that hubs have not receipted yet, in SQLite, safe against a power cut.

* An envelope is committed with an fsync *before* anybody can have seen it, and with it the end of the chain
  (``previous`` of the next), so the chain goes on from what was really published.
* An envelope leaves when enough different hubs have receipted it (edge/outbox_lane.py), or by the policy below.
* The policy, when there is too much or something is too old: first go the envelopes that some hub has, though not
  enough; then the lowest class is thinned, every second envelope, then every fourth, so that what remains still covers
  the whole time; a higher class only when all lower ones are gone. What goes unseen by any hub is counted as a *gap* in
  the same transaction, and gaps are told in a signed record, which is itself never given up.
* While one record of gaps is on its way, further losses gather for the next: an outage of months costs one record.

Invariants: tests/property/test_outbox_conservation.py, test_outbox_crashes.py, test_outbox_kills.py.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec

from edge.book import Book, Writes
from edge.errors import EdgeError
from edge.identity import sync_directory
from edge.outbox_policy import OutboxLimits, abandon, make_room
from edge.outbox_rows import COLUMNS, Change, Waiting, insert, read_book, release, waiting_of, write_book
from edge.outbox_tables import (
    connect,
    connect_to_look,
    is_of_another_release,
    make_tables,
    roll_back,
    sentence,
    table_of,
    written_bytes,
)
from edge.priority import Priority
from protocol.observation import Gap
from protocol.units import UnixMs
from protocol.verdict import Verdict

__all__ = [
    "Link",
    "Outbox",
    "OutboxDepth",
    "OutboxError",
    "OutboxLimits",
    "Waiting",
    "Writes",
    "look_into",
    "peek_depth",
]


class OutboxError(EdgeError):
    """The outbox cannot be read or written at present; the message says what to do. Nothing accepted is lost."""


@dataclass(frozen=True, slots=True)
class Link:
    """The end of the device's chain: what the next envelope names as ``previous``."""

    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """What waits for receipts."""

    envelopes: int
    block_bytes: int  # on the disk, about
    refused: int  # of these, set aside because a hub refused them without keeping them
    oldest_created_at_ms: UnixMs | None
    by_class: dict[Priority, int]


class Outbox:
    """One device's outbox. May be used from several threads. One error family: OutboxError."""

    def __init__(self, path: Path, connection: sqlite3.Connection, limits: OutboxLimits) -> None:
        """Use `open`."""
        self._path = path
        self._connection = connection
        self.limits = limits
        self._lock = threading.Lock()
        self._book = read_book(connection)
        self._book_before = self._book
        self._writes = self._book.writes
        self._is_flushing = True
        (self._version,) = connection.execute("PRAGMA data_version").fetchone()

    @classmethod
    def open(cls, path: Path, *, limits: OutboxLimits) -> Self:
        """Open or create the outbox at ``path``; SQLite repairs what a power cut left.

        Raises:
            OutboxError: damaged, not writable, or of another release.
        """
        with ExitStack() as stack:
            try:
                connection = connect(path)
                stack.callback(connection.close)
                if is_of_another_release(connection):
                    raise OutboxError(_another_release(path))
                make_tables(connection)
                outbox = cls(path, connection, limits)
                outbox._begin_anew()
                sync_directory(path.parent)  # SQLite does not do it for a new database in WAL mode
            except (sqlite3.Error, OSError) as error:
                raise OutboxError(sentence(path, error)) from error
            stack.pop_all()
        return outbox

    def close(self) -> None:
        """Close the file; the outbox may be opened again."""
        with self._lock:
            self._connection.close()

    @property
    def book(self) -> Book:
        """What was signed, released, given up and is to be told."""
        return self._book

    @property
    def writes(self) -> Writes:
        """How much was written to the disk since `open`."""
        return self._writes.since(self._book_before.writes)

    @property
    def lost(self) -> tuple[int, int]:
        """How many envelopes and observations were given up since `open`: what health records tell."""
        book, before = self._book, self._book_before
        return book.given_up - before.given_up, book.given_up_observations - before.given_up_observations

    def append(self, envelopes: Sequence[Waiting], *, lost: Gap | None = None, told: Sequence[Gap] = ()) -> None:
        """Keep ``envelopes`` in one transaction, the last one as the end of the chain; durable on return.

        Args:
            envelopes: signed one after the other, each naming the one before. The latest time in them is taken for
                the present when it comes to age.
            lost: observations that were lost in memory, to be told with the next record.
            told: gaps that stand in these envelopes.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self.change() as change:
            if lost is not None:
                change.book = change.book.with_gap(lost)
            change.book = change.book.with_told(told)
            for envelope in envelopes:
                insert(change, envelope)
            if envelopes:
                make_room(change, self.limits, now_ms=max(each.created_at_ms for each in envelopes))

    def last(self) -> Link | None:
        """Return the end of the chain; None before the first envelope."""
        book = self._book
        return Link(book.last_sequence, book.last_digest) if book.last_sequence else None

    def gaps_to_tell(self) -> tuple[Gap, ...]:
        """Return what was lost and can be told now: nothing while a record is on its way that no hub has yet.

        Raises:
            OutboxError: the file cannot be read.
        """
        book = self._book
        if not book.gaps:
            return ()
        table = table_of(Priority.RECORD)
        return (
            ()
            if self.rows(f"SELECT 1 FROM {table} WHERE sequence NOT IN (SELECT sequence FROM answer) LIMIT 1")
            else book.gaps
        )

    def waiting(self, *, at_most: int) -> tuple[Waiting, ...]:
        """Return the first envelopes in the order of sending, whatever hubs have said of them."""
        return tuple(islice(self.every_one(), at_most))

    def every_one(self) -> Iterator[Waiting]:
        """Yield all envelopes, in the order of sending, a few at a time from the disk.

        Raises:
            OutboxError: the file cannot be read.
        """
        for priority in Priority:
            after = 0
            few = f"SELECT {COLUMNS} FROM {table_of(priority)} WHERE sequence > ? ORDER BY sequence LIMIT 64"
            while rows := self.rows(few, after):
                yield from (waiting_of(row, priority) for row in rows)
                after = rows[-1][0]

    def abandon(self, *, below: int) -> int:
        """Give up, without a receipt, every envelope with a sequence below ``below``; return how many there were.

        The caller has signed a gap that says so, and has appended it first: nothing is lost in silence.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self.change() as change:
            return abandon(change, below=below)

    def depth(self) -> OutboxDepth:
        """Return how much waits.

        Raises:
            OutboxError: the file cannot be read.
        """
        # The first of each class, not the oldest of all: that would be a walk through the whole table.
        firsts = " UNION ALL ".join(
            f"SELECT * FROM (SELECT created_at_ms FROM {table_of(priority)} ORDER BY sequence LIMIT 1)"
            for priority in Priority
        )
        ((refused, oldest),) = self.rows(
            f"SELECT (SELECT count(DISTINCT sequence) FROM refusal), (SELECT min(created_at_ms) FROM ({firsts}))"
        )
        book = self._book
        by_class = {priority: book.classes[priority].waiting for priority in Priority}
        return OutboxDepth(book.waiting, book.waiting_bytes, refused, oldest, by_class)

    def tally(self) -> dict[Verdict, int]:
        """Return how many envelopes got which verdict, all hubs together, over the life of this outbox."""
        total: dict[Verdict, int] = {}
        for of_hub in self._book.verdicts.values():
            for verdict, envelopes in of_hub.items():
                total[Verdict(verdict)] = total.get(Verdict(verdict), 0) + envelopes
        return dict(sorted(total.items()))

    def receipts(self) -> tuple[bytes, ...]:
        """Return the receipts kept as evidence, oldest first."""
        return tuple(row[0] for row in self.rows("SELECT block FROM receipt ORDER BY number"))

    def rows(self, query: str, *values: object) -> list[Any]:
        """Return what a question to the tables gives. For edge/outbox_lane.py.

        Raises:
            OutboxError: the file cannot be read.
        """
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(sentence(self._path, error)) from error

    @contextmanager
    def change(self, *, is_flushed: bool = True) -> Iterator[Change]:
        """All or nothing, the books included; durable at the end of the block if flushed. For edge/outbox_lane.py.

        What is not flushed survives a kill, and a power cut may undo it as long as nothing flushed has followed.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self._lock:
            connection = self._connection
            changes, before_bytes = connection.total_changes, written_bytes()
            change = Change(connection, self._book)
            try:
                if is_flushed != self._is_flushing:
                    connection.execute(f"PRAGMA synchronous={'FULL' if is_flushed else 'NORMAL'}")
                    self._is_flushing = is_flushed
                connection.execute("BEGIN IMMEDIATE")
                change.book = self._present_book()
                yield change
                if has_changed := connection.total_changes != changes or change.book is not self._book:
                    change.book = _with_write(change.book, self._writes, is_flushed=is_flushed)
                    write_book(connection, change.book)
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                roll_back(connection)
                raise OutboxError(sentence(self._path, error)) from error
            except BaseException:
                roll_back(connection)
                raise
            self._book = change.book
            if has_changed:
                # The bytes are known afterwards only: the next transaction books them.
                writes, more_bytes = change.book.writes, written_bytes() - before_bytes
                self._writes = msgspec.structs.replace(writes, written_bytes=writes.written_bytes + more_bytes)

    def _present_book(self) -> Book:
        """The books, read again if somebody else has written: `cairn-edge rotate-key` may follow an agent at once."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version != self._version:
            self._version = version
            self._book = read_book(self._connection)
            self._writes = self._book.writes
        return self._book

    def _begin_anew(self) -> None:
        """The settings may ask for fewer receipts than at the last start. And what a hub refused is offered again."""
        enough = self.rows(
            "SELECT sequence FROM answer GROUP BY sequence HAVING count(*) >= ?", self.limits.receipts_required
        )
        if not enough and not self.rows("SELECT 1 FROM refusal LIMIT 1"):
            return
        with self.change() as change:
            change.connection.execute("DELETE FROM refusal")  # the hub may have been mended
            for (sequence,) in enough:
                release(change, sequence, is_early=False)


def _with_write(book: Book, before: Writes, *, is_flushed: bool) -> Book:
    writes = Writes(before.transactions + 1, before.flushed + int(is_flushed), before.written_bytes)
    return msgspec.structs.replace(book, writes=writes)


def _another_release(path: Path) -> str:
    return f"{path} is of another release of the agent: install that one and let it deliver, or move the file away"


def look_into(path: Path, *, limits: OutboxLimits | None = None) -> Outbox:
    """Return the outbox at ``path`` for reading; an agent may be using it. Close it again.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = connect_to_look(path)
        if is_of_another_release(connection):
            raise OutboxError(_another_release(path))
        return Outbox(path, connection, limits or OutboxLimits())
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise OutboxError(sentence(path, error)) from error


def peek_depth(path: Path, *, limits: OutboxLimits) -> OutboxDepth:
    """Return how much waits in the outbox at ``path`` without changing it; an agent may be using it.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    outbox = look_into(path, limits=limits)
    try:
        return outbox.depth()
    finally:
        outbox.close()
