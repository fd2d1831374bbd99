"""The outbox: signed envelopes that no hub has receipted yet, in SQLite, safe against a power cut.

* An envelope is committed with an fsync *before* anybody can have seen it, and with it the end of the chain
  (``previous`` of the next), so the chain goes on from what was really published.
* An envelope leaves on the hub's final receipt only, in the transaction that keeps the receipt as evidence.
* A full outbox refuses; it never drops what it accepted.

Invariants: tests/property/test_outbox_crashes.py.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from edge.errors import EdgeError
from edge.identity import sync_directory
from edge.outbox_tables import SCHEMA, count, keep_receipt, roll_back, sentence, set_fact
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict

_LAST: Final = "last_envelope"
_ENROLLED: Final = "enrolled"


class OutboxError(EdgeError):
    """The outbox cannot be read or written at present; the message says what to do. Nothing accepted is lost."""


class OutboxFullError(OutboxError):
    """The outbox has reached its limit: what it holds comes first, new envelopes are refused."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much may wait.

    Raises:
        ValueError: a limit is not positive.
    """

    envelopes: int = 100_000
    block_bytes: int = 64 << 20
    receipts: int = 1_024  # the last receipts are kept as evidence against the hub

    def __post_init__(self) -> None:
        if min(self.envelopes, self.receipts) < 1 or self.block_bytes < MAX_ENVELOPE_BYTES:
            raise ValueError(f"an outbox holds at least one envelope of {MAX_ENVELOPE_BYTES} bytes and one receipt")


@dataclass(frozen=True, slots=True)
class Link:
    """The end of the device's chain: what the next envelope names as ``previous``."""

    sequence: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """A signed envelope on its way."""

    sequence: int
    digest: bytes
    block: bytes
    created_at_ms: UnixMs


@dataclass(frozen=True, slots=True)
class OutboxDepth:
    """What waits for a receipt."""

    envelopes: int
    block_bytes: int
    refused: int  # of these, set aside because a hub refused them without keeping them
    oldest_created_at_ms: UnixMs | None


@dataclass(slots=True)
class _Change:
    """By how much a transaction changes what waits."""

    envelopes: int = 0
    block_bytes: int = 0


