"""The agent as one: a scripted vision process in front, a real broker and an honest hub behind."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.agent import Agent, AgentReport
from edge.cli import main
from edge.glance import VisionProgram
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.sequence import SequenceError
from edge.place import OUTBOX_FILE
from edge.settings import SETTINGS_FILE, load_settings
from edge.status import read_status
from protocol.classes import CAR, PERSON
from protocol.envelope import Envelope
from protocol.identity import PublicKey
from protocol.observation import Track
from tests.support.edge_story import (
    BEACON,
    Broker,
    ListeningHub,
    key_pair,
    make_device,
    running_broker,
    wait_until,
)
from tests.support.scripted_vision import DIGEST, FRAME_MS, program

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


def run(home: Path, seeing: VisionProgram) -> AgentReport:
    return Agent(load_settings(home, {}), home, program=seeing).run(threading.Event())


def kept(listening: ListeningHub, device: PublicKey) -> list[Envelope]:
    envelopes = listening.hub.kept.get(device, {})
    return [envelopes[sequence] for sequence in sorted(envelopes)]


def test_what_passes_the_camera_arrives_at_the_hub_once(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    device = make_device(tmp_path, hub=HUB, port=broker.port).public_key
    report = run(tmp_path, program(5))
    assert report.failure is None
    envelopes = kept(listening, device)
    tracks = [each for envelope in envelopes for each in envelope.observations if isinstance(each, Track)]
    assert sorted(each.class_id for each in tracks) == [PERSON] * 5 + [CAR] * 5
    assert len({each.track_id for each in tracks}) == 10
    assert all(each.last_seen_ms - each.first_seen_ms == 9 * FRAME_MS and each.detections == 10 for each in tracks)
    for envelope in envelopes:
        assert (envelope.beacon, envelope.model_digest, envelope.boot) == (BEACON, DIGEST, 1)
        assert (envelope.position.lat_udeg, envelope.position.lon_udeg) == (52_500_500, 13_400_500)
        assert all(each.last_seen_ms <= envelope.created_at_ms for each in tracks)
    assert (report.status.people, report.status.tracks, report.status.outbox_envelopes) == (5, 10, 0)
    assert report.status.receipts == {"accepted": len(envelopes)}
    assert read_status(tmp_path) == report.status


def test_a_camera_that_dies_ends_the_run_with_its_sentence_and_loses_nothing(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    device = make_device(tmp_path, hub=HUB, port=broker.port).public_key
    report = run(tmp_path, program(2, dies_with="the cable is out: plug it in"))
    assert report.failure == "the cable is out: plug it in"
    assert sum(len(envelope.observations) for envelope in kept(listening, device)) == 4


def test_what_could_not_be_sent_is_sent_by_the_next_run_with_the_same_bytes(
    listening: ListeningHub, broker: Broker, tmp_path: Path
) -> None:
    fast = {"uplink": {"drain_timeout_ms": 1_500, "resend_after_ms": 500, "reconnect_max_ms": 300}}
    device = make_device(tmp_path, hub=HUB, port=9, **fast).public_key
    first = run(tmp_path, program(3))
    assert (first.failure, first.status.outbox_envelopes) == (None, first.status.envelopes_signed)
    assert first.status.envelopes_signed >= 1
    outbox = Outbox.open(tmp_path / OUTBOX_FILE, limits=OutboxLimits())
    waiting = {each.digest for each in outbox.waiting(at_most=99)}
    outbox.close()
    text = (tmp_path / SETTINGS_FILE).read_text()
    (tmp_path / SETTINGS_FILE).write_text(text.replace("port = 9\n", f"port = {broker.port}\n"))
    second = run(tmp_path, program(1))
    assert second.status.outbox_envelopes == 0
    assert waiting < set(listening.hub.digests)
    assert listening.hub.chain_breaks(device) == []
    assert [envelope.boot for envelope in kept(listening, device)] == [1] * len(waiting) + [2]


def test_a_new_owner_enrolls_the_device_again(listening: ListeningHub, broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    run(tmp_path, program(1))
    before = listening.hub.taken
    run(tmp_path, program(1))
    assert listening.hub.taken == before + 1  # one envelope, no enrollment
    text = (tmp_path / SETTINGS_FILE).read_text()
    (tmp_path / SETTINGS_FILE).write_text(text.replace("ab" * 20, "cd" * 20))
    before = listening.hub.taken
    run(tmp_path, program(1))
    assert listening.hub.taken == before + 2


def test_one_device_runs_once(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port)
    stop = threading.Event()
    settings = load_settings(tmp_path, {})
    first = Agent(settings, tmp_path, program=program(10_000, frame_s=0.01))
    thread = threading.Thread(target=first.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: read_status(tmp_path) is not None, at_most_s=10, what="the first one is running")
        with pytest.raises(SequenceError, match="another agent"):
            Agent(settings, tmp_path, program=program(1)).run(threading.Event())
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


def test_the_command_prints_one_json_object_and_nothing_else(
    tmp_path: Path, assets: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_device(
        tmp_path,
        hub=HUB,
        port=9,
        camera={"source": str(_pictures(tmp_path))},
        model={"name": str(assets / "yolox_nano_416.onnx")},
        uplink={"drain_timeout_ms": 300, "reconnect_max_ms": 200},
    )
    assert main(["run", "--dir", str(tmp_path)]) == 0  # nothing seen, nothing owed
    report = json.loads(capfd.readouterr().out)
    assert (report["frames"], report["envelopes_signed"], report["envelopes_left"]) == (3, 0, 0)


def _pictures(folder: Path) -> Path:
    """A folder of three grey pictures, as files that OpenCV reads."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for index in range(3):
        (pictures / f"{index}.bmp").write_bytes(_grey_bmp())
    return pictures


def _grey_bmp() -> bytes:
    return bytes(cv2.imencode(".bmp", np.full((64, 64, 3), 128, np.uint8))[1])
