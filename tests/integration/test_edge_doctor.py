"""`cairn-edge doctor` and `init --hub` against real sockets: each trouble is found and named, health is silent joy."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli import main
from edge.doctor.check import Finding, FixError, Grade, examine
from edge.doctor.clock import look_at_clock
from edge.doctor.hub_word import asked_hub
from edge.doctor.model import fetch_model, look_at_model
from edge.doctor.senses import look_at_camera, look_at_sensors
from edge.doctor.table import CHECKS
from edge.doctor.way_up import look_at_broker, look_at_hub
from edge.models.store import ModelStore
from edge.models.trust import Trust
from edge.sending.uplink import Route
from edge.settings import load_settings
from protocol.topics import beacon_topic
from tests.support.edge_machine import Bed
from tests.support.edge_story import (
    NETWORK,
    NOW_MS,
    OWNER,
    Broker,
    ListeningHub,
    beacon_block,
    clock_ms,
    key_pair,
    make_device,
    running_broker,
)
from tests.support.model_story import TINY, lay_out, manifest

HUB = key_pair("hub").public_key
DEVICE = key_pair("device").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


class Found:
    """What the doctor says about the way to the hub."""

    def __init__(self, bed: Bed, port: int, *, network: str = NETWORK) -> None:
        route = Route("127.0.0.1", port, network, DEVICE, HUB)
        bed.hub_word = asked_hub(route, now_ms=clock_ms, monotonic_s=time.monotonic, patience_s=1.0)
        looks = {"broker": look_at_broker, "hub": look_at_hub, "clock": look_at_clock}
        said = {name: look(bed.patient()) for name, look in looks.items()}
        self.findings = {name: finding for name, finding in said.items() if finding is not None}

    def well(self) -> dict[str, bool]:
        return {name: finding.grade is Grade.WELL for name, finding in self.findings.items()}


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "bed")


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
    assert not list(tmp_path.glob(".doctor-*"))


def test_troubles_are_named_and_the_exit_status_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_device(tmp_path, hub=HUB, port=9, camera={"source": "nowhere.mp4"}, sensors={"sources": ["thermal:no-such"]})
    (tmp_path / "device.key").chmod(0o644)
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1_000)
    assert main(["doctor", "--dir", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    for name in ("key", "camera", "sensors", "outbox", "model"):
        assert f"PROBLEM {name}" in said
    assert "chmod 600" in said


def test_fixes_are_made_only_when_they_are_asked_for_and_the_rest_stays_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))  # this machine's own NTP and services are left alone
    home = tmp_path / "door"
    make_device(home, hub=HUB, port=9)
    home.chmod(0o755)
    (home / "device.key").chmod(0o644)
    assert main(["doctor", "--json", "--dir", str(home)]) == 1
    said = capsys.readouterr()
    before = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert {name for name, check in before.items() if check["can_be_fixed"]} == {"rights", "key"}
    assert "2 of these can be mended" in said.err
    assert main(["doctor", "--fix", "--json", "--dir", str(home)]) == 1
    report = json.loads(capsys.readouterr().out)
    after = {check["name"]: check for check in report["checks"]}
    assert not report["is_well"]
    assert (after["key"]["grade"], after["rights"]["grade"], after["broker"]["grade"]) == ("well", "well", "problem")
    assert after["rights"]["did"] == f"closed {home} to other users"
    assert main(["doctor", "--fix", "--dir", str(home)]) == 1
    assert "fixed" not in capsys.readouterr().out  # there is nothing left to fix


def test_a_fix_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "no-programs"))
    key = make_device(tmp_path, hub=HUB, port=9)
    (tmp_path / "device.key").chmod(0o644)
    main(["doctor", "--fix", "--dir", str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("fixed")]
    assert line.startswith("fixed   key       made device.key readable by its owner alone; ")
    assert line.endswith(f"; now: {key.public_key.did}")


@contextmanager
def mute_server() -> Iterator[int]:
    """A machine that takes every call and never says a word; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        is_over = threading.Event()
        calls: list[socket.socket] = []

        def answer() -> None:
            while not is_over.is_set():
                with suppress(TimeoutError):
                    calls.append(server.accept()[0])

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            is_over.set()
            thread.join()
            for call in calls:
                call.close()


def test_a_dead_stream_is_one_sentence_within_eight_seconds(tmp_path: Path) -> None:
    """In processes of their own, as an owner runs it: nothing else may be said on any channel, whoever says it."""
    with mute_server() as mute_port:
        examined = {port: doctor_of_stream(tmp_path / str(port), port) for port in (mute_port, 9)}
        said = {port: (*running.communicate(timeout=8), running.returncode) for port, running in examined.items()}
    sentences = {mute_port: "gives no picture: check that it is switched on", 9: "nothing listens on port 9"}
    for port, (out, talk, status) in said.items():
        (line,) = [line for line in out.splitlines() if line[8:].startswith("camera")]
        assert status == 1
        assert line.startswith(f"PROBLEM camera    rtsp://127.0.0.1:{port}/live")
        assert sentences[port] in line
        assert "secret" not in out + talk
        assert [each for each in talk.splitlines() if "can be mended" not in each] == []


