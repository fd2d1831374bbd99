"""Twenty times kill -9 at random moments, hub or broker, epochs turning all the while: what was receipted stays.

The devices do what every device does: keep an envelope until it is receipted, and send it again until then.
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.broker.address import BrokerAddress, free_port
from hub.domain.admission import Message
from hub.domain.records import IntakeRecord
from hub.home import HubHome
from hub.log.files import open_segments, sealed_segments
from hub.log.reading import read_log
from hub.reindex import reindex
from hub.store import tables
from hub.store.store import Store
from protocol.envelope import block_digest
from protocol.verdict import Verdict
from tests.support.hub_story import NETWORK
from tests.support.hub_world import ConnectedDevice, eventually
from tests.support.nursery import Child, Nursery

KILLS = 20
VICTIMS = ("hub", "broker")
EPOCH_SECONDS = 4
RESEND_S = 1.0
MOST_PENDING = 30


class HubProcess:
    """`cairn-hub serve` as an operator runs it, on ports that stay the same."""

    def __init__(self, program: Nursery, folder: Path) -> None:
        self.program = program
        self.folder = folder
        self.ready_file = folder.parent / "ready.json"
        self.broker = BrokerAddress("127.0.0.1", free_port("127.0.0.1"))
        self._http_port = free_port("127.0.0.1")
        self._log = (folder.parent / "hub.log").open("ab")
        self.process: Child | None = None

    def start(self) -> None:
        self.ready_file.unlink(missing_ok=True)
        command = ["serve", "--data", str(self.folder), "--network", NETWORK]
        command += ["--mqtt-port", str(self.broker.port), "--http-port", str(self._http_port)]
        command += ["--epoch-seconds", str(EPOCH_SECONDS), "--beacon-seconds", "0.5"]
        command += ["--ready-file", str(self.ready_file)]
        self.process = self.program.start(command, stdout=self._log, stderr=self._log)

    def await_ready(self) -> None:
        eventually(self._is_up, f"the hub is up; see {self._log.name}", 60)

    def _is_up(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, Path(self._log.name).read_text()[-2_000:]
        return self.ready_file.exists()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def kill_broker(self) -> None:
        os.kill(int((self.folder / "broker" / "nats.pid").read_text()), signal.SIGKILL)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(60)

    def end(self) -> None:
        """Leave nothing behind, whatever happened: a hub that is left takes its broker with it."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        self._log.close()


class Insistent:
    """Observes for as long as it is told to, and sends again whatever has no receipt."""

    def __init__(self, device: ConnectedDevice) -> None:
        self.device = device
        self.sent: dict[int, Message] = {}
        self._pending: dict[int, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self._forget_receipted()
            if len(self._pending) < MOST_PENDING:
                message = self.device.observe()
                self.sent[self.device.story.sequence] = message
                self._pending[self.device.story.sequence] = time.monotonic()
            self._send_again()

    def _forget_receipted(self) -> None:
        for sequence, verdicts in self.device.receipted().items():
            if any(verdict.is_final for verdict in verdicts):
                self._pending.pop(sequence, None)

    def _send_again(self) -> None:
        if not self.device.client.is_connected():
            return
        for sequence, sent_s in self._pending.items():
            if time.monotonic() - sent_s > RESEND_S:
                self.device.send(self.sent[sequence])
                self._pending[sequence] = time.monotonic()

    def finish(self) -> None:
        self._stop.set()
        self._thread.join()

        def all_receipted() -> bool:
            self._forget_receipted()
            self._send_again()
            return not self._pending

        eventually(all_receipted, "everything is receipted in the end", 60)


Life = tuple[HubProcess, list[Insistent]]


@contextmanager
def talking_devices(hub: HubProcess, count: int) -> Iterator[list[Insistent]]:
    devices = [ConnectedDevice(hub.broker, seed + 1) for seed in range(count)]
    try:
        for device in devices:
            device.__enter__()
            device.enroll()
        yield [Insistent(device) for device in devices]
    finally:
        for device in devices:
            device.__exit__()


def _life_with_kills(program: Nursery, victim: str, folder: Path) -> Life:
    chance = random.Random(20_261_124)
    hub = HubProcess(program, folder / "hub")
    hub.start()
    try:
        return hub, _survive(hub, victim, chance)
    finally:
        hub.end()


def _survive(hub: HubProcess, victim: str, chance: random.Random) -> list[Insistent]:
    hub.await_ready()
    with talking_devices(hub, 3) as devices:
        is_up = True
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 1.5 if is_up else 0.4))
            if victim == "hub":
                hub.kill()
                hub.start()
                is_up = chance.random() < 0.8  # else: killed again while it starts
                if is_up:
                    hub.await_ready()
            else:
                hub.kill_broker()
                eventually(hub.broker.answers, "the broker is back")
        hub.await_ready()
        for device in devices:
            device.finish()
    assert hub.stop() == 0
    return devices


