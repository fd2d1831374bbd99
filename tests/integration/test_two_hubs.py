"""One device, two hubs on two brokers: one dies and comes back, and an envelope stays as long as it is asked to."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from edge.sending.uplink import Route, Surroundings, UplinkLimits
from edge.sending.uplinks import Uplinks
from protocol.beacon import Beacon
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.envelope import NO_MODEL
from protocol.payload import VERSION
from protocol.topics import beacon_topic
from protocol.verdict import Verdict
from tests.support.edge_story import (
    BEACON,
    NETWORK,
    PLACE,
    Broker,
    ListeningHub,
    beacon_block,
    clock_ms,
    key_pair,
    person,
    running_broker,
    wait_until,
)

DEVICE = key_pair("device")
OTHER_HUB = key_pair("other hub")


@dataclass
class Two:
    """Two brokers, each with its hub."""

    brokers: tuple[Broker, Broker]
    hubs: tuple[ListeningHub, ListeningHub]

    def kept(self, hub: int) -> list[int]:
        return sorted(self.hubs[hub].hub.kept.get(DEVICE.public_key, {}))


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with (
        running_broker("nats", tmp_path / "a") as first,
        running_broker("mosquitto", tmp_path / "b") as second,
        ListeningHub(first.port) as near,
        ListeningHub(second.port) as far,
    ):
        far.hub.keys = OTHER_HUB
        yield Two((first, second), (near, far))


@dataclass
class Sender:
    """A device's speaking half."""

    outbox: Outbox
    signer: EnvelopeSigner
    uplinks: Uplinks
    signed: int = 0

    def sign(self, count: int) -> None:
        for _ in range(count):
            self.signed += 1
            self.signer.sign(Draft(BEACON, NO_MODEL, "1.0", PLACE, clock_ms(), (person(self.signed),)))

    @property
    def left(self) -> int:
        return self.outbox.depth().envelopes


@contextmanager
def running_sender(folder: Path, two: Two, *, required: int) -> Iterator[Sender]:
    SequenceLedger.create(folder / "sequence.json")
    ledger = SequenceLedger.open(folder / "sequence.json")
    outbox = Outbox.open(folder / "outbox.db", limits=OutboxLimits(receipts_required=required))
    me, ports = DEVICE.public_key, [broker.port for broker in two.brokers]
    uplinks = Uplinks(
        [
            Route("127.0.0.1", ports[0], NETWORK, me, key_pair("hub").public_key),
            Route("127.0.0.1", ports[1], NETWORK, me, OTHER_HUB.public_key),
        ],
        outbox=outbox,
        enrollment=lambda: seal_enrollment(Enrollment(VERSION, NETWORK, bytes(20), clock_ms()), DEVICE),
        limits=UplinkLimits(window=8, resend_after_s=0.5, reconnect_max_s=0.3),
        surroundings=Surroundings(clock_ms, time.monotonic, lambda: 0.5),
    )
    signer = EnvelopeSigner(
        DEVICE, network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=uplinks.enrollment_digest
    )
    try:
        with uplinks.running():
            yield Sender(outbox, signer, uplinks)
            assert uplinks.is_alive
        assert not uplinks.is_alive
    finally:
        outbox.close()
        ledger.close()


def wait_for_both(device: Sender) -> None:
    wait_until(
        lambda: all(each.uplink.is_enrolled for each in device.uplinks.state.hubs), at_most_s=15, what="both know it"
    )


