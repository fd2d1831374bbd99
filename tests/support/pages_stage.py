"""The stage for the tests of the pages: a real hub process, and devices that send it real envelopes, good and bad."""

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from protocol.beacon import Beacon, BeaconNotice
from protocol.cose import open_sign1
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.envelope import NO_MODEL, NO_PREVIOUS, Envelope, block_digest, seal
from protocol.identity import KeyPair
from protocol.observation import Observation, Position, Quantity, Reading, Track
from protocol.payload import decode_payload
from protocol.topics import beacon_topic, enrollment_topic, envelope_topic
from protocol.units import Ppm, Udeg, UnixMs
from tests.support.nursery import Nursery
from tests.support.own_words import CROSSING, GAP, HEALTH, STAY

NETWORK = "pages-town"
_PLACES = ((0, 0), (900, 1_400), (-1_300, 2_600), (2_100, -1_900), (-700, -2_800), (1_700, 3_900))
LOSING = 5  # the device that loses something now and then; its chip is hot, too
_TOWN = (46_519_600, 6_632_300)
_CLASSES = (0, 0, 2, 1, 0, 7, 16, 5)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def get_json(url: str) -> dict[str, Any]:
    with urlopen(url, timeout=10) as answer:
        loaded: dict[str, Any] = json.load(answer)
    return loaded


def await_true(what: str, is_true: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline_s = time.monotonic() + within_s
    while not is_true():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.05)


class Server:
    """One of our servers as a process; ``ready`` is what it wrote once it was up."""

    def __init__(self, name: str, program: Nursery, words: Sequence[str], folder: Path) -> None:
        ready_file = folder / f"{name}.ready.json"
        self.log = folder / f"{name}.log"
        with self.log.open("ab") as talk:
            self.process = program.start([*words, "--ready-file", str(ready_file)], stdout=talk, stderr=talk)
        try:
            await_true(f"{name} is up", lambda: ready_file.exists() or self.process.poll() is not None)
            assert self.process.poll() is None, self.log.read_text()
        except AssertionError:
            self.stop()
            raise
        self.ready: dict[str, Any] = json.loads(ready_file.read_text())
        ready_file.unlink()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_hub(
    program: Nursery, folder: Path, *, epoch_seconds: int, http_port: int = 0, more: Sequence[str] = ()
) -> Server:
    words = [
        "serve",
        "--data",
        str(folder / "hub"),
        "--network",
        NETWORK,
        "--name",
        "Lakeside hub",
    ]
    words += [
        "--http-port",
        str(http_port),
        "--mqtt-port",
        "0",
        "--epoch-seconds",
        str(epoch_seconds),
        "--beacon-seconds",
        "1",
    ]
    return Server("hub", program, [*words, *more], folder)


@dataclass
class PlainDevice:
    """A device that signs what it is told, in order."""

    seed: int
    owner: bytes
    keys: KeyPair = field(init=False)
    sequence: int = 0
    previous: bytes = NO_PREVIOUS
    tracks: int = 0

    def __post_init__(self) -> None:
        self.keys = KeyPair(hashlib.sha256(b"pages device %d" % self.seed).digest())

    @property
    def name(self) -> str:
        return self.keys.public_key.name

    @property
    def position(self) -> Position:
        north, east = _PLACES[self.seed % len(_PLACES)]
        return Position(Udeg(_TOWN[0] + north), Udeg(_TOWN[1] + east), 5_000, 45_000 * (self.seed % 8))

    def enrollment(self) -> tuple[str, bytes]:
        statement = Enrollment(1, NETWORK, self.owner, UnixMs(now_ms()))
        return enrollment_topic(NETWORK, self.keys.public_key), seal_enrollment(statement, self.keys)

    def sees(self, count: int) -> tuple[Observation, ...]:
        """Make ``count`` tracks and one reading, seen just now, and a word of every other kind."""
        at_ms = now_ms()
        seen: list[Observation] = []
        for number in range(count):
            self.tracks += 1
            first_ms, confidence = UnixMs(at_ms - 400 - 100 * number), Ppm(620_000 + 41_000 * (self.tracks % 9))
            class_id = _CLASSES[self.tracks % len(_CLASSES)]
            seen.append(
                Track(self.tracks, class_id, first_ms, UnixMs(at_ms), confidence, 9, continues=False, sketch=b"")
            )
        return (
            *seen,
            Reading(Quantity.TEMPERATURE_MDEGC, UnixMs(at_ms), 21_300 + 100 * self.seed, 200),
            msgspec.structs.replace(CROSSING, crossed_at_ms=at_ms),
            msgspec.structs.replace(STAY, entered_at_ms=at_ms - 60_000, left_at_ms=at_ms),
            msgspec.structs.replace(HEALTH, measured_at_ms=at_ms, soc_mdegc=50_000 + 7_000 * self.seed),
            *((msgspec.structs.replace(GAP, from_ms=at_ms - 1, until_ms=at_ms),) if self.seed == LOSING else ()),
        )

    def envelope(
        self, beacon: Beacon, observations: Sequence[Observation], *, sequence: int | None = None
    ) -> tuple[str, bytes]:
        """Sign the next envelope; with ``sequence`` given, one beside the chain."""
        beside = sequence is not None
        number = self.sequence + 1 if sequence is None else sequence
        content = Envelope(
            version=1,
            network=NETWORK,
            boot=1,
            sequence=number,
            previous=NO_PREVIOUS if number == 1 else (hashlib.sha256(b"beside").digest() if beside else self.previous),
            beacon=beacon,
            model_digest=NO_MODEL,
            agent_release="1.0",
            position=self.position,
            created_at_ms=UnixMs(now_ms()),
            observations=tuple(observations),
        )
        block = seal(content, self.keys)
        if not beside:
            self.sequence, self.previous = number, block_digest(block)
        return envelope_topic(NETWORK, self.keys.public_key), block


