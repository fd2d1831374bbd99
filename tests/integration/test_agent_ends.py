"""How an agent begins and ends: one sentence where it cannot start, and no process left behind, whoever kills whom."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.glance import VisionProgram
from edge.place import KEY_FILE, TRACKS_FILE
from edge.settings import SETTINGS_FILE
from tests.support.agent_story import (
    cairn_edge,
    children_of,
    is_gone,
    kill,
    pid_in,
    running_agent,
    running_process,
    told,
)
from tests.support.edge_story import Broker, key_pair, make_device, running_broker, wait_until
from tests.support.mjpeg import MjpegServer
from tests.support.model_story import TINY

HUB = key_pair("hub").public_key
SQUARE = "[[0, 0], [1000, 0], [1000, 1000], [0, 1000]]"
BOW_TIE = "[[0, 0], [1000, 1000], [1000, 0], [0, 1000]]"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def stream() -> Iterator[MjpegServer]:
    with MjpegServer() as running:
        yield running


def full_device(home: Path, *, broker: Broker, stream: MjpegServer) -> None:
    """A device whose agent has every kind of child: vision, capture, sensing, page."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        page_port = int(server.getsockname()[1])
    make_device(
        home,
        hub=HUB,
        port=broker.port,
        camera={"source": stream.url},
        model={"name": str(TINY)},
        status_page={"on": "always", "port": page_port},
        uplink={"stop_timeout_ms": 500},
    )
    with (home / SETTINGS_FILE).open("a") as settings:
        settings.write('\n[sensors]\nsources = ["simulated:co2"]\nperiod_ms = 1000\n')


@pytest.mark.parametrize("ending", ["terminate", "interrupt all", "kill"])
def test_no_process_is_left_behind(ending: str, broker: Broker, stream: MjpegServer, tmp_path: Path) -> None:
    full_device(tmp_path, broker=broker, stream=stream)
    with running_process(tmp_path) as agent:
        told(tmp_path, lambda status: status.frames > 2, what="it sees")
        wait_until(lambda: len(children_of(agent.pid)) >= 4, at_most_s=10, what="all of them run")
        below = children_of(agent.pid)
        match ending:
            case "terminate":
                agent.terminate()
            case "interrupt all":  # what Ctrl-C in a terminal does
                os.killpg(agent.pid, signal.SIGINT)
            case _:
                agent.kill()
        out, err = agent.communicate(timeout=20)
    assert len(below) == 4
    wait_until(lambda: all(is_gone(pid) for pid in below), at_most_s=10, what="nothing is left behind")
    assert "Traceback" not in err
    if ending != "kill":
        assert agent.returncode == 0, err
        assert json.loads(out)["frames"] > 2
        # It has handed over which tracks are open, although the terminal said the same to its children.
        assert (tmp_path / TRACKS_FILE).exists()
        assert "child_ended" not in err


def test_a_dead_stream_is_said_and_tried_again_ever_more_slowly(broker: Broker, tmp_path: Path) -> None:
    make_device(
        tmp_path,
        hub=HUB,
        port=broker.port,
        camera={"source": "rtsp://anna:secret@127.0.0.1:9/door"},
        model={"name": str(TINY)},
    )
    with running_agent(tmp_path):
        status = told(tmp_path, lambda status: "no pictures" in str(status.trouble), what="its trouble is told")
        assert status.is_connected
        assert status.model is not None  # it is ready to see, as soon as there is something
        assert "secret" not in (tmp_path / "status.json").read_text()
        assert "no pictures" in cairn_edge("status", "--dir", tmp_path, status=1).stdout


def test_a_vision_process_that_ends_again_and_again_is_said(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    with running_agent(tmp_path, VisionProgram(module="edge.nothing_of_that_name", brings_camera=True)):
        status = told(tmp_path, lambda status: "without a word" in str(status.trouble), what="it is told")
        assert status.is_running
        told(tmp_path, lambda status: status.processes[1].restarts > 1, what="it is tried again")


def test_the_failures_of_a_sensor_add_up_over_the_lives_of_the_sensing_process(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    with (tmp_path / SETTINGS_FILE).open("a") as settings:
        settings.write('\n[sensors]\nsources = ["hwmon:nobodys_chip/temp1"]\nperiod_ms = 1000\n')
    with running_agent(tmp_path):
        status = told(tmp_path, lambda status: status.sensor_failures > 0, what="the sensor fails")
        assert "nobodys_chip" in str(status.trouble)
        before = status.sensor_failures
        kill(pid_in(status, "sensing"))
        status = told(tmp_path, lambda status: status.sensor_failures > before, what="it fails again")
        assert status.processes[1].restarts == 1
        assert status.is_connected


def expect_refusal(home: Path, *words: str) -> None:
    outcome = cairn_edge("run", "--dir", home, status=1)
    (sentence,) = [line for line in outcome.stderr.splitlines() if line.startswith("cairn-edge: ")]
    for word in words:
        assert word in sentence


def test_a_mask_that_crosses_itself_keeps_the_camera_shut(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port, camera={"source": str(tmp_path)}, model={"name": str(TINY)})
    with (tmp_path / SETTINGS_FILE).open("a") as settings:
        settings.write(f"\n[privacy]\nmasks = [{SQUARE}, {BOW_TIE}]\n")
    expect_refusal(tmp_path, "privacy.masks: mask 2", "crosses itself")


def test_a_key_that_others_can_read_is_not_used(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port, camera={"source": str(tmp_path)})
    (tmp_path / KEY_FILE).chmod(0o644)
    expect_refusal(tmp_path, KEY_FILE, "chmod 600")


def test_a_model_that_is_missing_is_named(broker: Broker, stream: MjpegServer, tmp_path: Path, assets: Path) -> None:
    video = str(next(assets.glob("*.mp4")))
    make_device(tmp_path / "a", hub=HUB, port=broker.port, camera={"source": video}, model={"name": "nobodys"})
    expect_refusal(tmp_path / "a", "nobodys", "cairn-edge model add nobodys")
    make_device(tmp_path / "b", hub=HUB, port=broker.port, camera={"source": stream.url}, model={"name": "nobodys"})
    with running_agent(tmp_path / "b"):  # a live device stays: a hub may offer it one
        told(tmp_path / "b", lambda status: "nobodys" in str(status.trouble), what="its trouble is told")
        # It tries again, and the pictures that come meanwhile do not hide what is wrong.
        status = told(
            tmp_path / "b",
            lambda status: status.captured > 2 and status.processes[1].restarts > 0,
            what="it tries again",
        )
        assert "nobodys" in str(status.trouble)
