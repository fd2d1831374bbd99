"""One hub's side of the outbox: what it has yet to get, what its receipts settle, whether it knows the device.

A line of a receipt counts if its sequence and digest are those of an envelope that waits. A final verdict is an
*answer*; with answers of enough different hubs the envelope is deleted. UNKNOWN_DEVICE leaves it to be sent again, any
other verdict sets it aside for this hub until the next start.

What a receipt changes is not flushed to the disk: should a power cut undo it, the envelope is sent once more and the
hub says DUPLICATE. That saves half of all waits for the disk.
"""

from collections.abc import Sequence

from edge.keeping.outbox import Outbox
from edge.keeping.outbox_rows import COLUMNS, Change, Waiting, find, release, waiting_of
from edge.keeping.outbox_tables import keep_receipt, table_of
from edge.keeping.priority import Priority
from protocol.identity import PublicKey
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict


class Lane:
    """What the uplink of one hub needs of the outbox. Used by one thread. One error family: OutboxError."""

    def __init__(self, outbox: Outbox, hub: PublicKey) -> None:
        """Go on where this hub was left; a new hub gets a number.

        Raises:
            OutboxError: it cannot be remembered.
        """
        self._outbox = outbox
        rows = outbox.file.rows("SELECT number, enrolled FROM hub WHERE key_id = ?", hub.key_id)
        if not rows:
            with outbox.file.change() as change:
                change.connection.execute("INSERT INTO hub (key_id) VALUES (?)", (hub.key_id,))
            rows = outbox.file.rows("SELECT number, enrolled FROM hub WHERE key_id = ?", hub.key_id)
        self._number: int
        self._enrolled: bytes | None
        self._number, self._enrolled = rows[0]
        # All envelopes of a class before this number have been answered or refused: no need to walk over them again.
        self._from = dict.fromkeys(Priority, 0)

    def waiting(self, *, at_most: int) -> tuple[Waiting, ...]:
        """Return the first envelopes that this hub has said nothing final about, in the order of sending.

        Raises:
            OutboxError: the file cannot be read.
        """
        found: list[Waiting] = []
        book = self._outbox.book
        for priority in Priority:
            if book.classes[priority].waiting == 0 or self._from[priority] > book.last_sequence:
                continue
            table = table_of(priority)
            rows = self._outbox.file.rows(
                f"SELECT {COLUMNS} FROM {table} WHERE sequence BETWEEN ? AND ? "
                f"AND NOT EXISTS (SELECT 1 FROM answer WHERE sequence = {table}.sequence AND hub = ?) "
                f"AND NOT EXISTS (SELECT 1 FROM refusal WHERE sequence = {table}.sequence AND hub = ?) "
                "ORDER BY sequence LIMIT ?",
                *(self._from[priority], book.last_sequence, self._number, self._number, at_most - len(found)),
            )
            self._from[priority] = rows[0][0] if rows else book.last_sequence + 1
            found += [waiting_of(row, priority) for row in rows]
            if len(found) == at_most:
                break
        return tuple(found)

    def settle(self, lines: Sequence[ReceiptLine], *, receipt: bytes, heard_at_ms: UnixMs) -> tuple[int, ...]:
        """Take in a verified receipt of this hub.

        Args:
            lines: the receipt's lines.
            receipt: the receipt's block, kept if anything was settled.
            heard_at_ms: when it was heard.

        Returns:
            The sequences that this hub need not be sent again.

        Raises:
            OutboxError: not written; nothing was changed.
        """
        settled: list[int] = []
        with self._outbox.file.change(is_flushed=False) as change:
            for line in lines:
                found = find(change, line.sequence)
                if found is None or found[1] != line.digest or self._has_answered(change, line.sequence):
                    continue
                change.book = change.book.with_verdict(self._number, line.verdict)
                if line.verdict.is_final:
                    self._answer(change, line.sequence)
                    settled.append(line.sequence)
                elif line.verdict is not Verdict.UNKNOWN_DEVICE:
                    change.connection.execute(
                        "INSERT OR REPLACE INTO refusal (sequence, hub, verdict) VALUES (?, ?, ?)",
                        (line.sequence, self._number, int(line.verdict)),
                    )
            if settled:
                keep_receipt(change.connection, receipt, heard_at_ms, self._outbox.limits.receipts)
        return tuple(settled)

    def tally(self) -> dict[Verdict, int]:
        """Return how many envelopes got which verdict from this hub, over the life of the outbox."""
        return {Verdict(each): count for each, count in self._outbox.book.verdicts.get(self._number, {}).items()}

    def enrolled(self) -> bytes | None:
        """Return the enrollment block that this hub has receipted; None before that."""
        return self._enrolled

    def set_enrolled(self, block: bytes | None) -> None:
        """Remember that the hub holds this enrollment, or (None) that it holds none.

        Raises:
            OutboxError: not written.
        """
        with self._outbox.file.change() as change:
            change.connection.execute("UPDATE hub SET enrolled = ? WHERE number = ?", (block, self._number))
        self._enrolled = block

    def _has_answered(self, change: Change, sequence: int) -> bool:
        said = "SELECT 1 FROM answer WHERE sequence = ? AND hub = ?"
        return change.connection.execute(said, (sequence, self._number)).fetchone() is not None

    def _answer(self, change: Change, sequence: int) -> None:
        connection = change.connection
        (others,) = connection.execute("SELECT count(*) FROM answer WHERE sequence = ?", (sequence,)).fetchone()
        if others + 1 >= self._outbox.limits.receipts_required:
            release(change, sequence, is_early=False)
        else:
            connection.execute("INSERT INTO answer (sequence, hub) VALUES (?, ?)", (sequence, self._number))
            connection.execute("DELETE FROM refusal WHERE sequence = ? AND hub = ?", (sequence, self._number))
