"""`cairn-edge doctor` and `init --hub` against real sockets: each trouble is found and named, health is silent joy."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from edge.cli import main
from edge.doctor import Check, check_hub
from edge.settings import load_settings
from edge.uplink import Route
from protocol.topics import beacon_topic
from tests.support.edge_story import (
    NETWORK,
    OWNER,
    Broker,
    ListeningHub,
    beacon_block,
    clock_ms,
    key_pair,
    make_device,
    running_broker,
)

HUB = key_pair("hub").public_key
DEVICE = key_pair("device").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


def checks(port: int, *, network: str = NETWORK) -> dict[str, Check]:
    route = Route("127.0.0.1", port, network, DEVICE, HUB)
    return {check.name: check for check in check_hub(route, now_ms=clock_ms, monotonic_s=time.monotonic)}


def test_a_healthy_device_is_well(broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        make_device(tmp_path, hub=HUB, port=broker.port)
        status = main(["doctor", "--dir", str(tmp_path)])
    said = capsys.readouterr().out
    assert "PROBLEM" not in said
    assert status == 0
    for name in ("key", "sequence", "disk", "settings", "camera", "sensors", "outbox", "broker", "hub", "clock"):
        assert f"ok      {name}" in said


def test_troubles_are_named_and_the_exit_status_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_device(tmp_path, hub=HUB, port=9, camera={"source": "nowhere.mp4"}, sensors={"sources": ["thermal:no-such"]})
    (tmp_path / "device.key").chmod(0o644)
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1_000)
    assert main(["doctor", "--dir", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    for name in ("key", "camera", "sensors", "outbox", "model"):
        assert f"PROBLEM {name}" in said
    assert "chmod 600" in said


def test_a_broker_that_is_not_there_is_the_only_thing_said_about_the_hub() -> None:
    found = checks(9)
    assert list(found) == ["broker"]
    assert not found["broker"].is_well


@pytest.mark.parametrize("off_by_ms", [-60_000, 600_000], ids=["behind", "ahead or asleep"])
def test_a_clock_that_disagrees_with_the_beacon_is_found(broker: Broker, off_by_ms: int) -> None:
    with ListeningHub(broker.port) as listening:
        block = beacon_block(listening.hub.keys, relayed_at_ms=clock_ms() - off_by_ms)
        listening.say(beacon_topic(NETWORK), block, retain=True)
    found = checks(broker.port)
    assert (found["broker"].is_well, found["hub"].is_well, found["clock"].is_well) == (True, True, False)
    assert "NTP" in found["clock"].says


def test_another_hubs_beacon_is_not_taken_for_ours(broker: Broker) -> None:
    network = "foreign-net"
    with ListeningHub(broker.port) as listening:
        block = beacon_block(key_pair("stranger"), relayed_at_ms=clock_ms(), network=network)
        listening.say(beacon_topic(network), block, retain=True)
    found = checks(broker.port, network=network)
    assert (found["broker"].is_well, found["hub"].is_well) == (True, False)


def test_a_broker_without_a_hub_is_found(broker: Broker) -> None:
    found = checks(broker.port, network="silent-net")
    assert (found["broker"].is_well, found["hub"].is_well) == (True, False)
    assert "no beacon" in found["hub"].says


@contextmanager
def page(answer: bytes) -> Iterator[str]:
    """A loopback web server that answers everything with ``answer``; yields its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer if self.path == "/v1/network" else b"?")

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the parent's word
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def init(directory: Path, hub: str, *more: str) -> int:
    words = f"--hub {hub} --owner {OWNER} --lat 1 --lon 2 --dir {directory}"
    return main(["init", *words.split(), *more])


def test_init_learns_network_key_and_broker_from_the_hub(tmp_path: Path) -> None:
    known = {"network": NETWORK, "hub": HUB.did, "broker": {"host": "127.0.0.1", "port": 1999}, "epoch_ms": 20_000}
    with page(json.dumps(known).encode()) as address:
        assert init(tmp_path, address + "/") == 0
    made = load_settings(tmp_path, {})
    assert (made.network, made.hub_key(), made.broker.host, made.broker.port) == (NETWORK, HUB, "127.0.0.1", 1999)


def test_init_survives_an_answer_that_nests_without_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with page(b'{"x":' + b"[" * 60_000) as address:
        assert init(tmp_path, address) == 1
    assert "gives no answer of a hub" in capsys.readouterr().err


def test_init_refuses_a_hub_that_is_not_the_expected_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"network": NETWORK, "hub": HUB.did, "broker": {"host": "127.0.0.1", "port": 1999}}
    with page(json.dumps(known).encode()) as address:
        assert init(tmp_path / "door", address, "--hub-key", key_pair("stranger").public_key.did) == 1
    assert "check both" in capsys.readouterr().err
    assert not (tmp_path / "door").exists()


@pytest.mark.parametrize("answer", [b"<html>", b'{"network": "x"}', b""])
def test_init_against_something_that_is_no_hub_is_one_sentence(
    tmp_path: Path, answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with page(answer) as address:
        assert init(tmp_path / "door", address) == 1
    assert "gives no answer of a hub" in capsys.readouterr().err
    assert not (tmp_path / "door").exists()


def test_init_against_nobody_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(tmp_path / "door", "http://127.0.0.1:9") == 1
    assert "check the address" in capsys.readouterr().err
