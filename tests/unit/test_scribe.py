"""The scribe: signs what is due, waits when the outbox cannot take it, and never stays silent about a loss."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.builder import BatchLimits, DraftBuilder, Urgency
from edge.finished import FinishedTrack
from edge.outbox import Outbox, OutboxLimits
from edge.scribe import Scribe
from edge.sequence import SequenceLedger
from edge.signer import EnvelopeSigner
from protocol.classes import CAR, PERSON
from protocol.envelope import open_envelope
from protocol.observation import Quantity, Reading
from protocol.receipt import ReceiptLine
from protocol.units import Ppm, UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair


@dataclass
class Time:
    """A clock that tests turn."""

    s: float = 100.0

    def now_ms(self) -> UnixMs:
        return UnixMs(NOW_MS + int(self.s * 1000))

    def monotonic_s(self) -> float:
        return self.s


def finished(
    track_id: int, *, class_id: int = PERSON, continues: bool = False, last_seen_ms: int = 20
) -> FinishedTrack:
    box = (1, 2, 3, 4)
    return FinishedTrack(track_id, class_id, 0, continues, UnixMs(10), UnixMs(last_seen_ms), Ppm(1), 3, box, box, ())


@dataclass
class Desk:
    """A scribe with its outbox and its clock."""

    scribe: Scribe
    outbox: Outbox
    time: Time


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    time = Time()
    SequenceLedger.create(tmp_path / "sequence.json")
    ledger = SequenceLedger.open(tmp_path / "sequence.json")
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits(envelopes=2))
    signer = EnvelopeSigner(
        key_pair("device"), network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=b"\xee" * 32
    )
    limits = BatchLimits(max_observations=2, max_waiting=4)
    builder = DraftBuilder(model_digest=None, agent_release="1", position=PLACE, limits=limits)
    yield Desk(Scribe(builder, signer, now_ms=time.now_ms, monotonic_s=time.monotonic_s), outbox, time)
    outbox.close()
    ledger.close()


def test_people_are_counted_once_and_only_when_they_are_gone(desk: Desk) -> None:
    desk.scribe.note(
        tracks=[finished(1), finished(2, continues=True), finished(2), finished(3, class_id=CAR)],
    )
    assert desk.scribe.people == 2


def test_tracks_and_readings_travel_together(desk: Desk) -> None:
    reading = Reading(Quantity.TEMPERATURE_MDEGC, NOW_MS, 21_000, 500)
    desk.scribe.note([finished(1)], readings=[reading])
    desk.scribe.write(beacon=BEACON)
    (waiting,) = desk.outbox.waiting(at_most=9)
    _, envelope = open_envelope(waiting.block)
    assert envelope.observations[1] == reading
    assert (desk.scribe.signed, desk.scribe.waiting) == (1, 0)


def test_a_full_outbox_holds_observations_back_until_there_is_room_again(desk: Desk) -> None:
    scribe = desk.scribe
    for first in (1, 3):
        scribe.note([finished(first), finished(first + 1)])
        scribe.write(beacon=BEACON)
    scribe.note([finished(5), finished(6)])
    scribe.write(beacon=BEACON)
    assert scribe.trouble is not None
    assert "2 envelopes" in scribe.trouble
    assert (scribe.signed, scribe.waiting, scribe.refused) == (2, 2, 0)
    waiting = desk.outbox.waiting(at_most=1)[0]
    line = ReceiptLine(waiting.sequence, waiting.digest, Verdict.ACCEPTED)
    desk.outbox.settle([line], receipt=b"r", heard_at_ms=NOW_MS)
    scribe.write(beacon=BEACON)
    assert scribe.waiting == 2  # not asked again before its time
    desk.time.s += 1.0
    scribe.write(beacon=BEACON)
    assert (scribe.signed, scribe.waiting) == (3, 0)
    assert not scribe.trouble
    assert [each.sequence for each in desk.outbox.waiting(at_most=9)] == [2, 3]  # the wait cost no number


def test_a_refused_write_is_tried_again_ever_more_slowly(desk: Desk) -> None:
    desk.outbox._connection.execute("PRAGMA query_only=1")
    desk.scribe.note([finished(1)])
    tries = 0
    for _ in range(1_000):  # ten minutes
        desk.time.s += 0.6
        before = desk.scribe._retry_at_s
        desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
        tries += desk.scribe._retry_at_s != before
    assert 20 <= tries <= 26
    desk.outbox._connection.execute("PRAGMA query_only=0")
    desk.time.s += 30
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 1
    assert desk.scribe.trouble is None


def test_the_last_chance_does_not_wait_for_its_turn(desk: Desk) -> None:
    desk.outbox._connection.execute("PRAGMA query_only=1")
    desk.scribe.note([finished(1)])
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    desk.outbox._connection.execute("PRAGMA query_only=0")
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 0
    desk.scribe.retry_now()
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 1


def test_what_finds_no_room_in_memory_is_counted_as_lost(desk: Desk) -> None:
    desk.scribe.note([finished(track_id) for track_id in range(1, 8)])
    assert (desk.scribe.waiting, desk.scribe.refused) == (4, 3)


def test_what_no_hub_would_accept_is_dropped_and_counted_instead_of_blocking_the_rest(desk: Desk) -> None:
    desk.scribe.note([finished(1, class_id=80), finished(2), finished(3), finished(4)])
    desk.scribe.write(beacon=BEACON)
    assert (desk.scribe.refused, desk.scribe.signed, desk.scribe.waiting) == (2, 1, 0)