@pytest.fixture(scope="module")
def lives(cairn_hub: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Life]]]:
    """One hub whose process is killed and one whose broker is, each with its own devices, both at the same time."""
    with ThreadPoolExecutor(len(VICTIMS)) as pool:
        yield {
            victim: pool.submit(_life_with_kills, cairn_hub, victim, tmp_path_factory.mktemp(victim))
            for victim in VICTIMS
        }


@pytest.mark.parametrize("victim", VICTIMS)
def test_nothing_receipted_is_lost_and_nothing_counts_twice(victim: str, lives: dict[str, Future[Life]]) -> None:
    hub, devices = lives[victim].result()
    _check_log(hub.folder, devices)
    _check_index(hub.folder)
    _check_replay(hub)


def _check_log(folder: Path, devices: list[Insistent]) -> None:
    """Every receipt has its entry; every envelope is accepted exactly once."""
    home = HubHome(folder)
    paths = [*sealed_segments(home.segments), *open_segments(home.segments)]
    verdicts: dict[bytes, Counter[Verdict]] = {}
    for record in read_log(paths, home.signer().public_key):
        if isinstance(record, IntakeRecord):
            for entry in record.entries:
                verdicts.setdefault(entry.digest, Counter())[entry.verdict] += 1
    observed = 0
    for one in devices:
        assert one.sent
        for _, digest, verdict in one.device.verdicts:
            assert verdicts[digest][verdict] >= 1, "a receipt without its entry"
        for message in one.sent.values():
            counted = verdicts[block_digest(message.block)]
            assert counted[Verdict.ACCEPTED] == 1, counted
            assert set(counted) <= {Verdict.ACCEPTED, Verdict.DUPLICATE}
            observed += 1
    deliveries = sum(count.total() for count in verdicts.values())
    print(f"{observed} envelopes in {deliveries} deliveries, {len(paths)} segments")


def _check_index(folder: Path) -> None:
    """The index that was killed twenty times is the one the log gives."""
    home = HubHome(folder)
    store = Store.open(home.database_url)
    names = [name for name in tables.metadata.tables if name in {"entries", "observations", "batches", "beacons"}]

    def rows() -> dict[str, list[tuple[object, ...]]]:
        return {name: store.rows(name) for name in names}

    live = rows()
    reindex(store, home.segments, home.signer().public_key, lambda _: None)
    assert rows() == live
    store.database.close()


def _check_replay(hub: HubProcess) -> None:
    """With the database gone, closed epochs give the verdicts that were published."""
    folder = hub.folder
    for path in folder.glob("hub.sqlite*"):
        path.unlink()
    closed = sorted((folder / "epochs").glob("epoch-*.car"))
    assert len(closed) >= 2
    for number in (1, len(closed)):
        outcome = hub.program.run(["replay", str(number), "--data", str(folder)])
        assert outcome.returncode == 0, outcome.stderr
        assert json.loads(outcome.stdout)["same"] is True


def test_the_commands_say_by_their_status_what_happened(cairn_hub: Nursery, tmp_path: Path) -> None:
    hub = HubProcess(cairn_hub, tmp_path / "hub")
    hub.start()
    try:
        _say_what_happened(cairn_hub, hub)
    finally:
        hub.end()


def _say_what_happened(cairn_hub: Nursery, hub: HubProcess) -> None:
    hub.await_ready()
    ready = json.loads(hub.ready_file.read_text())
    assert ready["network"] == NETWORK
    assert ready["mqtt_port"] == hub.broker.port
    port = ready["http"].rpartition(":")[2]
    with talking_devices(hub, 1) as devices:
        eventually(lambda: len(devices[0].sent) > 20, "some envelopes were sent")
        devices[0].finish()
        eventually(lambda: _epochs(hub) >= 1, "an epoch closes")
        status = cairn_hub.run(["status", "--http-port", port])
        assert status.returncode == 0, status.stdout
        assert json.loads(status.stdout)["accepted"] >= 20
        second = cairn_hub.run(["serve", "--data", str(hub.folder), "--http-port", "0", "--mqtt-port", "0"])
        assert second.returncode == 1
        assert "another hub" in second.stderr
        assert "Traceback" not in second.stderr
    assert hub.stop() == 0
    assert cairn_hub.run(["status", "--http-port", port]).returncode == 1
    again = cairn_hub.run(["reindex", "--data", str(hub.folder)])
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["epochs"] == _epochs(hub)
    assert cairn_hub.run(["check", "--data", str(hub.folder), "--http-port", "0", "--mqtt-port", "0"]).returncode == 0
    assert cairn_hub.run(["replay", "9999", "--data", str(hub.folder)]).returncode == 1
    _tamper(hub.folder / "segments" / "segment-00000001.car")
    tampered = cairn_hub.run(["replay", "1", "--data", str(hub.folder)])
    assert tampered.returncode == 1
    assert "Traceback" not in tampered.stderr


def _epochs(hub: HubProcess) -> int:
    return len(list((hub.folder / "epochs").glob("epoch-*.car")))


def _tamper(path: Path) -> None:
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
