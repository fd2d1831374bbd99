"""The scribe: signs what is due, waits when the outbox cannot take it, and never stays silent about a loss."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.keeping.book import lost_in_memory
from edge.keeping.builder import BatchLimits, DraftBuilder, Urgency
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.outbox_lane import Lane
from edge.keeping.scribe import Scribe
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from protocol.classes import CAR, PERSON
from protocol.envelope import open_envelope
from protocol.observation import Gap, GapReason, Observation, Quantity, Reading, Track
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


def seen(track_id: int, *, class_id: int = PERSON, continues: bool = False) -> Track:
    return Track(track_id, class_id, UnixMs(10), UnixMs(20), Ppm(1), 3, continues=continues, sketch=b"")


READING = Reading(Quantity.TEMPERATURE_MDEGC, NOW_MS, 21_000, 500)


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
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits())
    signer = EnvelopeSigner(
        key_pair("device"), network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=b"\xee" * 32
    )
    limits = BatchLimits(max_observations=2, max_waiting=4)
    builder = DraftBuilder(model_digest=None, agent_release="1", position=PLACE, limits=limits)
    yield Desk(Scribe(builder, signer, now_ms=time.now_ms, monotonic_s=time.monotonic_s), outbox, time)
    outbox.close()
    ledger.close()


def observations(desk: Desk) -> list[tuple[Observation, ...]]:
    return [open_envelope(each.block)[1].observations for each in desk.outbox.waiting(at_most=99)]


def test_people_are_counted_once_and_only_when_they_are_gone(desk: Desk) -> None:
    desk.scribe.note([seen(1), seen(2, continues=True), seen(2), seen(3, class_id=CAR)])
    assert desk.scribe.people == 2


def test_each_class_travels_in_an_envelope_of_its_own_and_one_write_serves_all(desk: Desk) -> None:
    desk.scribe.note([READING, seen(1)])
    desk.scribe.write(beacon=BEACON)
    assert observations(desk) == [(seen(1),), (READING,)]
    assert desk.outbox.writes.flushed == 1
    assert (desk.scribe.signed, desk.scribe.waiting) == (2, 0)


def test_what_found_no_room_in_memory_is_told_in_a_signed_record(desk: Desk) -> None:
    desk.outbox.file.connection.execute("PRAGMA query_only=1")
    for track_id in range(1, 8):
        desk.scribe.note([seen(track_id)])
        desk.time.s += 1
        desk.scribe.write(beacon=BEACON)
    assert desk.scribe.trouble is not None
    lost, kept = desk.scribe.refused, desk.scribe.waiting
    assert (lost + kept, kept) == (7, 4)
    desk.outbox.file.connection.execute("PRAGMA query_only=0")
    desk.time.s += 60
    desk.scribe.write(beacon=BEACON)
    assert not desk.scribe.trouble
    assert desk.scribe.waiting == 0
    told = [each for envelope in observations(desk) for each in envelope if isinstance(each, Gap)]
    first_s, last_s = 100, 106
    assert len(told) == 1
    assert (told[0].reason, told[0].envelopes, told[0].observations) == (GapReason.MEMORY, 0, lost)
    assert NOW_MS + first_s * 1_000 <= told[0].from_ms < told[0].until_ms <= NOW_MS + last_s * 1_000
    desk.scribe.write(beacon=BEACON)
    assert desk.outbox.book.gaps == ()


def test_gaps_gather_while_a_record_of_them_is_on_its_way(desk: Desk) -> None:
    def lose(observations: int) -> None:
        desk.outbox.append([], lost=lost_in_memory(observations, from_ms=NOW_MS, until_ms=NOW_MS))
        desk.scribe.write(beacon=None)  # without a beacon a record would prove no time
        desk.scribe.write(beacon=BEACON)

    lane = Lane(desk.outbox, key_pair("hub").public_key)
    lose(1)
    lose(2)
    lose(3)
    ((gap,),) = observations(desk)
    assert isinstance(gap, Gap)
    assert gap.observations == 1
    (record,) = lane.waiting(at_most=9)
    accepted = ReceiptLine(record.sequence, record.digest, Verdict.ACCEPTED)
    lane.settle([accepted], receipt=b"r", heard_at_ms=NOW_MS)
    desk.scribe.write(beacon=BEACON)
    ((gap,),) = observations(desk)
    assert isinstance(gap, Gap)
    assert gap.observations == 5


def test_a_refused_write_is_tried_again_ever_more_slowly(desk: Desk) -> None:
    desk.outbox.file.connection.execute("PRAGMA query_only=1")
    desk.scribe.note([seen(1)])
    tries = 0
    for _ in range(1_000):  # ten minutes
        desk.time.s += 0.6
        before = desk.scribe._retry_at_s
        desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
        tries += desk.scribe._retry_at_s != before
    assert 20 <= tries <= 26
    desk.outbox.file.connection.execute("PRAGMA query_only=0")
    desk.time.s += 30
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 1
    assert desk.scribe.trouble is None


def test_the_last_chance_does_not_wait_for_its_turn(desk: Desk) -> None:
    desk.outbox.file.connection.execute("PRAGMA query_only=1")
    desk.scribe.note([seen(1)])
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    desk.outbox.file.connection.execute("PRAGMA query_only=0")
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 0
    desk.scribe.retry_now()
    desk.scribe.write(beacon=BEACON, urgency=Urgency.NOW)
    assert desk.scribe.signed == 1
