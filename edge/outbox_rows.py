"""The outbox's rows: an envelope goes in, an envelope goes out, and the books with it. For edge/outbox*.py alone."""

import sqlite3
from dataclasses import dataclass
from typing import Final

import msgspec

from edge.book import Book
from edge.outbox_tables import SEQUENCE_MASK, key_of, rank_of
from edge.priority import Priority
from protocol.units import UnixMs

COLUMNS: Final = "key, digest, block, created_at_ms, priority, observations"


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


def waiting_of(row: tuple[int, bytes, bytes, int, int, int]) -> Waiting:
    """Return the envelope in a row of `COLUMNS`."""
    key, digest, block, created_at_ms, priority, observations = row
    return Waiting(key & SEQUENCE_MASK, digest, block, UnixMs(created_at_ms), Priority(priority), observations)


def insert(change: Change, envelope: Waiting) -> None:
    """Put ``envelope`` in, as the end of the chain."""
    change.book = change.book.with_envelope(
        envelope.priority,
        sequence=envelope.sequence,
        digest=envelope.digest,
        block_bytes=len(envelope.block),
    )
    change.connection.execute(
        f"INSERT INTO envelope ({COLUMNS}, rank) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            key_of(envelope.priority, envelope.sequence),
            envelope.digest,
            envelope.block,
            envelope.created_at_ms,
            int(envelope.priority),
            envelope.observations,
            rank_of(change.book.classes[envelope.priority].signed),
        ),
    )


def find(change: Change, sequence: int, digest: bytes) -> int | None:
    """Return the key of the envelope of that number and these very bytes."""
    keys = ", ".join(str(key_of(priority, sequence)) for priority in Priority)
    row = change.connection.execute(
        f"SELECT key FROM envelope WHERE key IN ({keys}) AND digest = ?", (digest,)
    ).fetchone()
    return None if row is None else row[0]


def remove(change: Change, key: int) -> None:
    """Take out the envelope with that key, and what hubs have said of it; the caller books why."""
    connection, sequence = change.connection, key & SEQUENCE_MASK
    row = connection.execute("SELECT priority, length(block) FROM envelope WHERE key = ?", (key,)).fetchone()
    connection.execute("DELETE FROM envelope WHERE key = ?", (key,))
    connection.execute("DELETE FROM answer WHERE sequence = ?", (sequence,))
    connection.execute("DELETE FROM refusal WHERE sequence = ?", (sequence,))
    change.book = change.book.without_envelope(Priority(row[0]), block_bytes=row[1])


def read_book(connection: sqlite3.Connection) -> Book:
    """Return the books; empty ones of a new outbox."""
    row = connection.execute("SELECT content FROM book").fetchone()
    return Book() if row is None else msgspec.json.decode(row[0], type=Book)


def write_book(connection: sqlite3.Connection, book: Book) -> None:
    """Write the books in place of the ones before."""
    connection.execute(
        "INSERT OR REPLACE INTO book (number, content) VALUES (1, ?)", (msgspec.json.encode(book).decode(),)
    )
