"""What the outbox does to an SD card: little, counted, bounded, and as much after a week offline as after an hour."""

import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edge.keeping.book import cost_bytes
from edge.keeping.outbox import Outbox, OutboxLimits, Waiting
from edge.keeping.outbox_lane import Lane
from edge.keeping.outbox_tables import PAGE_BYTES, WAL_PAGES
from edge.keeping.priority import Priority
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import NOW_MS
from tests.support.outbox_story import HUB

BLOCK = bytes(400)
WEEK_S = 7 * 86_400


def envelope(sequence: int, priority: Priority = Priority.TRACK) -> Waiting:
    at_ms = UnixMs(NOW_MS + sequence * 1_000)
    return Waiting(sequence, sequence.to_bytes(32), sequence.to_bytes(8) + BLOCK, at_ms, priority, 1)


def accepted(sequence: int) -> ReceiptLine:
    return ReceiptLine(sequence, sequence.to_bytes(32), Verdict.ACCEPTED)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits())
    yield outbox
    outbox.close()


def test_a_device_that_sees_nothing_writes_nothing(outbox: Outbox) -> None:
    lane = Lane(outbox, HUB)
    before = outbox.writes
    for _ in range(100):
        lane.waiting(at_most=32)
        outbox.depth()
        outbox.gaps_to_tell()
        lane.settle([accepted(7)], receipt=b"of somebody else's", heard_at_ms=NOW_MS)
    assert outbox.writes == before


def test_only_what_is_signed_waits_for_the_disk(outbox: Outbox) -> None:
    lane = Lane(outbox, HUB)
    before = outbox.writes
    outbox.append([envelope(1), envelope(2, Priority.READING)])
    after = outbox.writes
    assert (after.transactions, after.flushed) == (before.transactions + 1, before.flushed + 1)
    lane.settle([accepted(1), accepted(2)], receipt=b"receipt", heard_at_ms=NOW_MS)
    assert (outbox.writes.transactions, outbox.writes.flushed) == (after.transactions + 1, after.flushed)
    assert outbox.file.connection.execute("PRAGMA synchronous").fetchone() == (1,)  # NORMAL
    outbox.append([envelope(3)])
    assert outbox.file.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_what_was_written_is_counted_over_the_life_of_the_outbox(outbox: Outbox, tmp_path: Path) -> None:
    for sequence in range(1, 6):
        outbox.append([envelope(sequence)])
    assert outbox.writes.written_bytes > 5 * PAGE_BYTES
    total = outbox.book.writes.transactions
    outbox.close()
    again = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits())
    assert (again.writes.transactions, again.book.writes.transactions) == (0, total)
    again.close()


def test_an_hour_of_work_writes_few_bytes_into_files_that_do_not_grow(outbox: Outbox, tmp_path: Path) -> None:
    """720 envelopes, one each five seconds, each receipted: the file stays small, the log bounded."""
    lane = Lane(outbox, HUB)
    sizes_bytes = []
    before = outbox.writes
    for sequence in range(1, 721):
        outbox.append([envelope(sequence)])
        lane.settle([accepted(sequence)], receipt=bytes(300), heard_at_ms=NOW_MS)
        sizes_bytes.append((tmp_path / "outbox.db-wal").stat().st_size)
    writes = outbox.writes.since(before)
    assert writes.transactions == 2 * writes.flushed == 1_440
    print(f"an hour: {writes.flushed} flushes, {writes.written_bytes / (1 << 20):.1f} MiB")
    assert writes.written_bytes / 720 < 12_000
    assert max(sizes_bytes) < 1.1 * WAL_PAGES * (PAGE_BYTES + 24)
    # The receipts that are kept as evidence, about 300 bytes each, are all that stays.
    assert (tmp_path / "outbox.db").stat().st_size < 720 * 600 + (64 << 10)


def test_a_week_offline_is_bounded_and_covered_to_its_end(tmp_path: Path) -> None:
    """A small week: one observation a second, in envelopes of their own, in an outbox of 4,000."""
    room, signed = 4_000, 20_000
    limits = OutboxLimits(max_bytes=room * cost_bytes(408))
    outbox = Outbox.open(tmp_path / "outbox.db", limits=limits)
    began_s = time.perf_counter()
    for first in range(1, signed, 50):
        outbox.append([envelope(sequence) for sequence in range(first, first + 50)])
    took_s = time.perf_counter() - began_s
    waiting = [each.sequence for each in outbox.every_one()]
    assert room * 0.97 <= len(waiting) <= room
    assert (tmp_path / "outbox.db").stat().st_size < 1.1 * limits.max_bytes + (64 << 10)
    assert outbox.book.signed == outbox.book.waiting + outbox.book.given_up
    assert max(after - before for before, after in pairwise([0, *waiting, signed + 1])) <= 4 * signed / room
    print(f"{signed} envelopes took {took_s:.1f} s; a week of {WEEK_S} would take {took_s * WEEK_S / signed:.0f} s")
    outbox.close()


@pytest.mark.parametrize("room", [200, 2_000, 8_000])
def test_an_append_to_a_full_outbox_takes_a_bounded_number_of_steps(tmp_path: Path, room: int) -> None:
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits(max_bytes=room * cost_bytes(408)))
    outbox.append([envelope(sequence) for sequence in range(1, room + 1)])
    most = max(_steps_of(outbox, envelope(sequence)) for sequence in range(room + 1, room + 130))
    print(f"at most {most} steps of SQLite's machine with {room} envelopes waiting")
    assert most < 8_000  # 64 envelopes are thinned at once, and then none for a while
    outbox.close()


def _steps_of(outbox: Outbox, one: Waiting) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    outbox.file.connection.set_progress_handler(count, 1)
    outbox.append([one])
    outbox.file.connection.set_progress_handler(None, 1)
    return steps