def test_with_two_receipts_required_an_envelope_waits_for_the_hub_that_is_away(two: Two, tmp_path: Path) -> None:
    with running_sender(tmp_path, two, required=2) as device:
        wait_for_both(device)
        device.sign(10)
        wait_until(lambda: device.left == 0, at_most_s=15, what="both hubs have everything")
        assert two.kept(0) == two.kept(1) == list(range(1, 11))
        two.brokers[1].kill()
        wait_until(lambda: not device.uplinks.state.hubs[1].uplink.is_connected, at_most_s=15, what="one is away")
        device.sign(20)
        wait_until(lambda: len(two.kept(0)) == 30, at_most_s=15, what="the other has everything")
        wait_until(
            lambda: device.uplinks.state.hubs[0].receipts.get(Verdict.ACCEPTED) == 30, at_most_s=15, what="receipts"
        )
        assert device.left == 20
        near, far = device.uplinks.state.hubs
        assert (near.uplink.is_connected, far.uplink.is_connected) == (True, False)
        assert device.uplinks.state.is_connected
        published, settled_s = near.uplink.published, time.monotonic()
        wait_until(lambda: time.monotonic() > settled_s + 1, at_most_s=5, what="time for resending has passed")
        assert device.uplinks.state.hubs[0].uplink.published == published  # what it has it is not sent again
        two.brokers[1].start()
        wait_until(lambda: device.left == 0, at_most_s=30, what="the one that was away has caught up")
        assert two.kept(1) == list(range(1, 31))
        for listening in two.hubs:
            assert (listening.hub.reused, listening.hub.chain_breaks(DEVICE.public_key)) == ([], [])


def test_with_one_receipt_required_a_hub_that_is_away_holds_nothing_up(two: Two, tmp_path: Path) -> None:
    with running_sender(tmp_path, two, required=1) as device:
        wait_for_both(device)
        two.brokers[1].kill()
        wait_until(lambda: not device.uplinks.state.hubs[1].uplink.is_connected, at_most_s=15, what="one is away")
        device.sign(10)
        wait_until(lambda: device.left == 0, at_most_s=15, what="one hub is enough")
        two.brokers[1].start()
        wait_until(lambda: device.uplinks.state.hubs[1].uplink.is_connected, at_most_s=30, what="it is back")
        two.brokers[0].kill()
        wait_until(lambda: not device.uplinks.state.hubs[0].uplink.is_connected, at_most_s=15, what="the other goes")
        device.sign(5)
        wait_until(lambda: device.left == 0, at_most_s=15, what="now the second one is enough")
        assert (two.kept(0), two.kept(1)) == (list(range(1, 11)), list(range(11, 16)))
        assert device.outbox.book.released == 15


def test_the_newest_beacon_of_any_hub_counts_and_a_stranger_relays_none(two: Two, tmp_path: Path) -> None:
    now_ms = clock_ms()
    older, newer = Beacon(7, b"\x07" * 32), Beacon(8, b"\x08" * 32)

    def heard() -> Beacon | None:
        notice = device.uplinks.state.beacon
        return notice.beacon if notice is not None else None

    with running_sender(tmp_path, two, required=1) as device:
        wait_for_both(device)
        for listening in two.hubs:
            block = beacon_block(key_pair("stranger"), relayed_at_ms=now_ms + 9, beacon=Beacon(9, b"\x09" * 32))
            listening.say(beacon_topic(NETWORK), block)
        near, far = two.hubs
        near.say(beacon_topic(NETWORK), beacon_block(near.hub.keys, relayed_at_ms=now_ms, beacon=older))
        wait_until(lambda: heard() == older, at_most_s=10, what="the first beacon")
        # The near hub's word counts on its own broker alone.
        far.say(beacon_topic(NETWORK), beacon_block(near.hub.keys, relayed_at_ms=now_ms + 5, beacon=newer))
        wait_until(lambda: device.uplinks.state.unbelievable == 3, at_most_s=10, what="three that prove nothing")
        assert heard() == older
        far.say(beacon_topic(NETWORK), beacon_block(OTHER_HUB, relayed_at_ms=now_ms + 1, beacon=newer))
        wait_until(lambda: heard() == newer, at_most_s=10, what="the newer one")
        near.say(beacon_topic(NETWORK), beacon_block(near.hub.keys, relayed_at_ms=now_ms, beacon=older))
        near.say(beacon_topic(NETWORK), b"\x84noise")
        wait_until(lambda: device.uplinks.state.unbelievable == 4, at_most_s=10, what="the noise after it")
        assert heard() == newer
