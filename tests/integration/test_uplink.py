"""The uplink on real brokers: everything arrives, nothing is believed without a signature, silence is survived."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.outbox_lane import Lane
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from edge.sending.enroller import Enroller
from edge.sending.uplink import Route, Surroundings, Uplink, UplinkLimits
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.envelope import NO_MODEL, block_digest
from protocol.identity import KeyPair
from protocol.payload import VERSION
from protocol.topics import beacon_topic, receipt_topic
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
    receipt_for,
    running_broker,
    wait_until,
)

BROKERS = ("nats", "mosquitto")


@dataclass
class Sender:
    """A device's speaking half: sign with it, run its uplink."""

    keys: KeyPair
    outbox: Outbox
    lane: Lane
    signer: EnvelopeSigner
    uplink: Uplink
    signed: int = 0

    def sign(self, count: int) -> None:
        for _ in range(count):
            self.signed += 1
            self.signer.sign(Draft(BEACON, NO_MODEL, "1.0", PLACE, clock_ms(), (person(self.signed),)))

    @property
    def left(self) -> int:
        return self.outbox.depth().envelopes

    @contextmanager
    def running(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self.uplink.run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(15)
            assert not thread.is_alive()


@contextmanager
def sender(folder: Path, port: int, *, name: str = "device", resend_after_s: float = 0.5) -> Iterator[Sender]:
    keys = key_pair(name)
    path = folder / f"{name}.sequence"
    SequenceLedger.create(path)
    ledger = SequenceLedger.open(path)
    outbox = Outbox.open(folder / f"{name}.db", limits=OutboxLimits())

    def enrollment() -> bytes:
        return seal_enrollment(Enrollment(VERSION, NETWORK, bytes(20), clock_ms()), keys)

    lane = Lane(outbox, key_pair("hub").public_key)
    enroller = Enroller(lane, block=enrollment(), renew=enrollment)
    uplink = Uplink(
        Route("127.0.0.1", port, NETWORK, keys.public_key, key_pair("hub").public_key),
        lane=lane,
        enroller=enroller,
        limits=UplinkLimits(window=8, resend_after_s=resend_after_s, reconnect_max_s=0.5),
        surroundings=Surroundings(clock_ms, time.monotonic, lambda: 0.5),
    )
    signer = EnvelopeSigner(
        keys, network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=block_digest(enroller.block)
    )
    try:
        yield Sender(keys, outbox, lane, signer, uplink)
    finally:
        outbox.close()
        ledger.close()


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    with running_broker(request.param, tmp_path / "broker") as running:
        yield running


def test_a_device_enrolls_then_every_envelope_arrives_once_and_leaves_the_outbox(
    broker: Broker, tmp_path: Path
) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device:
        device.sign(50)
        with device.running():
            wait_until(lambda: device.left == 0, at_most_s=20, what="the outbox is empty")
            device.sign(3)
            wait_until(lambda: device.left == 0, at_most_s=10, what="the outbox is empty again")
            assert device.uplink.state.is_connected
        hub = listening.hub
        assert sorted(hub.kept[device.keys.public_key]) == list(range(1, 54))
        assert hub.chain_breaks(device.keys.public_key) == []
        assert (hub.reused, hub.refused) == ([], 0)
        assert device.outbox.tally() == {Verdict.ACCEPTED: 53}
        assert device.lane.enrolled() is not None
        assert not device.uplink.state.is_connected


def test_the_brokers_acknowledgement_deletes_nothing(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device:
        with device.running():
            wait_until(lambda: device.uplink.state.is_enrolled, at_most_s=10, what="the device is enrolled")
            listening.is_silent = True
            device.sign(5)
            kept = listening.hub.kept
            wait_until(lambda: len(kept.get(device.keys.public_key, {})) == 5, at_most_s=10, what="all have arrived")
            wait_until(lambda: device.uplink.state.published >= 10, at_most_s=10, what="all are sent again")
            assert device.left == 5
            listening.is_silent = False
            wait_until(lambda: device.left == 0, at_most_s=20, what="the outbox is empty")
        assert device.outbox.tally() == {Verdict.DUPLICATE: 5}


def test_a_hub_that_forgot_the_device_is_told_again(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device, device.running():
        wait_until(lambda: device.uplink.state.is_enrolled, at_most_s=10, what="the device is enrolled")
        listening.hub.enrolled.clear()
        device.sign(20)
        wait_until(lambda: device.left == 0, at_most_s=20, what="the outbox is empty")
        assert listening.hub.enrolled == {device.keys.public_key}
        assert device.outbox.tally()[Verdict.ACCEPTED] == 20
        assert device.outbox.tally()[Verdict.UNKNOWN_DEVICE] >= 1


def test_forged_receipts_and_beacons_are_counted_and_change_nothing(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device, device.running():
        wait_until(lambda: device.uplink.state.is_enrolled, at_most_s=10, what="the device is enrolled")
        listening.is_silent = True
        device.sign(1)
        (envelope,) = device.outbox.waiting(at_most=9)
        me, line = device.keys.public_key, (envelope.sequence, envelope.digest, Verdict.ACCEPTED)
        stranger, hub = key_pair("stranger"), listening.hub.keys
        topic = receipt_topic(NETWORK, me)
        listening.say(topic, receipt_for(stranger, me, line)[0])
        listening.say(topic, receipt_for(hub, stranger.public_key, line)[0])
        listening.say(topic, receipt_for(hub, me, line, network="elsewhere")[0])
        listening.say(topic, b"\x84noise")
        listening.say(beacon_topic(NETWORK), beacon_block(stranger, relayed_at_ms=clock_ms()))
        wait_until(lambda: device.uplink.state.unbelievable == 5, at_most_s=10, what="all forgeries are counted")
        assert device.left == 1
        assert device.uplink.state.beacon is None
        listening.relay_beacon()
        wait_until(lambda: device.uplink.state.beacon is not None, at_most_s=10, what="the beacon is heard")
        listening.say(topic, receipt_for(hub, me, line)[0])
        wait_until(lambda: device.left == 0, at_most_s=10, what="the honest receipt counts")


def test_a_retained_beacon_is_heard_by_a_device_that_comes_later(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
    with sender(tmp_path, broker.port) as device, device.running():
        wait_until(lambda: device.uplink.state.beacon is not None, at_most_s=10, what="the beacon is heard")
        notice = device.uplink.state.beacon
        assert notice is not None
        assert notice.beacon == BEACON


def test_a_broker_killed_while_envelopes_flow_loses_none(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device, device.running():
        for _ in range(3):
            device.sign(40)
            wait_until(lambda: device.left < 35, at_most_s=20, what="some have been receipted")
            broker.kill()
            device.sign(5)
            broker.start()
        wait_until(lambda: device.left == 0, at_most_s=40, what="the outbox is empty")
        hub = listening.hub
        assert sorted(hub.kept[device.keys.public_key]) == list(range(1, 136))
        assert (hub.reused, hub.chain_breaks(device.keys.public_key)) == ([], [])


def test_a_disk_that_takes_no_receipts_costs_a_resend_and_no_connection(broker: Broker, tmp_path: Path) -> None:
    with ListeningHub(broker.port) as listening, sender(tmp_path, broker.port) as device, device.running():
        wait_until(lambda: device.uplink.state.is_enrolled, at_most_s=10, what="the device is enrolled")
        device.sign(3)
        wait_until(lambda: device.left == 0, at_most_s=10, what="the outbox is empty")
        listening.is_silent = True
        device.sign(1)
        device.outbox.file.connection.execute("PRAGMA query_only=1")
        listening.is_silent = False
        taken = listening.hub.taken
        wait_until(lambda: listening.hub.taken > taken + 1, at_most_s=15, what="it is sent again")
        assert (device.left, device.uplink.state.is_connected) == (1, True)
        device.outbox.file.connection.execute("PRAGMA query_only=0")
        wait_until(lambda: device.left == 0, at_most_s=15, what="the outbox is empty again")
        assert device.outbox.tally()[Verdict.DUPLICATE] >= 1
        assert device.uplink.state.connections == 1


def test_a_device_without_a_broker_waits_and_stops_when_told(tmp_path: Path) -> None:
    with sender(tmp_path, 9) as device:  # the discard port: nobody listens there
        device.sign(2)
        with device.running():
            time.sleep(0.5)
            assert not device.uplink.state.is_connected
        assert device.left == 2