class Street:
    """Devices on one MQTT connection, with the beacon they hear."""

    def __init__(self, hub: Server, owners: Sequence[bytes]) -> None:
        self.hub_url: str = hub.ready["http"]
        self.devices = [PlainDevice(seed, owners[seed % len(owners)]) for seed in range(len(_PLACES))]
        self._beacon: Beacon | None = None
        self._heard = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="pages-street")
        self._client.on_message = self._hear
        self._client.connect(hub.ready["mqtt_host"], hub.ready["mqtt_port"])
        self._client.loop_start()
        self._client.subscribe(beacon_topic(NETWORK), qos=1)
        assert self._heard.wait(15), "the hub relays no beacon"

    @property
    def beacon(self) -> Beacon:
        assert self._beacon is not None
        return self._beacon

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, *messages: tuple[str, bytes]) -> None:
        """Publish, and return once the hub has counted all of it."""
        before = get_json(f"{self.hub_url}/v1/health")["received"]
        for topic, block in messages:
            self._client.publish(topic, block, qos=1).wait_for_publish(10)
        wanted = before + len(messages)
        await_true("the hub counted everything", lambda: get_json(f"{self.hub_url}/v1/health")["received"] >= wanted)

    def enroll(self) -> None:
        self.send(*(device.enrollment() for device in self.devices))

    def watch(self, rounds: int, *, devices: int | None = None) -> None:
        """Every device sends an envelope, ``rounds`` times."""
        for number in range(rounds):
            senders = self.devices[:devices]
            self.send(*(one.envelope(self.beacon, one.sees(1 + (one.seed + number) % 3)) for one in senders))

    def misbehave(self) -> None:
        """One duplicate, two replays, one equivocation, three forged signatures, one stranger, two pieces of noise."""
        first, second, third = self.devices[:3]
        seen = first.sees(1)
        good = first.envelope(self.beacon, seen)
        self.send(good)
        self.send(good)
        self.send(second.envelope(self.beacon, seen))
        self.send(third.envelope(self.beacon, seen))
        self.send(third.envelope(self.beacon, third.sees(1), sequence=third.sequence))
        for _ in range(3):
            topic, block = first.envelope(self.beacon, first.sees(1), sequence=first.sequence + 50)
            self.send((topic, block[:-1] + bytes([block[-1] ^ 1])))
        stranger = PlainDevice(90, first.owner)
        self.send(stranger.envelope(self.beacon, stranger.sees(1)))
        self.send((envelope_topic(NETWORK, first.keys.public_key), b"\x83noise"), (good[0], b"{}"))

    def _hear(self, _client: Client, _nothing: object, message: MQTTMessage) -> None:
        self._beacon = decode_payload(open_sign1(bytes(message.payload)).payload, BeaconNotice).beacon
        self._heard.set()
