"""The outbox's rows: an envelope goes in, an envelope goes out, and the books with it. For edge/outbox*.py alone."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.keeping.book import Book
from edge.keeping.outbox_tables import rank_of, table_of
from edge.keeping.priority import Priority
from protocol.units import UnixMs

COLUMNS: Final = "sequence, digest, block, created_at_ms, observations"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A signed envelope on its way."""

    sequence: int
    digest: bytes
    block: bytes
    created_at_ms: UnixMs
    priority: Priority
    observations: int


@dataclass(slots=True)
class Change:
    """A transaction under way: the connection, and the books as they will be."""

    connection: sqlite3.Connection
    book: Book


def waiting_of(row: tuple[int, bytes, bytes, int, int], priority: Priority) -> Waiting:
    """Return the envelope in a row of `COLUMNS` of the table of that class."""
    sequence, digest, block, created_at_ms, observations = row
    return Waiting(sequence, digest, block, UnixMs(created_at_ms), priority, observations)


def insert(change: Change, envelope: Waiting) -> None:
    """Put ``envelope`` in, as the end of the chain."""
    change.book = change.book.with_envelope(
        envelope.priority,
        sequence=envelope.sequence,
        digest=envelope.digest,
        block_bytes=len(envelope.block),
    )
    change.connection.execute(
        f"INSERT INTO {table_of(envelope.priority)} ({COLUMNS}, rank) VALUES (?, ?, ?, ?, ?, ?)",
        (
            envelope.sequence,
            envelope.digest,
            envelope.block,
            envelope.created_at_ms,
            envelope.observations,
            rank_of(change.book.classes[envelope.priority].signed),
        ),
    )


def find(change: Change, sequence: int) -> tuple[Priority, bytes] | None:
    """Return class and digest of the envelope of that number; None if it is not there any more."""
    for priority in Priority:
        if change.book.classes[priority].waiting == 0:
            continue
        found = f"SELECT digest FROM {table_of(priority)} WHERE sequence = ?"
        row = change.connection.execute(found, (sequence,)).fetchone()
        if row is not None:
            return priority, row[0]
    return None


def remove(change: Change, priority: Priority, sequence: int) -> None:
    """Take out an envelope, and what hubs have said of it; the caller books why."""
    connection, table = change.connection, table_of(priority)
    (block_bytes,) = connection.execute(f"SELECT length(block) FROM {table} WHERE sequence = ?", (sequence,)).fetchone()
    connection.execute(f"DELETE FROM {table} WHERE sequence = ?", (sequence,))
    connection.execute("DELETE FROM answer WHERE sequence = ?", (sequence,))
    connection.execute("DELETE FROM refusal WHERE sequence = ?", (sequence,))
    change.book = change.book.without_envelope(priority, block_bytes=block_bytes)


def release(change: Change, sequence: int, *, is_early: bool) -> None:
    """Let go of an envelope that hubs have."""
    found = find(change, sequence)
    if found is not None:
        remove(change, found[0], sequence)
        change.book = change.book.with_release(is_early=is_early)


def read_book(connection: sqlite3.Connection) -> Book:
    """Return the books; empty ones of a new outbox."""
    row = connection.execute("SELECT content FROM book").fetchone()
    return Book() if row is None else msgspec.json.decode(row[0], type=Book)


def write_book(connection: sqlite3.Connection, book: Book) -> None:
    """Write the books in place of the ones before."""
    connection.execute(
        "INSERT OR REPLACE INTO book (number, content) VALUES (1, ?)", (msgspec.json.encode(book).decode(),)
    )