class Outbox:
    """One device's outbox. May be used from several threads. One error family: OutboxError."""

    def __init__(self, path: Path, connection: sqlite3.Connection, limits: OutboxLimits) -> None:
        """Use `open`."""
        self._path = path
        self._connection = connection
        self._limits = limits
        self._lock = threading.Lock()
        self._envelopes, self._block_bytes = self._measured()

    @classmethod
    def open(cls, path: Path, *, limits: OutboxLimits) -> Self:
        """Open or create the outbox at ``path``; SQLite repairs what a power cut left.

        Raises:
            OutboxError: damaged, or not writable.
        """
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL: a commit has reached the disk when it returns; about 2 ms, and envelopes are few.
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(SCHEMA)
            # What a hub refused once is offered again after each start: the hub may have been mended.
            connection.execute("UPDATE envelope SET refused = NULL WHERE refused IS NOT NULL")
            sync_directory(path.parent)  # SQLite does not do it for a new database in WAL mode
            return cls(path, connection, limits)
        except (sqlite3.Error, OSError) as error:
            if connection is not None:
                connection.close()
            raise OutboxError(sentence(path, error)) from error

    def close(self) -> None:
        """Close the file; the outbox may be opened again."""
        with self._lock:
            self._connection.close()

    def append(self, envelope: Waiting) -> None:
        """Keep ``envelope`` and make it the end of the chain; durable on return.

        Raises:
            OutboxFullError: no room; nothing was changed.
            OutboxError: not written; nothing was changed.
        """
        with self._transaction() as (connection, change):
            self._require_room(len(envelope.block))
            connection.execute(
                "INSERT INTO envelope (sequence, digest, block, created_at_ms) VALUES (?, ?, ?, ?)",
                (envelope.sequence, envelope.digest, envelope.block, envelope.created_at_ms),
            )
            set_fact(connection, _LAST, envelope.sequence, envelope.digest)
            change.envelopes, change.block_bytes = 1, len(envelope.block)

    def require_room(self, block_bytes: int) -> None:
        """Return quietly if a block of that size would be accepted.

        Raises:
            OutboxFullError: it would not.
        """
        with self._lock:
            self._require_room(block_bytes)

    def last(self) -> Link | None:
        """Return the end of the chain; None before the first envelope."""
        fact = self._fact(_LAST)
        return None if fact is None else Link(*fact)

    def waiting(self, *, at_most: int) -> tuple[Waiting, ...]:
        """Return the first envelopes that are to be sent, in sequence order."""
        rows = self._rows(
            "SELECT sequence, digest, block, created_at_ms FROM envelope WHERE refused IS NULL "
            "ORDER BY sequence LIMIT ?",
            at_most,
        )
        return tuple(Waiting(*row) for row in rows)

    def settle(self, lines: Sequence[ReceiptLine], *, receipt: bytes, heard_at_ms: UnixMs) -> tuple[int, ...]:
        """Let go of the envelopes that a verified receipt of the right hub settles.

        A line counts if sequence and digest are those of an envelope that waits. Final verdicts delete it,
        UNKNOWN_DEVICE leaves it to be sent again, any other sets it aside until the next start.

        Args:
            lines: the receipt's lines.
            receipt: the receipt's block, kept if anything was settled.
            heard_at_ms: when it was heard.

        Returns:
            The sequences that were deleted.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        settled: list[int] = []
        with self._transaction() as (connection, change):
            for line in lines:
                row = connection.execute(
                    "SELECT length(block) FROM envelope WHERE sequence = ? AND digest = ?", (line.sequence, line.digest)
                ).fetchone()
                if row is None:
                    continue
                count(connection, line.verdict)
                if line.verdict.is_final:
                    connection.execute("DELETE FROM envelope WHERE sequence = ?", (line.sequence,))
                    settled.append(line.sequence)
                    change.envelopes -= 1
                    change.block_bytes -= row[0]
                elif line.verdict is not Verdict.UNKNOWN_DEVICE:
                    connection.execute(
                        "UPDATE envelope SET refused = ? WHERE sequence = ?", (int(line.verdict), line.sequence)
                    )
            if settled:
                keep_receipt(connection, receipt, heard_at_ms, self._limits.receipts)
        return tuple(settled)

    def abandon(self, *, below: int) -> int:
        """Give up, without a receipt, every envelope with a sequence below ``below``; return how many there were.

        The caller has signed a gap that says so, and has appended it first: nothing is lost in silence.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self._transaction() as (connection, change):
            envelopes, block_bytes = connection.execute(
                "SELECT count(*), coalesce(sum(length(block)), 0) FROM envelope WHERE sequence < ?", (below,)
            ).fetchone()
            connection.execute("DELETE FROM envelope WHERE sequence < ?", (below,))
            change.envelopes, change.block_bytes = -envelopes, -block_bytes
        return int(envelopes)

    def depth(self) -> OutboxDepth:
        """Return how much waits."""
        ((refused, oldest),) = self._rows("SELECT count(refused), min(created_at_ms) FROM envelope")
        with self._lock:
            return OutboxDepth(self._envelopes, self._block_bytes, refused, oldest)

    def tally(self) -> dict[Verdict, int]:
        """Return how many envelopes got which verdict, over the life of this outbox."""
        return {Verdict(verdict): number for verdict, number in self._rows("SELECT verdict, envelopes FROM tally")}

    def receipts(self) -> tuple[bytes, ...]:
        """Return the receipts kept as evidence, oldest first."""
        return tuple(row[0] for row in self._rows("SELECT block FROM receipt ORDER BY number"))

    def enrolled(self) -> bytes | None:
        """Return the enrollment block that the hub has receipted; None before that."""
        fact = self._fact(_ENROLLED)
        return None if fact is None else fact[1]

    def set_enrolled(self, block: bytes | None) -> None:
        """Remember that the hub holds this enrollment, or (None) that it holds none.

        Raises:
            OutboxError: not written.
        """
        with self._transaction() as (connection, _):
            if block is None:
                connection.execute("DELETE FROM fact WHERE name = ?", (_ENROLLED,))
            else:
                set_fact(connection, _ENROLLED, 0, block)

    def _require_room(self, block_bytes: int) -> None:
        limits = self._limits
        if self._envelopes >= limits.envelopes or self._block_bytes + block_bytes > limits.block_bytes:
            raise OutboxFullError(
                f"{self._envelopes} envelopes ({self._block_bytes} bytes) wait for a receipt, the limit is reached: "
                f"check that the hub can be reached (`cairn-edge doctor`)"
            )

    def _measured(self) -> tuple[int, int]:
        row = self._connection.execute("SELECT count(*), coalesce(sum(length(block)), 0) FROM envelope").fetchone()
        return row[0], row[1]

    def _fact(self, name: str) -> tuple[int, bytes] | None:
        rows = self._rows("SELECT number, content FROM fact WHERE name = ?", name)
        return (rows[0][0], rows[0][1]) if rows else None

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError(sentence(self._path, error)) from error

    @contextmanager
    def _transaction(self) -> Iterator[tuple[sqlite3.Connection, _Change]]:
        """All or nothing, durable at the end of the block; the change is counted if it happened."""
        with self._lock:
            connection = self._connection
            try:
                connection.execute("BEGIN IMMEDIATE")
                change = _Change()
                yield connection, change
                connection.execute("COMMIT")
                self._envelopes += change.envelopes
                self._block_bytes += change.block_bytes
            except sqlite3.Error as error:
                roll_back(connection)
                raise OutboxError(sentence(self._path, error)) from error
            except BaseException:
                roll_back(connection)
                raise


def peek_depth(path: Path, *, limits: OutboxLimits) -> OutboxDepth:
    """Return how much waits in the outbox at ``path`` without changing it; an agent may be using it.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, isolation_level=None)
        return Outbox(path, connection, limits).depth()
    except sqlite3.Error as error:
        raise OutboxError(sentence(path, error)) from error
    finally:
        if connection is not None:
            connection.close()
