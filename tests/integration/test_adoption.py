"""From the QR code to the owner: a device that waits, a real hub with its broker, a real browser or the command."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from edge.cli import main
from edge.owning.adoption import Adoption, owner_of
from edge.owning.awaiting import Meeting, await_owner
from edge.owning.identity import load_key_file
from edge.place import ADOPTION_FILE, KEY_FILE
from edge.sending.connection import Connection
from edge.settings import load_settings
from hub.broker.address import BrokerAddress
from hub.ingest.gauges import IntakeGauges
from hub.ingest.inbox import Inbox
from hub.ingest.subscriber import Subscriber
from protocol.adoption import AdoptionLink, adopt, encode_adoption, short_code
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.payload import VERSION
from protocol.topics import adoption_topic, enrollment_topic
from tests.support.edge_story import ListeningHub, clock_ms, key_pair, running_broker, wait_until
from tests.support.nursery import Nursery
from tests.support.pages_browser import CHROMIUM_WORDS, WITHIN_MS, Reader
from tests.support.pages_stage import NETWORK, Server, start_hub

OWNER = "0x" + "ab" * 20
KEY = key_pair("somebody's").public_key


@pytest.fixture(scope="module")
def hub(cairn_hub: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = start_hub(cairn_hub, tmp_path_factory.mktemp("hub"), epoch_seconds=600)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("no chromium on this machine: run tests/system-packages.sh")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=CHROMIUM_WORDS)
        yield opened
        opened.close()


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    """At the end no page may have complained."""
    opened = Reader(browser)
    yield opened
    assert opened.close() == []


class WaitingDevice:
    """A device made by `cairn-edge init` without an owner."""

    def __init__(self, home: Path, *words: str) -> None:
        self.home = home
        assert main(["init", "--dir", str(home), *words, "--lat", "46.5", "--lon", "6.6"]) == 0
        self.settings = load_settings(home, {})
        self.key = load_key_file(home / KEY_FILE)
        link = self.opened().link
        assert link is not None
        self.link = link
        self.owner: bytes | None = None
        self.rounds = 0  # how often it has listened

    def opened(self) -> Adoption:
        return Adoption.open(self.home, network=self.settings.network, device=self.key.public_key)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        stop = threading.Event()

        def told() -> bytes | None:
            self.rounds += 1
            return owner_of(self.home, self.settings)

        def listen() -> None:
            broker = self.settings.broker
            self.owner = await_owner(
                Meeting(broker.host, broker.port, self.settings.network, self.key.public_key),
                self.opened(),
                stop,
                monotonic_s=time.monotonic,
                told=told,
            )

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(20)

    def await_owner(self) -> bytes | None:
        with self.waiting():
            wait_until(lambda: self.owner is not None, at_most_s=20, what="the device has an owner")
        return self.owner


def publish(port: int, topic: str, block: bytes, *, retain: bool = False) -> None:
    with ListeningHub(port) as listening:
        listening.say(topic, block, retain=retain)


def test_an_owner_adopts_a_device_from_its_qr_code_in_the_browser(hub: Server, reader: Reader, tmp_path: Path) -> None:
    device = WaitingDevice(tmp_path / "door", "--hub", hub.ready["http"])
    name = device.key.public_key
    asked: list[str] = []
    watched = reader.open(
        device.link.text(device.settings.hub_url),
        width=360,
        prepare=lambda page: page.on("request", lambda request: asked.append(f"{request.url} {request.post_data}")),
    )
    page = watched.page
    expect(page.locator("#code")).to_have_text(short_code(name), timeout=WITHIN_MS)
    expect(page.locator("#device")).to_have_text(name.did)
    assert "secret" not in page.url
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.fill("#owner", OWNER.replace("ab", "AB"))
    page.click("button")
    expect(page.locator("#state[data-state=sent]")).to_be_visible(timeout=WITHIN_MS)
    assert device.await_owner() == bytes.fromhex(OWNER[2:])
    assert owner_of(device.home, device.settings) == bytes.fromhex(OWNER[2:])
    assert not (device.home / ADOPTION_FILE).exists()
    enrollment = Enrollment(VERSION, NETWORK, bytes.fromhex(OWNER[2:]), clock_ms())
    publish(hub.ready["mqtt_port"], enrollment_topic(NETWORK, name), seal_enrollment(enrollment, device.key))
    expect(page.locator("#state[data-state=enrolled]")).to_contain_text(OWNER, timeout=WITHIN_MS)
    assert any("/v1/adoptions" in one for one in asked)
    assert [one for one in asked if device.link.secret.hex() in one] == []
    assert [one for one in asked if not one.startswith(hub.ready["http"])] == []


def test_a_link_of_another_network_or_a_torn_one_is_refused_by_the_page(hub: Server, reader: Reader) -> None:
    other = AdoptionLink(KEY, "another-town", bytes(16)).text(hub.ready["http"])
    page = reader.open(other).page
    expect(page.locator("#problem")).to_contain_text("another-town", timeout=WITHIN_MS)
    page = reader.open(f"{hub.ready['http']}/adopt#device={KEY.did}").page
    expect(page.locator("#problem")).to_contain_text("Scan the code", timeout=WITHIN_MS)


def test_the_command_does_without_a_browser_and_the_message_waits_for_the_device(
    hub: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    device = WaitingDevice(tmp_path / "door", "--hub", hub.ready["http"])
    capsys.readouterr()
    assert main(["adopt-for", device.link.text(device.settings.hub_url), "--owner", OWNER]) == 0
    name = device.key.public_key
    assert capsys.readouterr().out.splitlines() == [name.did, short_code(name)]
    assert device.await_owner() == bytes.fromhex(OWNER[2:])


def test_the_command_says_what_the_hub_refuses(hub: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = WaitingDevice(tmp_path / "door", "--hub", hub.ready["http"])
    words = ["adopt-for", device.link.text(device.settings.hub_url), "--owner", OWNER]
    assert [main(words) for _ in range(7)] == [0] * 6 + [1]
    assert "try again in a minute" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_forgeries_and_an_adoption_at_the_console_on_a_real_broker(kind: str, tmp_path: Path) -> None:
    with running_broker(kind, tmp_path / "broker") as broker:
        words = f"--network {NETWORK} --hub-key {KEY.did} --broker-host 127.0.0.1"
        device = WaitingDevice(tmp_path / "door", *words.split(), "--broker-port", str(broker.port))
        name = device.key.public_key
        forged = adopt(b"a guess of 16 b.", network=NETWORK, device=name, owner=b"\x66" * 20)
        publish(broker.port, adoption_topic(NETWORK, name), encode_adoption(forged), retain=True)
        with device.waiting():
            publish(broker.port, adoption_topic(NETWORK, name), b"noise")
            wait_until(lambda: device.rounds > 4, at_most_s=20, what="the device has heard both")
            assert owner_of(device.home, device.settings) is None
            assert main(["adopt", "--dir", str(device.home), "--owner", OWNER]) == 0
            wait_until(lambda: device.owner is not None, at_most_s=20, what="the console's word is taken")
        assert device.owner == bytes.fromhex(OWNER[2:])


def test_a_device_waits_until_its_broker_is_there(tmp_path: Path) -> None:
    with running_broker("mosquitto", tmp_path / "broker") as broker:
        words = f"--network {NETWORK} --hub-key {KEY.did} --broker-host 127.0.0.1"
        device = WaitingDevice(tmp_path / "door", *words.split(), "--broker-port", str(broker.port))
        name = device.key.public_key
        right = encode_adoption(adopt(device.link.secret, network=NETWORK, device=name, owner=bytes.fromhex(OWNER[2:])))
        broker.kill()
        with device.waiting():
            broker.start()
            publish(broker.port, adoption_topic(NETWORK, name), right, retain=True)
            wait_until(lambda: device.owner is not None, at_most_s=20, what="the device heard it")


def test_what_a_hub_leaves_for_a_device_can_be_taken_away_again(tmp_path: Path) -> None:
    def heard(port: int) -> list[tuple[str, bytes]]:
        """What lies there for whoever comes now: the broker sends what it kept before anything new."""
        connection = Connection(client_id="late", keepalive_s=30, monotonic_s=time.monotonic, is_persistent=False)
        connection.open("127.0.0.1", port, topics=("left/one", "left/two"))
        messages: list[tuple[str, bytes]] = []
        while ("left/two", b"2") not in messages:
            messages += connection.pump(0.1)
        connection.close()
        return messages

    with running_broker("mosquitto", tmp_path / "broker") as broker:
        address = BrokerAddress("127.0.0.1", broker.port)
        subscriber = Subscriber(address, network=NETWORK, client_id="s", inbox=Inbox(), gauges=IntakeGauges())
        subscriber.retain("left/one", b"1")  # before there is a connection
        subscriber.retain("left/two", b"2")
        subscriber.start()
        assert subscriber.await_subscribed(20)
        wait_until(lambda: ("left/one", b"1") in heard(broker.port), at_most_s=20, what="both lie there")
        subscriber.retain("left/one", b"")
        wait_until(lambda: ("left/one", b"1") not in heard(broker.port), at_most_s=20, what="one is taken away")
        subscriber.stop()