def doctor_of_stream(home: Path, port: int) -> subprocess.Popen[str]:
    make_device(home, hub=HUB, port=9, camera={"source": f"rtsp://me:secret@127.0.0.1:{port}/live"})
    command = [sys.executable, "-m", "edge.cli", "doctor", "--dir", str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def camera_says(bed: Bed, source: str) -> Finding:
    bed.camera = source
    finding = look_at_camera(bed.patient())
    assert finding is not None
    return finding


def test_a_stream_whose_machine_has_no_name_is_said_to_be_so(bed: Bed) -> None:
    finding = camera_says(bed, "rtsp://no-such-camera.invalid/live")
    assert finding.grade is Grade.ILL
    assert "no machine called no-such-camera.invalid" in finding.says


def test_a_camera_that_works_is_well_and_one_that_cannot_is_not(bed: Bed, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        cv2.imwrite(str(pictures / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
    assert camera_says(bed, str(pictures)).says == f"{pictures} gives pictures of 64x48"
    (tmp_path / "empty").mkdir()
    for source in (str(tmp_path / "empty"), "nowhere.mp4", "ftp://camera/x", "webcam:99"):
        finding = camera_says(bed, source)
        assert (finding.grade, finding.says.count("\n")) == (Grade.ILL, 0), source


def test_the_camera_of_a_running_agent_is_never_touched(bed: Bed) -> None:
    """The source would give no picture to anybody else, and would take seconds to say so."""
    bed.now_ms = NOW_MS
    news = {"is_running": True, "updated_at_ms": NOW_MS - 900, "frames": 40, "fps": 9.5, "model": "yolox-nano"}
    (bed.device / "status.json").write_text(json.dumps(news))
    finding = camera_says(bed, "rtsp://127.0.0.1:9/live")
    assert (finding.grade, finding.says) == (Grade.WELL, "the running agent has seen 40 frames, 9.5 a second")
    model = look_at_model(bed.patient())
    assert model is not None
    assert model.says == "yolox-nano is at work in the running agent"
    (bed.device / "status.json").write_text(json.dumps(news | {"frames": 0}))
    assert camera_says(bed, "rtsp://127.0.0.1:9/live").grade is Grade.ILL


def test_the_sensors_of_a_running_agent_are_not_opened_a_second_time(bed: Bed) -> None:
    bed.sensors = ("thermal:no-such",)
    bed.now_ms = NOW_MS
    news: dict[str, object] = {"is_running": True, "updated_at_ms": NOW_MS, "sensor_failures": 0}
    (bed.device / "status.json").write_text(json.dumps(news))
    finding = look_at_sensors(bed.patient())
    assert finding == Finding(Grade.WELL, "the running agent reads 1, 0 readings failed")
    (bed.device / "status.json").write_text(json.dumps(news | {"sensor_failures": 3}))
    finding = look_at_sensors(bed.patient())
    assert finding is not None
    assert finding.grade is Grade.NOTE


def test_sensors_well_and_ill(bed: Bed) -> None:
    assert look_at_sensors(bed.patient()) == Finding(Grade.WELL, "none are set")
    bed.sensors = ("thermal:no-such",)
    finding = look_at_sensors(bed.patient())
    assert finding is not None
    assert finding.grade is Grade.ILL


def test_a_broken_model_is_fetched_again_from_its_manifests_source(bed: Bed, tmp_path: Path) -> None:
    bed.camera, bed.model = "webcam:0", "door"
    content = TINY.read_bytes()
    with page(content, path="/door.onnx") as address:
        text = manifest(changes={"source": f'"{address}/door.onnx"'})
        store = ModelStore(bed.device / "models", trust=Trust(device=DEVICE))
        path = store.add(str(lay_out(tmp_path / "mine", text)), now_ms=NOW_MS, owner=key_pair("device")).path
        path.write_bytes(content[:1_000])
        (outcome,) = examine(bed.patient(), [check for check in CHECKS if check.name == "model"], with_fixes=True)
    assert (outcome.is_well, outcome.failed) == (True, None)
    assert outcome.did == "fetched door again from its manifest's source"
    assert path.read_bytes() == content


def test_a_model_that_cannot_be_fetched_says_why(bed: Bed) -> None:
    bed.camera = "webcam:0"
    bed.model = "unknown-model"
    finding = look_at_model(bed.patient())
    assert finding is not None
    assert (finding.grade, finding.can_be_fixed) == (Grade.ILL, False)
    with pytest.raises(FixError, match="cairn-edge model add"):
        fetch_model(bed.patient())


def test_a_broker_that_is_not_there_is_the_only_thing_said_about_the_hub(bed: Bed) -> None:
    assert Found(bed, 9).well() == {"broker": False}


@pytest.mark.parametrize("off_by_ms", [-60_000, 600_000], ids=["behind", "ahead or asleep"])
def test_a_clock_that_disagrees_with_the_beacon_is_found(bed: Bed, broker: Broker, off_by_ms: int) -> None:
    with ListeningHub(broker.port) as listening:
        block = beacon_block(listening.hub.keys, relayed_at_ms=clock_ms() - off_by_ms)
        listening.say(beacon_topic(NETWORK), block, retain=True)
    found = Found(bed, broker.port)
    assert found.well() == {"broker": True, "hub": True, "clock": False}
    assert "NTP" in found.findings["clock"].says


def test_another_hubs_beacon_is_not_taken_for_ours(bed: Bed, broker: Broker) -> None:
    network = "foreign-net"
    with ListeningHub(broker.port) as listening:
        block = beacon_block(key_pair("stranger"), relayed_at_ms=clock_ms(), network=network)
        listening.say(beacon_topic(network), block, retain=True)
    assert Found(bed, broker.port, network=network).well() == {"broker": True, "hub": False}


def test_a_broker_without_a_hub_is_found(bed: Bed, broker: Broker) -> None:
    found = Found(bed, broker.port, network="silent-net")
    assert found.well() == {"broker": True, "hub": False}
    assert "no beacon" in found.findings["hub"].says


@contextmanager
def page(answer: bytes, *, path: str = "/v1/network") -> Iterator[str]:
    """A loopback web server that answers everything with ``answer``; yields its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer if self.path == path else b"?")

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the parent's word
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
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
