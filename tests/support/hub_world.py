"""A whole hub, real brokers and devices on real connections, for the tests that need them."""

import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import SecretStr

from hub.app import Hub, Ready, wall_clock
from hub.broker.address import BrokerAddress, free_port
from hub.domain.admission import Message
from hub.home import Genesis, HubHome
from hub.settings import HubSettings
from protocol.beacon import Beacon, BeaconNotice
from protocol.cose import open_sign1
from protocol.payload import decode_payload
from protocol.receipt import open_receipt
from protocol.topics import beacon_topic, receipt_topic
from protocol.verdict import Verdict
from tests.support.hub_story import NETWORK, StoryDevice

WAIT_S = 30.0


def eventually(condition: Callable[[], bool], says: str, wait_s: float = WAIT_S) -> None:
    """Wait until ``condition`` holds; fail with ``says`` if it does not in time."""
    deadline_s = time.monotonic() + wait_s
    while not condition():
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {wait_s:.0f} s: {says}")
        time.sleep(0.02)


def hub_settings(folder: Path, **changes: object) -> HubSettings:
    """Settings for a hub on free loopback ports with its own beacons."""
    return HubSettings.model_validate(
        {"data": folder, "network": NETWORK, "mqtt_port": 0, "http_port": 0, "beacon_seconds": 0.5} | changes
    )


@contextmanager
def running_hub(folder: Path, **changes: object) -> Iterator[tuple[Ready, httpx.Client]]:
    """Run a hub in this process; yield where it is and a client of its API."""
    settings = hub_settings(folder, **changes)
    home = HubHome(folder)
    if not home.is_founded:
        home.found(Genesis(NETWORK, wall_clock(), settings.epoch_seconds * 1_000))
    hub = Hub(settings, home)
    ready = hub.start()
    try:
        with httpx.Client(base_url=ready.http, timeout=WAIT_S) as http:
            yield ready, http
    finally:
        hub.stop()


@contextmanager
def mosquitto(folder: Path) -> Iterator[BrokerAddress]:
    """Run a mosquitto with its defaults on a free loopback port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        pytest.fail("mosquitto is not installed: run tests/system-packages.sh, or apt-get install mosquitto")
    folder.mkdir()
    address = BrokerAddress("127.0.0.1", free_port("127.0.0.1"))
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {address.port} 127.0.0.1\nallow_anonymous true\nuser root\n")
    server = subprocess.Popen([program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(address.answers, "mosquitto answers")
        yield address
    finally:
        server.terminate()
        server.wait(10)


class ConnectedDevice:
    """A device on a real connection: hears beacons and receipts, sends what it is told to."""

    def __init__(self, address: BrokerAddress, seed: int = 1) -> None:
        self.story = StoryDevice(seed)
        self.verdicts: deque[tuple[int, bytes, Verdict]] = deque()
        self.hubs: set[str] = set()
        self.beacon: Beacon | None = None
        self._heard = threading.Event()
        self._topics = (receipt_topic(NETWORK, self.story.keys.public_key), beacon_topic(NETWORK))
        self.client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"device-{seed}", protocol=MQTTProtocolVersion.MQTTv311
        )
        self.client.max_inflight_messages_set(1_000)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = lambda client, *_: client.subscribe([(topic, 1) for topic in self._topics])
        self.client.on_message = self._on_message
        self.client.connect(address.host, address.port)
        self.client.loop_start()

    def __enter__(self) -> Self:
        eventually(lambda: self.beacon is not None, "the hub relays a beacon")
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def enroll(self) -> None:
        self.send(self.story.enrollment(wall_clock()))
        eventually(lambda: Verdict.ACCEPTED in self.receipted().get(0, ()), "the enrollment is receipted")

    def observe(self) -> Message:
        assert self.beacon is not None
        return self.send(self.story.envelope(wall_clock(), beacon=self.beacon))

    def send(self, message: Message) -> Message:
        self.client.publish(message.topic, message.block, qos=1)
        return message

    def receipted(self) -> dict[int, set[Verdict]]:
        """The verdicts heard so far, by sequence."""
        heard: dict[int, set[Verdict]] = {}
        for sequence, _, verdict in tuple(self.verdicts):
            heard.setdefault(sequence, set()).add(verdict)
        return heard

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if message.topic == self._topics[1]:
            self.beacon = decode_payload(open_sign1(bytes(message.payload)).payload, BeaconNotice).beacon
            return
        signer, receipt = open_receipt(bytes(message.payload))
        assert receipt.device == self.story.keys.public_key.key_id
        self.hubs.add(signer.did)
        self.verdicts.extend((line.sequence, line.digest, line.verdict) for line in receipt.lines)


def broker_url(address: BrokerAddress) -> SecretStr:
    return SecretStr(f"mqtt://{address.host}:{address.port}")
