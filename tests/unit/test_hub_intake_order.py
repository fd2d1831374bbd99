"""The writer's promise: on the disk, then in the index, then receipted, then acknowledged; and nothing twice."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from hub.domain.admission import Message
from hub.domain.records import IntakeRecord
from hub.ingest.writer import MOST_PER_BATCH, MOST_REFUSALS_LISTED
from hub.log.reading import read_log
from hub.store.store import Store
from protocol.beacon import Beacon, BeaconNotice
from protocol.cose import open_sign1
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.payload import decode_payload
from protocol.topics import beacon_topic
from protocol.verdict import Verdict
from tests.support.hub_intake import IntakeBench
from tests.support.hub_story import BEACON, HUB, NETWORK, START_MS, StoryDevice


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    yield opened
    opened.database.close()


@pytest.fixture
def bench(store: Store, tmp_path: Path) -> Iterator[IntakeBench]:
    made = IntakeBench(tmp_path / "hub", store)
    yield made
    made.shut()


def intakes(bench: IntakeBench) -> list[IntakeRecord]:
    paths = [*sorted(bench.segments.glob("*.car")), *bench.segments.glob("*.open")]
    return [record for record in read_log(paths, HUB.public_key) if isinstance(record, IntakeRecord)]


def test_a_device_enrolls_and_its_envelopes_are_receipted_once_each(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    verdicts = bench.take(device.enrollment(), device.envelope(), device.envelope())
    key_id = device.keys.public_key.key_id
    assert verdicts == {(key_id, sequence): Verdict.ACCEPTED for sequence in (0, 1, 2)}
    assert len(bench.outbox.receipts) == 1  # one a device and batch, not one an envelope
    assert bench.outbox.acts == ["beacon", "receipt", "acknowledge"]
    receipt = bench.outbox.receipts[0]
    (record,) = intakes(bench)
    assert (receipt.batch, receipt.received_at_ms) == (record.intake.batch, record.intake.received_at_ms)
    assert [line.digest for line in receipt.lines] == [entry.digest for entry in record.entries]


def test_what_is_delivered_again_is_receipted_again_and_counts_once(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    messages = [device.enrollment(), device.envelope()]
    bench.take(*messages)
    again = bench.take(*messages)
    assert set(again.values()) == {Verdict.DUPLICATE}
    assert len(again) == 2
    with bench.store.database.reading() as connection:
        counted = connection.execute(text("select envelopes, observations from devices")).one()
    assert tuple(counted) == (1, 1)


def test_the_same_block_twice_in_one_batch_is_kept_once(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    enrollment, envelope = device.enrollment(), device.envelope()
    bench.take(enrollment, envelope, envelope, envelope)
    (record,) = intakes(bench)
    assert [entry.verdict for entry in record.entries] == [Verdict.ACCEPTED] * 2 + [Verdict.DUPLICATE] * 2


def test_while_the_database_fails_nothing_is_receipted_or_acknowledged_and_nothing_is_lost(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment())
    acts = list(bench.outbox.acts)
    with bench.store.database.writing() as connection:
        connection.execute(text("alter table batches rename to hidden"))
    worker = threading.Thread(target=bench.take, args=(device.envelope(),))
    worker.start()
    _await(lambda: bench.gauges.read().index_failures >= 2)
    assert len(intakes(bench)) == 2  # on the disk already
    assert bench.outbox.acts == acts
    with bench.store.database.writing() as connection:
        connection.execute(text("alter table hidden rename to batches"))
    worker.join(10)
    assert not worker.is_alive()
    assert bench.outbox.acts == [*acts, "receipt", "acknowledge"]
    assert len(intakes(bench)) == 2
    assert [row[0] for row in bench.store.rows("batches")] == [1, 2]


def test_when_told_to_stop_while_the_database_fails_the_message_stays_unacknowledged(bench: IntakeBench) -> None:
    bench.relay()
    with bench.store.database.writing() as connection:
        connection.execute(text("alter table batches rename to hidden"))
    worker = threading.Thread(target=bench.take, args=(StoryDevice(1).enrollment(),))
    worker.start()
    _await(lambda: bench.gauges.read().index_failures >= 1)
    bench.stop.set()
    worker.join(10)
    assert not worker.is_alive()
    assert bench.outbox.acknowledged == []
    assert bench.outbox.receipts == []


def test_a_beacon_is_logged_and_indexed_before_it_is_published(bench: IntakeBench) -> None:
    bench.relay(BEACON, START_MS - 2_000)
    signed = open_sign1(bench.outbox.retained[beacon_topic(NETWORK)])
    assert signed.key == HUB.public_key
    notice = decode_payload(signed.payload, BeaconNotice)
    assert (notice.beacon, notice.made_at_ms, notice.relayed_at_ms) == (BEACON, START_MS - 2_000, START_MS)
    assert bench.store.rows("beacons") == [(BEACON.round, BEACON.hash, START_MS - 2_000, START_MS)]


def test_a_flood_of_refusals_is_counted_and_not_copied(bench: IntakeBench) -> None:
    bench.relay()
    flood = [Message("cairn/v1/test-net/envelope/nobody", b"%d" % number) for number in range(400)]
    strangers = [StoryDevice(1_000 + number).envelope() for number in range(60)]
    bench.take(*flood, *strangers)
    (record,) = intakes(bench)
    assert len(record.entries) == MOST_REFUSALS_LISTED
    unlisted = {tally.verdict: tally.messages for tally in record.intake.unlisted}
    assert unlisted == {Verdict.MALFORMED: 400 - MOST_REFUSALS_LISTED, Verdict.UNKNOWN_DEVICE: 60}
    assert bench.gauges.read().received == 460
    assert bench.outbox.receipts == []  # a receipt without an entry would be proof against us


def test_after_a_flood_an_honest_device_in_the_same_batch_is_still_receipted(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    flood = [Message("x", b"%d" % number) for number in range(300)]
    verdicts = bench.take(*flood, device.enrollment(), device.envelope())
    assert list(verdicts.values()) == [Verdict.ACCEPTED, Verdict.ACCEPTED]


def test_an_unknown_device_is_told_and_whose_key_is_not_proven_is_not(bench: IntakeBench) -> None:
    stranger, victim = StoryDevice(1), StoryDevice(2)
    bench.relay()
    forged = victim.envelope()
    verdicts = bench.take(
        stranger.envelope(),
        Message(forged.topic, forged.block[:-1] + bytes([forged.block[-1] ^ 1])),
        Message(forged.topic, bytes(MAX_ENVELOPE_BYTES + 1)),
    )
    assert verdicts == {(stranger.keys.public_key.key_id, 1): Verdict.UNKNOWN_DEVICE}
    assert not Verdict.UNKNOWN_DEVICE.is_final
    (record,) = intakes(bench)
    assert [entry.verdict for entry in record.entries] == [
        Verdict.UNKNOWN_DEVICE,
        Verdict.BAD_SIGNATURE,
        Verdict.OVERSIZE,
    ]


def test_a_full_batch_of_one_device_fits_into_one_receipt(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    messages = [device.enrollment(), *(device.envelope() for _ in range(MOST_PER_BATCH - 1))]
    assert len(bench.take(*messages)) == MOST_PER_BATCH
    assert len(bench.outbox.receipts) == 1


def test_time_alone_begins_the_next_epoch_and_a_clock_set_back_does_not_undo_it(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    bench.relay()
    bench.take(device.enrollment())
    bench.go_to_epoch(3)
    assert bench.writer.epoch == 3
    bench.now_ms = START_MS
    bench.take(device.envelope())
    assert bench.outbox.receipts[-1].epoch == 3
    assert [path.name for path in sorted(bench.segments.glob("segment-*"))] == [
        "segment-00000001.car",
        "segment-00000002.car.open",
    ]


def test_beacons_of_two_hubs_with_one_round_stay_apart(bench: IntakeBench) -> None:
    device = StoryDevice(1)
    other = Beacon(BEACON.round, bytes(32))
    bench.relay()
    verdicts = bench.take(device.enrollment(), device.envelope(beacon=other))
    assert verdicts[device.keys.public_key.key_id, 1] is Verdict.STALE_BEACON
    bench.relay(other)
    assert bench.take(device.envelope(beacon=other))[device.keys.public_key.key_id, 2] is Verdict.ACCEPTED


def _await(condition: object) -> None:
    assert callable(condition)
    patience = threading.Event()
    for _ in range(500):
        if condition():
            return
        patience.wait(0.02)
    pytest.fail("it did not happen within 10 s")
