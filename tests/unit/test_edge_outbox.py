"""The outbox: keeps what it accepted until a final receipt, refuses out loud, says what is wrong in sentences."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.outbox import Link, Outbox, OutboxError, OutboxFullError, OutboxLimits, Waiting, peek_depth
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.receipt import ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict

LIMITS = OutboxLimits()
HEARD_MS = UnixMs(99)


def waiting(sequence: int, size_bytes: int = 100) -> Waiting:
    return Waiting(sequence, sequence.to_bytes(32), bytes([sequence % 251]) * size_bytes, UnixMs(1_000 + sequence))


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


def sequences(outbox: Outbox) -> list[int]:
    return [each.sequence for each in outbox.waiting(at_most=1_000)]


def test_what_was_appended_waits_in_order_and_survives_reopening(outbox: Outbox, path: Path) -> None:
    for sequence in (1, 2, 18):
        outbox.append(waiting(sequence))
    assert outbox.waiting(at_most=2) == (waiting(1), waiting(2))
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert again.waiting(at_most=9) == (waiting(1), waiting(2), waiting(18))
    assert again.last() == Link(18, (18).to_bytes(32))
    assert (again.depth().envelopes, again.depth().block_bytes, again.depth().oldest_created_at_ms) == (3, 300, 1_001)
    again.close()


def test_the_end_of_the_chain_outlives_the_envelopes(outbox: Outbox) -> None:
    assert outbox.last() is None
    outbox.append(waiting(1))
    assert outbox.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS) == (1,)
    assert sequences(outbox) == []
    assert outbox.last() == Link(1, (1).to_bytes(32))


@pytest.mark.parametrize("verdict", [each for each in Verdict if each.is_final])
def test_a_final_receipt_deletes_and_is_kept_as_evidence(outbox: Outbox, verdict: Verdict) -> None:
    outbox.append(waiting(1))
    outbox.append(waiting(2))
    assert outbox.settle([line(1, verdict)], receipt=b"receipt", heard_at_ms=HEARD_MS) == (1,)
    assert sequences(outbox) == [2]
    assert outbox.receipts() == (b"receipt",)
    assert outbox.tally() == {verdict: 1}
    assert outbox.depth().envelopes == 1


def test_an_unknown_device_keeps_its_envelopes_and_sends_them_again(outbox: Outbox) -> None:
    outbox.append(waiting(1))
    assert outbox.settle([line(1, Verdict.UNKNOWN_DEVICE)], receipt=b"r", heard_at_ms=HEARD_MS) == ()
    assert sequences(outbox) == [1]
    assert outbox.receipts() == ()


@pytest.mark.parametrize("verdict", [Verdict.MALFORMED, Verdict.BAD_SIGNATURE, Verdict.WRONG_NETWORK])
def test_a_refusal_that_keeps_nothing_sets_aside_until_the_next_start(
    outbox: Outbox, path: Path, verdict: Verdict
) -> None:
    outbox.append(waiting(1))
    outbox.append(waiting(2))
    outbox.settle([line(1, verdict)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert sequences(outbox) == [2]
    assert (outbox.depth().envelopes, outbox.depth().refused) == (2, 1)
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert sequences(again) == [1, 2]
    again.close()


def test_a_receipt_for_other_bytes_settles_nothing(outbox: Outbox) -> None:
    outbox.append(waiting(1))
    assert outbox.settle([line(1, digest=bytes(32)), line(7)], receipt=b"r", heard_at_ms=HEARD_MS) == ()
    assert sequences(outbox) == [1]
    assert outbox.tally() == {}
    assert outbox.receipts() == ()


def test_a_receipt_heard_twice_counts_once(outbox: Outbox) -> None:
    outbox.append(waiting(1))
    for _ in range(2):
        outbox.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert outbox.tally() == {Verdict.ACCEPTED: 1}
    assert outbox.receipts() == (b"r",)


def test_only_the_last_receipts_are_kept(path: Path) -> None:
    outbox = Outbox.open(path, limits=OutboxLimits(receipts=3))
    for sequence in range(1, 8):
        outbox.append(waiting(sequence))
        outbox.settle([line(sequence)], receipt=b"r%d" % sequence, heard_at_ms=HEARD_MS)
    assert outbox.receipts() == (b"r5", b"r6", b"r7")
    outbox.close()


def test_a_full_outbox_refuses_and_keeps_what_it_has(path: Path) -> None:
    outbox = Outbox.open(path, limits=OutboxLimits(envelopes=2))
    outbox.append(waiting(1))
    outbox.append(waiting(2))
    with pytest.raises(OutboxFullError, match="2 envelopes"):
        outbox.require_room(1)
    with pytest.raises(OutboxFullError):
        outbox.append(waiting(3))
    assert sequences(outbox) == [1, 2]
    assert outbox.last() == Link(2, (2).to_bytes(32))
    outbox.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS)
    outbox.append(waiting(3))
    assert sequences(outbox) == [2, 3]
    outbox.close()


def test_bytes_are_limited_too_and_counted_anew_after_reopening(path: Path) -> None:
    limits = OutboxLimits(block_bytes=MAX_ENVELOPE_BYTES)
    outbox = Outbox.open(path, limits=limits)
    outbox.append(waiting(1, size_bytes=MAX_ENVELOPE_BYTES - 10))
    outbox.close()
    outbox = Outbox.open(path, limits=limits)
    with pytest.raises(OutboxFullError):
        outbox.append(waiting(2, size_bytes=11))
    outbox.append(waiting(2, size_bytes=10))
    outbox.close()


def test_a_disk_that_fills_up_is_one_sentence_and_loses_nothing(outbox: Outbox) -> None:
    outbox.append(waiting(1))
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(OutboxError, match="is full: free some space"):
        outbox.append(waiting(2, size_bytes=30_000))
    assert sequences(outbox) == [1]
    assert outbox.last() == Link(1, (1).to_bytes(32))
    assert outbox.depth().envelopes == 1
    outbox._connection.execute("PRAGMA max_page_count=100000")
    outbox.append(waiting(2, size_bytes=30_000))
    assert sequences(outbox) == [1, 2]


def test_a_disk_that_turned_read_only_is_one_sentence(outbox: Outbox) -> None:
    outbox.append(waiting(1))
    outbox._connection.execute("PRAGMA query_only=1")
    with pytest.raises(OutboxError, match="cannot be written"):
        outbox.append(waiting(2))
    with pytest.raises(OutboxError, match="cannot be written"):
        outbox.settle([line(1)], receipt=b"r", heard_at_ms=HEARD_MS)
    outbox._connection.execute("PRAGMA query_only=0")
    assert sequences(outbox) == [1]


def test_a_damaged_file_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(OutboxError, match="move it away"):
        Outbox.open(path, limits=LIMITS)


def test_a_place_that_does_not_exist_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(OutboxError, match="check that its directory exists"):
        Outbox.open(tmp_path / "nowhere" / "outbox.db", limits=LIMITS)


def test_every_commit_is_fsynced(outbox: Outbox) -> None:
    assert outbox._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert outbox._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_somebody_else_may_look_without_changing_anything(outbox: Outbox, path: Path) -> None:
    outbox.append(waiting(1))
    outbox.settle([line(1, Verdict.MALFORMED)], receipt=b"r", heard_at_ms=HEARD_MS)
    assert peek_depth(path, limits=LIMITS) == outbox.depth()
    assert outbox.depth().refused == 1


def test_the_enrollment_is_remembered_and_forgotten(outbox: Outbox, path: Path) -> None:
    assert outbox.enrolled() is None
    outbox.set_enrolled(b"block")
    outbox.close()
    again = Outbox.open(path, limits=LIMITS)
    assert again.enrolled() == b"block"
    again.set_enrolled(None)
    assert again.enrolled() is None
    again.close()


@pytest.mark.parametrize("wrong", [{"envelopes": 0}, {"receipts": 0}, {"block_bytes": MAX_ENVELOPE_BYTES - 1}])
def test_limits_that_hold_nothing_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        OutboxLimits(**wrong)


def test_what_is_abandoned_is_gone_and_the_chain_goes_on(path: Path) -> None:
    outbox = Outbox.open(path, limits=OutboxLimits(envelopes=3))
    for sequence in (1, 2, 3):
        outbox.append(waiting(sequence))
    assert outbox.abandon(below=3) == 2
    assert [each.sequence for each in outbox.waiting(at_most=9)] == [3]
    assert (outbox.depth().envelopes, outbox.depth().block_bytes) == (1, 100)
    assert outbox.last() == Link(3, (3).to_bytes(32))
    outbox.append(waiting(4))
    outbox.close()
