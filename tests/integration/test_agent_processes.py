"""The keeper keeps its processes going: killed, hanging, orphaned or frozen ones, and nobody is counted twice."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.settings import load_settings
from edge.status import AgentStatus, read_status
from protocol.classes import PERSON
from protocol.observation import Track
from tests.support.edge_story import Broker, ListeningHub, key_pair, make_device, running_broker, wait_until
from tests.support.mjpeg import MjpegServer
from tests.support.scripted_vision import FRAME_MS, program

HUB = key_pair("hub").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("nats", tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def listening(broker: Broker) -> Iterator[ListeningHub]:
    with ListeningHub(broker.port) as hub:
        hub.relay_beacon()
        yield hub


def status_of(home: Path) -> AgentStatus:
    status = read_status(home)
    assert status is not None
    return status


def pid_of(home: Path, name: str) -> int | None:
    status = read_status(home)
    return next((each.pid for each in status.processes if each.name == name), None) if status else None


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_vision_process_that_dies_in_the_middle_of_a_visit_counts_nobody_twice(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    device = make_device(tmp_path, hub=HUB, port=broker.port).public_key
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # Frame 105 is in the middle of the third visit (frames 100 to 109).
    seeing = program(5, kills_itself_at=105, frame_s=0.005, scratch=scratch)
    report = Agent(load_settings(tmp_path, {}), tmp_path, program=seeing).run(threading.Event())
    assert report.failure is None
    tracks = [
        each
        for envelope in listening.hub.kept[device].values()
        for each in envelope.observations
        if isinstance(each, Track)
    ]
    assert sum(each.class_id == PERSON for each in tracks) == 5
    # One track over the kill: a new one would begin after it.
    assert {each.last_seen_ms - each.first_seen_ms for each in tracks} == {9 * FRAME_MS}
    assert (report.status.people, report.status.tracks) == (5, 10)
    assert len({each.track_id for each in tracks}) == 10
    vision = next(each for each in report.status.processes if each.name == "vision")
    assert vision.restarts == 1


_STOPPABLE = """
import signal, sys, threading
from pathlib import Path
from edge.agent import Agent
from edge.settings import load_settings
from tests.support.scripted_vision import program
home, stop = Path(sys.argv[1]), threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
seeing = program(4, stops_the_agent_at=105, frame_s=0.03, scratch=home / "scratch")
report = Agent(load_settings(home, {}), home, program=seeing).run(stop)
print(report.status.people)
"""


def test_an_agent_that_is_stopped_and_started_in_the_middle_of_a_visit_counts_nobody_twice(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    device = make_device(tmp_path, hub=HUB, port=broker.port).public_key
    (tmp_path / "scratch").mkdir()
    counted = []
    for _ in range(2):
        command = [sys.executable, "-c", _STOPPABLE, str(tmp_path)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert outcome.returncode == 0, outcome.stderr
        counted.append(int(outcome.stdout))
    # Two had gone before the stop; the third was in sight, and is counted by the run that sees him go.
    assert counted == [2, 2]
    kept = listening.hub.kept[device].values()
    people = [
        each for envelope in kept for each in envelope.observations if isinstance(each, Track) and not each.class_id
    ]
    assert len(people) == 4
    assert [each.last_seen_ms - each.first_seen_ms for each in people] == [9 * FRAME_MS] * 4


def test_an_orphaned_vision_process_ends_by_itself(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port, camera={"source": str(tmp_path / "stream")})
    words = "import sys, threading; from pathlib import Path; from edge.agent import Agent; "
    words += "from edge.settings import load_settings; from tests.support.scripted_vision import program; "
    words += "home = Path(sys.argv[1]); "
    words += "Agent(load_settings(home, {}), home, program=program(9999, frame_s=0.01)).run(threading.Event())"
    keeper = subprocess.Popen([sys.executable, "-c", words, str(tmp_path)])
    try:
        wait_until(lambda: pid_of(tmp_path, "vision") is not None, at_most_s=20, what="vision runs")
        pid = pid_of(tmp_path, "vision")
        assert pid is not None
        assert not is_gone(pid)
    finally:
        keeper.kill()
        keeper.wait()
    wait_until(lambda: is_gone(pid), at_most_s=10, what="the orphan is gone")


def test_a_capture_process_that_hangs_is_killed_and_started_again_while_vision_goes_on(
    listening: ListeningHub, broker: Broker, tmp_path: Path, assets: Path
) -> None:
    with MjpegServer() as stream:
        make_device(
            tmp_path,
            hub=HUB,
            port=broker.port,
            camera={"source": stream.url, "silence_max_ms": 3_000},
            model={"name": str(assets / "yolox_nano_416.onnx")},
        )
        stop = threading.Event()
        agent = Agent(load_settings(tmp_path, {}), tmp_path)
        thread = threading.Thread(target=agent.run, args=(stop,))
        thread.start()
        try:
            wait_until(
                lambda: (status := read_status(tmp_path)) is not None and status.frames > 5,
                at_most_s=30,
                what="the stream is seen",
            )
            vision, capture = pid_of(tmp_path, "vision"), pid_of(tmp_path, "capture")
            assert capture is not None
            os.kill(capture, signal.SIGSTOP)  # what a driver that hangs in the kernel looks like from outside
            wait_until(lambda: pid_of(tmp_path, "capture") not in {capture, None}, at_most_s=30, what="a new capture")
            frames = status_of(tmp_path).frames
            wait_until(lambda: status_of(tmp_path).frames > frames + 5, at_most_s=30, what="frames come again")
            assert pid_of(tmp_path, "vision") == vision
            assert status_of(tmp_path).trouble is None
        finally:
            stop.set()
            thread.join(20)
    assert not thread.is_alive()


def test_systemd_hears_that_the_agent_is_ready_and_alive(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(20)
        command = [str(Path(sys.executable).with_name("cairn-edge")), "run", "--dir", str(tmp_path)]
        told = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "600000"}
        agent = subprocess.Popen(command, env=told, stdout=subprocess.PIPE)
        try:
            heard = [systemd.recv(500).decode() for _ in range(4)]
            agent.send_signal(signal.SIGTERM)
            out, _ = agent.communicate(timeout=20)
        finally:
            agent.kill()
        while not heard[-1].startswith("STOPPING"):
            heard.append(systemd.recv(500).decode())
    assert heard[0].startswith("READY=1")
    assert all(each.startswith("WATCHDOG=1") for each in heard[1:-1])
    assert len(heard) >= 4
    assert json.loads(out)["frames"] == 0


def test_a_blurred_picture_comes_on_request_and_is_counted(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    stop = threading.Event()
    agent = Agent(load_settings(tmp_path, {}), tmp_path, program=program(9_999, frame_s=0.02))
    thread = threading.Thread(target=agent.run, args=(stop,))
    thread.start()
    try:
        wait_until(
            lambda: (status := read_status(tmp_path)) is not None and status.frames > 5, at_most_s=30, what="it sees"
        )
        command = [str(Path(sys.executable).with_name("cairn-edge")), "snapshot", "--dir", str(tmp_path)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        assert outcome.returncode == 0, outcome.stderr
        picture = Path(outcome.stdout.strip())
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_mode & 0o077 == 0
        wait_until(lambda: status_of(tmp_path).debug_pictures == 1, at_most_s=10, what="it is counted")
    finally:
        stop.set()
        thread.join(20)
