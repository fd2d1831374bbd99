"""The outbox: signed envelopes that hubs have not receipted yet, in SQLite, safe against a power cut.

* An envelope is committed with an fsync *before* anybody can have seen it, and with it the end of the chain
  (``previous`` of the next), so the chain goes on from what was really published.
* An envelope leaves when enough different hubs have receipted it (edge/keeping/outbox_lane.py), or by the policy below.
* The policy, when there is too much or something is too old: first go the envelopes that some hub has, though not
  enough; then the lowest class is thinned, every second envelope, then every fourth, so that what remains still covers
  the whole time; a higher class only when all lower ones are gone. What goes unseen by any hub is counted as a *gap* in
  the same transaction, and gaps are told in a signed record, which is itself never given up.
* While one record of gaps is on its way, further losses gather for the next: an outage of months costs one record.

Invariants: tests/property/test_outbox_conservation.py, test_outbox_crashes.py, test_outbox_kills.py.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from edge.keeping.book import Book, Writes
from edge.keeping.outbox_file import OutboxError, OutboxFile
from edge.keeping.outbox_policy import OutboxLimits, abandon, make_room
from edge.keeping.outbox_rows import COLUMNS, Waiting, insert, release, waiting_of
from edge.keeping.outbox_tables import table_of
from edge.keeping.priority import Priority
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

    def __init__(self, file: OutboxFile, limits: OutboxLimits) -> None:
        """Use `open`, or `look_into`."""
        self.file = file  # for edge/keeping/outbox_lane.py
        self.limits = limits

    @classmethod
    def open(cls, path: Path, *, limits: OutboxLimits) -> Self:
        """Open or create the outbox at ``path``; SQLite repairs what a power cut left.

        Raises:
            OutboxError: damaged, not writable, or of another release.
        """
        with ExitStack() as stack:
            file = OutboxFile.open(path)
            stack.callback(file.close)
            outbox = cls(file, limits)
            outbox._begin_anew()
            stack.pop_all()
        return outbox

    def close(self) -> None:
        """Close the file; the outbox may be opened again."""
        self.file.close()

    @property
    def book(self) -> Book:
        """What was signed, released, given up and is to be told."""
        return self.file.book

    @property
    def writes(self) -> Writes:
        """How much was written to the disk since `open`."""
        return self.file.writes

    @property
    def lost(self) -> tuple[int, int]:
        """How many envelopes and observations were given up since `open`: what health records tell."""
        book, before = self.file.book, self.file.book_before
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
        with self.file.change() as change:
            if lost is not None:
                change.book = change.book.with_gap(lost)
            change.book = change.book.with_told(told)
            for envelope in envelopes:
                insert(change, envelope)
            if envelopes:
                make_room(change, self.limits, now_ms=max(each.created_at_ms for each in envelopes))

    def last(self) -> Link | None:
        """Return the end of the chain; None before the first envelope."""
        book = self.file.book
        return Link(book.last_sequence, book.last_digest) if book.last_sequence else None

    def gaps_to_tell(self) -> tuple[Gap, ...]:
        """Return what was lost and can be told now: nothing while a record is on its way that no hub has yet.

        Raises:
            OutboxError: the file cannot be read.
        """
        book = self.file.book
        if not book.gaps:
            return ()
        table = table_of(Priority.RECORD)
        return (
            ()
            if self.file.rows(f"SELECT 1 FROM {table} WHERE sequence NOT IN (SELECT sequence FROM answer) LIMIT 1")
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
            while rows := self.file.rows(few, after):
                yield from (waiting_of(row, priority) for row in rows)
                after = rows[-1][0]

    def abandon(self, *, below: int) -> int:
        """Give up, without a receipt, every envelope with a sequence below ``below``; return how many there were.

        The caller has signed a gap that says so, and has appended it first: nothing is lost in silence.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        with self.file.change() as change:
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
        ((refused, oldest),) = self.file.rows(
            f"SELECT (SELECT count(DISTINCT sequence) FROM refusal), (SELECT min(created_at_ms) FROM ({firsts}))"
        )
        book = self.file.book
        by_class = {priority: book.classes[priority].waiting for priority in Priority}
        return OutboxDepth(book.waiting, book.waiting_bytes, refused, oldest, by_class)

    def tally(self) -> dict[Verdict, int]:
        """Return how many envelopes got which verdict, all hubs together, over the life of this outbox."""
        total: dict[Verdict, int] = {}
        for of_hub in self.file.book.verdicts.values():
            for verdict, envelopes in of_hub.items():
                total[Verdict(verdict)] = total.get(Verdict(verdict), 0) + envelopes
        return dict(sorted(total.items()))

    def receipts(self) -> tuple[bytes, ...]:
        """Return the receipts kept as evidence, oldest first."""
        return tuple(row[0] for row in self.file.rows("SELECT block FROM receipt ORDER BY number"))

    def _begin_anew(self) -> None:
        """The settings may ask for fewer receipts than at the last start. And what a hub refused is offered again."""
        enough = self.file.rows(
            "SELECT sequence FROM answer GROUP BY sequence HAVING count(*) >= ?", self.limits.receipts_required
        )
        if not enough and not self.file.rows("SELECT 1 FROM refusal LIMIT 1"):
            return
        with self.file.change() as change:
            change.connection.execute("DELETE FROM refusal")  # the hub may have been mended
            for (sequence,) in enough:
                release(change, sequence, is_early=False)


def look_into(path: Path, *, limits: OutboxLimits | None = None) -> Outbox:
    """Return the outbox at ``path`` for reading; an agent may be using it. Close it again.

    Raises:
        OutboxError: there is none, or it cannot be read.
    """
    return Outbox(OutboxFile.look_into(path), limits or OutboxLimits())


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
