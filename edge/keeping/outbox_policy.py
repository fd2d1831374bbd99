"""What the outbox gives up when it must, and in what order. The words are in edge/keeping/outbox.py."""

from dataclasses import dataclass
from typing import Final

from edge.keeping.book import cost_bytes
from edge.keeping.outbox_rows import Change, release, remove
from edge.keeping.outbox_tables import table_of
from edge.keeping.priority import Priority
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.observation import Gap, GapReason
from protocol.units import UnixMs

_DAY_MS: Final = 86_400_000
# In one go, so that envelopes which lie on one page leave together: a page is written once for several of them.
_THINNED_AT_ONCE: Final = 64
# Few: a clock that is wrong for a minute must not empty the outbox, and nothing is in a hurry to be forgotten.
_AGED_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """The policy.

    Raises:
        ValueError: a limit is not positive, or too small for one envelope.
    """

    max_bytes: int = 128 << 20  # on the disk, about
    max_age_ms: int = 30 * _DAY_MS
    receipts: int = 1_024  # the last receipts are kept as evidence against the hub
    receipts_required: int = 1  # of different hubs, before an envelope is deleted

    def __post_init__(self) -> None:
        if min(self.max_age_ms, self.receipts, self.receipts_required) < 1 or self.max_bytes < cost_bytes(
            MAX_ENVELOPE_BYTES
        ):
            raise ValueError(f"an outbox holds a receipt and at least one envelope of {MAX_ENVELOPE_BYTES} bytes")


def make_room(change: Change, limits: OutboxLimits, *, now_ms: UnixMs) -> None:
    """Give up what is too old and what is too much. Takes a bounded time, however much waits."""
    for priority in Priority:
        if priority is not Priority.RECORD:
            _give_up_old(change, priority, before_ms=now_ms - limits.max_age_ms)
    while change.book.waiting_bytes > limits.max_bytes:
        # A small outbox is thinned one by one, so that it does not lose half of it at once.
        at_once = max(1, min(_THINNED_AT_ONCE, change.book.waiting // 64))
        if not (_release_early(change, at_once) or _thin(change, at_once)):
            return  # records alone are left: they stay


def abandon(change: Change, *, below: int) -> int:
    """Take out every envelope below that sequence; return how many. A gap that says so is signed already."""
    doomed = [
        (priority, sequence, observations)
        for priority in Priority
        for sequence, observations in change.connection.execute(
            f"SELECT sequence, observations FROM {table_of(priority)} WHERE sequence < ?", (below,)
        )
    ]
    for priority, sequence, observations in doomed:
        remove(change, priority, sequence)
        change.book = change.book.with_abandoned(observations=observations)
    return len(doomed)


def _give_up_old(change: Change, priority: Priority, *, before_ms: int) -> None:
    """Give up the first envelopes of a class as long as they are older than that."""
    if change.book.classes[priority].waiting == 0:
        return
    first = f"SELECT sequence, created_at_ms, observations FROM {table_of(priority)} ORDER BY sequence LIMIT ?"
    lost: list[tuple[int, int, int]] = []
    for row in change.connection.execute(first, (_AGED_AT_ONCE,)).fetchall():
        if row[1] >= before_ms:
            break
        if change.connection.execute("SELECT 1 FROM answer WHERE sequence = ?", (row[0],)).fetchone():
            release(change, row[0], is_early=True)
        else:
            lost.append(row)
    _give_up(change, GapReason.AGE, priority, lost)


def _release_early(change: Change, at_most: int) -> bool:
    """Let go of the first envelopes that some hub has, though not enough hubs; False if there are none."""
    answered = "SELECT DISTINCT sequence FROM answer ORDER BY sequence LIMIT ?"
    sequences = change.connection.execute(answered, (at_most,)).fetchall()
    for (sequence,) in sequences:
        release(change, sequence, is_early=True)
    return bool(sequences)


def _thin(change: Change, at_most: int) -> bool:
    """Give up envelopes of the lowest class there is, evenly over time; False if only records are left."""
    lowest = max(priority for priority in Priority if change.book.classes[priority].waiting)
    if lowest is Priority.RECORD:
        return False
    thinnest = f"SELECT sequence, created_at_ms, observations FROM {table_of(lowest)} ORDER BY rank, sequence LIMIT ?"
    _give_up(change, GapReason.BYTES, lowest, change.connection.execute(thinnest, (at_most,)).fetchall())
    return True


def _give_up(change: Change, reason: GapReason, priority: Priority, rows: list[tuple[int, int, int]]) -> None:
    """Take out what no hub has seen, rows of (sequence, created_at_ms, observations), and book it as a gap."""
    if not rows:
        return
    for sequence, _, _ in rows:
        remove(change, priority, sequence)
    sequences, times_ms, observations = zip(*rows, strict=True)
    change.book = change.book.with_gap(
        Gap(
            reason,
            len(rows),
            sum(observations),
            min(sequences),
            max(sequences),
            UnixMs(min(times_ms)),
            UnixMs(max(times_ms)),
        )
    )
