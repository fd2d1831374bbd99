"""`cairn-edge run` killed with -9 at random moments, twenty times: nothing durable is lost, no number comes twice."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import pytest

from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.sequence import read_ledger
from edge.place import OUTBOX_FILE, SEQUENCE_FILE, TRACKS_FILE
from edge.status import read_status
from firmware_sim.scenes import Scene
from firmware_sim.world import World, WorldSettings, town_vantages
from protocol.beacon import NO_BEACON
from protocol.envelope import block_digest
from protocol.identity import PublicKey
from protocol.units import UnixMs
from tests.conftest import ROOT
from tests.support.edge_story import Broker, ListeningHub, make_device, running_broker, wait_until

KILLS = 20
SECONDS = 120
FPS = 8
MODEL = ROOT / "firmware_sim" / "models" / "cairn-tiny.onnx"


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes of a made-up street, as a video file: decoded, inferred and tracked like any other."""
    path = tmp_path_factory.mktemp("video") / "street.mp4"
    start_ms = 1_800_000_000_000
    scene = Scene(World(5, town_vantages(5, 1), WorldSettings(starts_at_ms=UnixMs(start_ms))), 0)
    first = scene.frame_bgr(UnixMs(start_ms))
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (first.shape[1], first.shape[0]))
    for index in range(SECONDS * FPS):
        writer.write(scene.frame_bgr(UnixMs(start_ms + index * 1000 // FPS)))
    writer.release()
    return path


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with running_broker("nats", tmp_path / "broker") as running:
        yield running


def device(directory: Path, video: Path, hub: PublicKey, port: int) -> PublicKey:
    return make_device(
        directory,
        hub=hub,
        port=port,
        camera={"source": str(video)},
        model={"name": str(MODEL), "classes": []},
        # One observation an envelope: as much signing and committing as there can be.
        batch={"max_observations": 1, "max_delay_ms": 0},
    ).public_key


def start(directory: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.executable).with_name("cairn-edge")), "run", "--dir", str(directory)]
    with log.open("ab") as stderr:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, env={**os.environ})


def durable_digests(directory: Path, scratch: Path) -> dict[bytes, int]:
    """What waited on the disk at the moment of the kill: digest to sequence."""
    if not (directory / OUTBOX_FILE).exists():
        return {}
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in directory.glob(OUTBOX_FILE + "*"):
        shutil.copy(path, scratch / path.name)
    copy = Outbox.open(scratch / OUTBOX_FILE, limits=OutboxLimits())
    waiting = copy.waiting(at_most=100_000)
    copy.close()
    assert all(block_digest(each.block) == each.digest for each in waiting)
    return {each.digest: each.sequence for each in waiting}


def is_observing(directory: Path, boot_before: int) -> bool:
    """Whether the present start has come as far as its first frames."""
    status = read_status(directory)
    return status is not None and status.boot > boot_before and status.frames > 0


def test_twenty_kills_lose_no_envelope_and_reuse_no_number(tmp_path: Path, video: Path, broker: Broker) -> None:
    home, log = tmp_path / "device", tmp_path / "agent.log"
    dice = random.Random(20_261_123)
    durable: dict[bytes, int] = {}
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        me = device(home, video, listening.hub.keys.public_key, broker.port)
        for round_number in range(KILLS):
            listening.is_silent = round_number % 2 == 0  # so that every other kill meets a backlog
            boot = read_ledger(home / SEQUENCE_FILE)[0]
            child = start(home, log)
            if round_number % 5 == 4:
                time.sleep(dice.uniform(0.05, 1.0))  # while it is starting
            else:
                wait_until(partial(is_observing, home, boot), at_most_s=60, what="the agent observes")
                time.sleep(dice.uniform(0.2, 2.5))
            child.kill()
            child.communicate(timeout=10)
            assert child.returncode in {-signal.SIGKILL, 0}, log.read_text()[-2_000:]
            durable |= durable_digests(home, tmp_path / "copy")
            read_ledger(home / SEQUENCE_FILE)  # never half written
        listening.is_silent = False
        child = start(home, log)
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0, log.read_text()[-2_000:]
        report = json.loads(out)
        assert report["envelopes_left"] == 0
        hub = listening.hub
        kept = hub.kept[me]
        assert len(kept) > KILLS, "hardly anything was signed: the kills came too early to show anything"
        assert len(durable) > KILLS // 2, "hardly anything waited at a kill: nothing was put to the test"
        print(f"{len(kept)} envelopes kept, {len(durable)} of them waited at a kill, {max(kept)} was the last number")
        lost = {sequence for digest, sequence in durable.items() if hub.digests.get(digest) != (me, sequence)}
        assert not lost
        assert hub.reused == []
        assert hub.chain_breaks(me) == []
        boots = [kept[sequence].boot for sequence in sorted(kept)]
        assert boots == sorted(boots)
        assert all(envelope.beacon != NO_BEACON for envelope in kept.values())


@pytest.fixture
def long_video(video: Path, tmp_path: Path) -> Path:
    """The same street four times over: long enough to be stopped in the middle."""
    path, frames = tmp_path / "long.mp4", []
    reading = cv2.VideoCapture(str(video))
    while (read := reading.read())[0]:
        frames.append(read[1])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (frames[0].shape[1], frames[0].shape[0]))
    for _ in range(4):
        for frame in frames:
            writer.write(frame)
    writer.release()
    return path


def test_sigterm_ends_within_seconds_and_keeps_who_is_in_sight_for_the_next_run(
    tmp_path: Path, long_video: Path, broker: Broker
) -> None:
    home, log = tmp_path / "device", tmp_path / "agent.log"
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        device(home, long_video, listening.hub.keys.public_key, broker.port)
        child = start(home, log)
        wait_until(
            lambda: (status := read_status(home)) is not None and status.tracks > 0, at_most_s=30, what="it sees"
        )
        asked_s = time.monotonic()
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=20)
        assert child.returncode == 0, log.read_text()[-2_000:]
        assert time.monotonic() - asked_s < 6
        report = json.loads(out)
        assert report["frames"] < 4 * SECONDS * FPS
        assert report["tracks"] == report["envelopes_signed"] > 0
        status = read_status(home)
        assert status is not None
        assert not status.is_running
        assert (status.observations_refused, status.observations_waiting) == (0, 0)
        assert (home / TRACKS_FILE).is_file()
