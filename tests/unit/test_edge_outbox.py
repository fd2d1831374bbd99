"""The outbox: keeps what it accepted until final receipts, gives up by its policy alone, says what is wrong."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.keeping.book import cost_bytes
from edge.keeping.outbox import Link, Outbox, OutboxError, OutboxLimits, Waiting, look_into, peek_depth
from edge.keeping.outbox_lane import Lane
from edge.keeping.priority import Priority
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import key_pair

LIMITS = OutboxLimits()
HUB = key_pair("hub").public_key
HEARD_MS = UnixMs(99)


def waiting(sequence: int, size_bytes: int = 100) -> Waiting:
    block = bytes([sequence % 251]) * size_bytes
    return Waiting(sequence, sequence.to_bytes(32), block, UnixMs(1_000 + sequence), Priority.TRACK, 1)


def line(sequence: int, verdict: Verdict = Verdict.ACCEPTED, digest: bytes | None = None) -> ReceiptLine:
    return ReceiptLine(sequence, digest or sequence.to_bytes(32), verdict)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox.open(path, limits=LIMITS)
    yield outbox
    outbox.close()


@pytest.fixture
def lane(outbox: Outbox) -> Lane:
    return Lane(outbox, HUB)


def sequences(lane: Lane) -> list[int]:
    return [each.sequence for each in lane.waiting(at_most=1_000)]


def test_what_was_appended_waits_in_order_and_survives_reopening(outbox: Outbox, lane: Lane, path: Path) -> None:
    for sequence in (1, 2, 18):
        outbox.append([waiting(sequence)])
    assert outbox.waiting(at_most=2) == (waiting(1), waiting(2))
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert again.waiting(at_most=9) == (waiting(1), waiting(2), waiting(18))
    assert again.last() == Link(18, (18).to_bytes(32))
    depth = again.depth()
    assert (depth.envelopes, depth.block_bytes, depth.oldest_created_at_ms) == (3, 3 * cost_bytes(100), 1_001)
    again.close()


def test_the_end_of_the_chain_outlives_the_envelopes(outbox: Outbox, lane: Lane) -> None:
    assert outbox.last() is None
    outbox.append([waiting(1)])
    assert lane.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS) == (1,)
    assert sequences(lane) == []
    assert outbox.last() == Link(1, (1).to_bytes(32))


@pytest.mark.parametrize("verdict", [each for each in Verdict if each.is_final])
def test_a_final_receipt_deletes_and_is_kept_as_evidence(outbox: Outbox, lane: Lane, verdict: Verdict) -> None:
    outbox.append([waiting(1)])
    outbox.append([waiting(2)])
    assert lane.settle([line(1, verdict)], receipt=b"receipt", heard_at_ms=HEARD_MS) == (1,)
    assert sequences(lane) == [2]
    assert outbox.receipts() == (b"receipt",)
    assert outbox.tally() == {verdict: 1}
    assert outbox.depth().envelopes == 1


def test_an_unknown_device_keeps_its_envelopes_and_sends_them_again(outbox: Outbox, lane: Lane) -> None:
    outbox.append([waiting(1)])
    assert lane.settle([line(1, Verdict.UNKNOWN_DEVICE)], receipt=b"r", heard_at_ms=HEARD_MS) == ()
    assert sequences(lane) == [1]
    assert outbox.receipts() == ()


@pytest.mark.parametrize("verdict", [Verdict.MALFORMED, Verdict.BAD_SIGNATURE, Verdict.WRONG_NETWORK])
def test_a_refusal_that_keeps_nothing_sets_aside_until_the_next_start(
    outbox: Outbox, lane: Lane, path: Path, verdict: Verdict
) -> None:
    outbox.append([waiting(1)])
    outbox.append([waiting(2)])
    lane.settle([line(1, verdict)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert sequences(lane) == [2]
    assert (outbox.depth().envelopes, outbox.depth().refused) == (2, 1)
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert sequences(Lane(again, HUB)) == [1, 2]
    again.close()


def test_a_receipt_for_other_bytes_settles_nothing(outbox: Outbox, lane: Lane) -> None:
    outbox.append([waiting(1)])
    assert lane.settle([line(1, digest=bytes(32)), line(7)], receipt=b"r", heard_at_ms=HEARD_MS) == ()
    assert sequences(lane) == [1]
    assert outbox.tally() == {}
    assert outbox.receipts() == ()


def test_a_receipt_heard_twice_counts_once(outbox: Outbox, lane: Lane) -> None:
    outbox.append([waiting(1)])
    for _ in range(2):
        lane.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert outbox.tally() == {Verdict.ACCEPTED: 1}
    assert outbox.receipts() == (b"r",)


def test_only_the_last_receipts_are_kept(path: Path) -> None:
    outbox = Outbox.open(path, limits=OutboxLimits(receipts=3))
    lane = Lane(outbox, HUB)
    for sequence in range(1, 8):
        outbox.append([waiting(sequence)])
        lane.settle([line(sequence)], receipt=b"r%d" % sequence, heard_at_ms=HEARD_MS)
    assert outbox.receipts() == (b"r5", b"r6", b"r7")
    outbox.close()


def test_a_disk_that_fills_up_is_one_sentence_and_loses_nothing(outbox: Outbox, lane: Lane) -> None:
    outbox.append([waiting(1)])
    pages = outbox.file.connection.execute("PRAGMA page_count").fetchone()[0]
    outbox.file.connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(OutboxError, match="is full: free some space"):
        outbox.append([waiting(2, size_bytes=30_000)])
    assert sequences(lane) == [1]
    assert outbox.last() == Link(1, (1).to_bytes(32))
    assert outbox.depth().envelopes == 1
    outbox.file.connection.execute("PRAGMA max_page_count=100000")
    outbox.append([waiting(2, size_bytes=30_000)])
    assert sequences(lane) == [1, 2]


def test_a_disk_that_turned_read_only_is_one_sentence(outbox: Outbox, lane: Lane) -> None:
    outbox.append([waiting(1)])
    outbox.file.connection.execute("PRAGMA query_only=1")
    with pytest.raises(OutboxError, match="cannot be written"):
        outbox.append([waiting(2)])
    with pytest.raises(OutboxError, match="cannot be written"):
        lane.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS)
    outbox.file.connection.execute("PRAGMA query_only=0")
    assert sequences(lane) == [1]


def test_a_damaged_file_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(OutboxError, match="move it away"):
        Outbox.open(path, limits=LIMITS)


def test_a_file_of_another_release_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE fact (name TEXT)")  # as before there were classes
    connection.close()
    for open_it in (Outbox.open, look_into):
        with pytest.raises(OutboxError, match="another release"):
            open_it(path, limits=LIMITS)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("fact",)]
    connection.close()


def test_a_place_that_does_not_exist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="check that its directory exists"):
        Outbox.open(tmp_path / "nowhere" / "outbox.db", limits=LIMITS)


def test_every_commit_is_fsynced(outbox: Outbox, lane: Lane) -> None:
    for size_bytes in (100, 30_000):
        before = outbox.writes
        outbox.append([waiting(size_bytes, size_bytes)])
        assert outbox.file.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert outbox.writes.flushed == before.flushed + 1
    assert outbox.file.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_somebody_else_may_look_without_changing_anything(outbox: Outbox, lane: Lane, path: Path) -> None:
    outbox.append([waiting(1)])
    lane.settle([line(1, Verdict.MALFORMED)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert peek_depth(path, limits=LIMITS) == outbox.depth()
    assert outbox.depth().refused == 1


def test_the_enrollment_is_remembered_and_forgotten(outbox: Outbox, lane: Lane, path: Path) -> None:
    assert lane.enrolled() is None
    lane.set_enrolled(b"block")
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert Lane(again, key_pair("another hub").public_key).enrolled() is None
    mine = Lane(again, HUB)
    assert mine.enrolled() == b"block"
    mine.set_enrolled(None)
    assert Lane(again, HUB).enrolled() is None
    again.close()


@pytest.mark.parametrize(
    "wrong", [{"max_age_ms": 0}, {"receipts": 0}, {"receipts_required": 0}, {"max_bytes": MAX_ENVELOPE_BYTES - 1}]
)
def test_limits_that_hold_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        OutboxLimits(**wrong)


def test_what_is_abandoned_is_gone_and_the_chain_goes_on(outbox: Outbox) -> None:
    outbox.append([waiting(sequence) for sequence in (1, 2, 3)])
    assert outbox.abandon(below=3) == 2
    assert [each.sequence for each in outbox.waiting(at_most=9)] == [3]
    assert (outbox.depth().envelopes, outbox.depth().block_bytes) == (1, cost_bytes(100))
    assert outbox.last() == Link(3, (3).to_bytes(32))
    assert (outbox.book.given_up, outbox.book.given_up_observations, outbox.book.gaps) == (2, 2, ())
    outbox.append([waiting(4)])


def test_books_are_read_again_when_somebody_else_has_written(outbox: Outbox, path: Path) -> None:
    outbox.append([waiting(1)])
    other = Outbox.open(path, limits=LIMITS)
    other.append([waiting(2)])
    other.close()
    outbox.append([waiting(3)])
    assert (outbox.book.signed, outbox.depth().envelopes) == (3, 3)
