"""A signed envelope in, a receipt out, the API shows it: over the embedded broker and over mosquitto."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hub.app import Ready
from hub.broker.address import BrokerAddress, BrokerError
from hub.broker.embedded import EmbeddedBroker
from hub.domain.admission import Message
from protocol.cid import Cid
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.topics import enrollment_topic, envelope_topic
from protocol.verdict import Verdict
from tests.support.hub_story import NETWORK, StoryDevice
from tests.support.hub_world import ConnectedDevice, broker_url, eventually, mosquitto, running_hub


@pytest.fixture(params=["nats", "mosquitto"])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Ready, httpx.Client]]:
    if request.param == "nats":
        with running_hub(tmp_path / "hub") as running:
            yield running
        return
    with (
        mosquitto(tmp_path / "broker") as address,
        running_hub(tmp_path / "hub", broker_url=broker_url(address)) as running,
    ):
        yield running


def address_of(ready: Ready) -> BrokerAddress:
    return BrokerAddress(ready.mqtt_host, ready.mqtt_port)


def test_an_envelope_is_receipted_by_this_hub_and_shown(hub: tuple[Ready, httpx.Client]) -> None:
    ready, http = hub
    with ConnectedDevice(address_of(ready)) as device:
        device.enroll()
        sent = [device.observe() for _ in range(30)]  # more than mosquitto leaves unacknowledged at once
        eventually(lambda: len(device.receipted()) == 31, "all receipts are here")
    assert all(verdicts == {Verdict.ACCEPTED} for verdicts in device.receipted().values())
    assert device.hubs == {ready.hub}
    shown = http.get(f"/v1/devices/{device.story.keys.public_key.name}").json()
    assert (shown["envelopes"], shown["highest_sequence"]) == (30, 30)
    for message in sent:
        assert http.get(f"/ipfs/{Cid.of(message.block)}").content == message.block
    health = http.get("/v1/health").json()
    assert health["status"] == "ok", health["reasons"]
    assert health["broker_connected"]


def test_hostile_traffic_is_counted_to_the_last_message_and_nothing_of_it_accepted(
    hub: tuple[Ready, httpx.Client],
) -> None:
    ready, http = hub
    with ConnectedDevice(address_of(ready)) as device:
        device.enroll()
        device.observe()
        eventually(lambda: len(device.receipted()) == 2, "the honest part is receipted")
        hostile = list(hostile_messages(device, 10_000))
        total = 2
        for start in range(0, len(hostile), 500):  # mosquitto drops what waits behind a thousand, and acknowledges it
            for message in hostile[start : start + 500]:
                device.send(message)
                total += 1
            eventually(lambda: http.get("/v1/health").json()["received"] >= total, "all of it arrived", 60)  # noqa: B023
        device.observe()
        eventually(lambda: device.receipted().get(2) == {Verdict.ACCEPTED}, "the hub still works")
    health = http.get("/v1/health").json()
    assert health["accepted"] == 3
    # The broker may deliver again what waited long for its acknowledgement, and each delivery is counted.
    assert health["received"] >= total + 1
    assert health["received"] == 3 + sum(health["rejected_by_reason"].values())
    assert set(health["rejected_by_reason"]) >= {
        "malformed",
        "oversize",
        "wrong_network",
        "wrong_topic",
        "bad_signature",
    }
    counts = http.get("/v1/epochs/1").json()["counts"]
    assert counts == {"accepted": 3} | health["rejected_by_reason"]
    listed = 0
    after: str | None = "0"
    while after is not None:
        page = http.get("/v1/verdicts", params={"limit": 1000, "after": after}).json()
        listed += len(page["rows"])
        after = page["after"]
    assert listed <= health["received"]
    assert http.get("/v1/devices").json()["rows"][0]["envelopes"] == 2


def hostile_messages(device: ConnectedDevice, count: int) -> Iterator[Message]:
    """Mutated envelopes, wrong topics, oversize bodies, other networks, junk; never a byte-for-byte honest one."""
    chance = random.Random(20_261_123)
    assert device.beacon is not None
    victim = StoryDevice(1)  # the same key as the device's, for honest bytes to spoil
    honest = [victim.envelope(sequence=90 + n, previous=bytes([n]) * 32) for n in range(1, 20)]
    foreign = StoryDevice(2, network="other-net")
    topic = honest[0].topic
    kinds: list[Callable[[bytearray], Message]] = [
        lambda _: Message(topic, chance.randbytes(chance.randrange(200))),
        lambda block: Message(envelope_topic(NETWORK, StoryDevice(3).keys.public_key), bytes(block)),
        lambda block: Message(enrollment_topic(NETWORK, victim.keys.public_key), bytes(block)),
        lambda _: Message(envelope_topic(NETWORK, foreign.keys.public_key), foreign.envelope().block),
        lambda block: Message(topic, bytes(block[: chance.randrange(len(block))])),
        lambda block: Message(topic, bytes(block) + chance.randbytes(1 + chance.randrange(9))),
        lambda block: Message(topic, _flipped(block, -1 - chance.randrange(64), chance)),
        lambda block: Message(topic, _flipped(block, chance.randrange(len(block)), chance)),
        lambda block: Message(topic, _flipped(block, chance.randrange(len(block)), chance)),
    ]
    for number in range(count):
        if number % 200 == 0:
            yield Message(topic, bytes(MAX_ENVELOPE_BYTES + 1 + chance.randrange(20_000)))
        else:
            yield kinds[number % len(kinds)](bytearray(chance.choice(honest).block))


def _flipped(block: bytearray, place: int, chance: random.Random) -> bytes:
    block[place] ^= 1 << chance.randrange(8)
    return bytes(block)


def test_a_killed_broker_is_restarted_and_nothing_receipted_is_missing(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as (ready, http), ConnectedDevice(address_of(ready)) as device:
        device.enroll()
        device.observe()
        eventually(lambda: len(device.receipted()) == 2, "the first receipts")
        for round_number in range(3):
            os.kill(int((tmp_path / "hub" / "broker" / "nats.pid").read_text()), signal.SIGKILL)
            message = device.observe()
            sequence = round_number + 2

            def receipted(sequence: int = sequence, message: Message = message) -> bool:
                if sequence not in device.receipted():
                    device.send(message)  # what every device does: send until receipted
                return sequence in device.receipted()

            eventually(receipted, "the receipt after the broker came back", 60)
        shown = http.get("/v1/devices").json()["rows"][0]
        assert (shown["envelopes"], shown["highest_sequence"]) == (4, 4)


def test_messages_that_came_while_the_hub_was_away_are_taken_in_when_it_returns(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as address:
        with running_hub(tmp_path / "hub", broker_url=broker_url(address)):
            device = ConnectedDevice(address).__enter__()
            device.enroll()
        device.observe()
        with running_hub(tmp_path / "hub", broker_url=broker_url(address)):
            eventually(lambda: device.receipted().get(1) == {Verdict.ACCEPTED}, "the waiting envelope is receipted")
        device.__exit__()


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    first = EmbeddedBroker(tmp_path / "one", host="127.0.0.1", port=0)
    first.start()
    second = EmbeddedBroker(tmp_path / "two", host="127.0.0.1", port=first.address.port)
    with pytest.raises(BrokerError, match="--mqtt-port"):
        second.start()
    first.stop()
    assert not first.address.answers()


def test_the_broker_of_a_killed_hub_is_taken_over(tmp_path: Path) -> None:
    left_behind = EmbeddedBroker(tmp_path, host="127.0.0.1", port=0)
    left_behind.start()
    left_behind._stopping.set()  # its keeper is gone with the hub
    heir = EmbeddedBroker(tmp_path, host="127.0.0.1", port=left_behind.address.port)
    heir.start()
    assert heir.address.answers()
    heir.stop()
    left_behind.stop()
    assert not heir.address.answers()
