"""A device made without an owner: its agent waits, shows its page, and begins to sign for whoever adopts it."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

from edge.owning.adoption import Adoption, short_code
from edge.owning.identity import load_key_file
from edge.place import ADOPTION_FILE, KEY_FILE
from edge.settings import SETTINGS_FILE
from protocol.adoption import adopt, encode_adoption
from protocol.identity import PublicKey
from protocol.observation import Track
from protocol.topics import adoption_topic
from tests.support.agent_story import cairn_edge, children_of, is_gone, observed, running_agent, running_process, told
from tests.support.edge_story import (
    NETWORK,
    OWNER,
    Broker,
    ListeningHub,
    key_pair,
    running_broker,
    wait_until,
)
from tests.support.scripted_vision import program

HUB = key_pair("hub").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def listening(broker: Broker) -> Iterator[ListeningHub]:
    with ListeningHub(broker.port) as hub:
        hub.relay_beacon()
        yield hub


@dataclass
class Waiting:
    """A device made by `cairn-edge init` without an owner, with its page on a free port."""

    home: Path
    page_port: int

    @property
    def key(self) -> PublicKey:
        return load_key_file(self.home / KEY_FILE).public_key

    def page(self) -> dict[str, dict[str, object]]:
        with urlopen(f"http://127.0.0.1:{self.page_port}/status.json", timeout=5) as answer:
            said: dict[str, dict[str, object]] = json.load(answer)
            return said

    def is_page_there(self) -> bool:
        try:
            return bool(self.page())
        except OSError:
            return False


def waiting_device(home: Path, port: int, *, camera: str = "") -> Waiting:
    words: list[str | Path] = [
        "init",
        "--dir",
        home,
        "--network",
        NETWORK,
        "--hub-key",
        HUB.did,
        "--broker-host",
        "127.0.0.1",
    ]
    cairn_edge(*words, "--broker-port", str(port), "--lat", "46.5", "--lon", "6.6", "--camera", camera)
    with socket.create_server(("127.0.0.1", 0)) as server:
        page_port = int(server.getsockname()[1])
    with (home / SETTINGS_FILE).open("a") as settings:
        settings.write(f"\n[status_page]\nport = {page_port}\n")
    return Waiting(home, page_port)


def test_nothing_is_signed_before_the_console_has_named_the_owner(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    device = waiting_device(tmp_path / "door", broker.port)
    with running_agent(device.home, program(9_999, frame_s=0.01)):
        status = told(device.home, lambda status: not status.is_adopted, what="it waits")
        assert (status.adoption_code, status.is_running) == (short_code(device.key), True)
        assert "adopted" in str(status.trouble)
        wait_until(device.is_page_there, at_most_s=20, what="its page answers")
        assert device.page()["adoption"]["code"] == short_code(device.key)
        assert device.key not in listening.hub.enrolled
        assert cairn_edge("status", "--dir", device.home, status=1).stdout
        cairn_edge("adopt", "--dir", device.home, "--owner", OWNER)
        told(device.home, lambda status: status.is_adopted, what="it is adopted")
        wait_until(lambda: bool(observed(listening, device.key, Track)), at_most_s=20, what="it signs what it sees")
        assert listening.hub.owners[device.key] == bytes.fromhex(OWNER[2:])
        # Whoever has just adopted it reads there that it worked; then it closes by itself.
        assert device.page()["adoption"] == {"is_adopted": True, "code": None, "has_picture": False}
        assert device.page()["is_closing"]
        assert not (device.home / ADOPTION_FILE).exists()
    assert not device.is_page_there()


def test_an_adoption_over_mqtt_lets_the_real_agent_begin(
    listening: ListeningHub, broker: Broker, tmp_path: Path, assets: Path
) -> None:
    device = waiting_device(tmp_path / "door", broker.port, camera=str(assets / "nothing"))
    link = Adoption.open(device.home, network=NETWORK, device=device.key).link
    assert link is not None
    with running_process(device.home) as agent:
        told(device.home, lambda status: not status.is_adopted, what="it waits")
        wait_until(device.is_page_there, at_most_s=20, what="its page answers")
        below = children_of(agent.pid)
        word = adopt(link.secret, network=NETWORK, device=device.key, owner=bytes.fromhex(OWNER[2:]))
        listening.say(adoption_topic(NETWORK, device.key), encode_adoption(word), retain=True)
        wait_until(lambda: device.key in listening.hub.enrolled, at_most_s=20, what="it has enrolled")
        out, err = agent.communicate(timeout=30)
    # Its camera is a file that is not there: said in one sentence, and the page has gone with the agent.
    assert agent.returncode == 1
    assert json.loads(out)["envelopes_signed"] == 0
    assert "nothing" in err.splitlines()[-1]
    assert "Traceback" not in err
    wait_until(lambda: all(is_gone(pid) for pid in below), at_most_s=10, what="nothing is left behind")


def test_the_console_and_the_watchdog_are_heard_while_the_broker_is_away(tmp_path: Path) -> None:
    device = waiting_device(tmp_path / "door", 9)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        told_of_it = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        with running_process(device.home, **told_of_it) as agent:
            assert systemd.recv(500).startswith(b"READY=1")
            for _ in range(8):  # longer than the first pauses of a broker that cannot be reached
                assert systemd.recv(500).startswith(b"WATCHDOG=1")
            cairn_edge("adopt", "--dir", device.home, "--owner", OWNER)
            told(device.home, lambda status: status.is_adopted, what="it is adopted", at_most_s=10)
            agent.terminate()
            agent.communicate(timeout=20)
            assert agent.returncode == 0
