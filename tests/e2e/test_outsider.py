"""A network that is up, seen by somebody who trusts nobody: blocks by CID, foreign verification, recomputed pay."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from web3 import HTTPProvider, Web3

from protocol.cid import Cid
from tests.conftest import ROOT
from tests.e2e.conftest import Demos

_READY_WITHIN_S = 240.0


@dataclass(frozen=True)
class Running:
    """The demo, up and paid."""

    folder: Path
    report: dict[str, Any]
    hub_url: str
    rewards_url: str
    rpc_url: str

    def rewards(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return _run(
            "cairn-rewards", *words, "--rpc", self.rpc_url, "--deployment", str(self.folder / "deployment.json")
        )


@pytest.fixture(scope="module")
def running(demos: Demos) -> Iterator[Running]:
    """`make demo` without ONCE: it stays up until Ctrl-C, and then ends cleanly."""
    demo = demos.standing
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while "stays up until Ctrl-C" not in demo.stdout() + demo.stderr():
        assert demo.process.poll() is None, demo.stderr()[-4_000:]
        assert time.monotonic() < deadline_s, demo.stderr()[-4_000:]
        time.sleep(0.1)
    hub, rewards, chain = (_ready(demo.folder, name) for name in ("hub", "rewards", "chain"))
    report = json.loads(demo.report.read_text())
    yield Running(demo.folder, report, hub["http"], rewards["http"], chain["rpc"])
    assert demo.process.poll() is None, "the demo stays up until Ctrl-C"
    demo.interrupt()
    talk = demo.stdout() + demo.stderr()
    assert "Stopping." in talk
    assert "Traceback" not in talk
    assert "cairn-sim:" not in talk, "an end by Ctrl-C is no failure"
    left = [" ".join(child.info["cmdline"] or []) for child in psutil.process_iter(["cmdline"])]
    assert not [words for words in left if str(demo.folder) in words]


def _ready(folder: Path, name: str) -> dict[str, str]:
    told: dict[str, str] = json.loads((folder / f"{name}-ready.json").read_text())
    return told


def test_the_claim_is_what_the_contract_says_was_paid(running: Running) -> None:
    deployment = json.loads((running.folder / "deployment.json").read_text())
    artifact = json.loads((ROOT / "rewards/contracts/artifacts/CairnRewards.json").read_text())
    contract = Web3(HTTPProvider(running.rpc_url)).eth.contract(deployment["contract"], abi=artifact["abi"])
    claim = running.report["claim"]
    assert contract.functions.claimedWeiOf(claim["account"]).call() == int(claim["paid_wei"]) > 0
    receipt = Web3(HTTPProvider(running.rpc_url)).eth.get_transaction_receipt(claim["transaction"])
    assert receipt["status"] == 1


def test_a_devices_bytes_fetched_by_cid_verify_with_a_foreign_cose_library(running: Running) -> None:
    seen = _get_json(f"{running.hub_url}/v1/observations?limit=50")["rows"]
    assert seen
    blocks: dict[str, tuple[str, bytes]] = {}
    for cid, device in sorted({(row["envelope"], row["device"]) for row in seen})[:10]:
        block = _get(f"{running.hub_url}/ipfs/{cid}?format=raw")
        assert "b" + hashlib.sha256(block).hexdigest() == "b" + Cid.parse(cid).digest.hex()
        blocks[cid] = device, block
    touched = [block[:-1] + bytes([block[-1] ^ 1]) for _, block in blocks.values()]
    with ThreadPoolExecutor(4) as pool:
        checked = list(pool.map(_verify_elsewhere, [block for _, block in blocks.values()]))
        refused = list(pool.map(_verify_elsewhere, touched))
    for (cid, (device, _)), outcome in zip(blocks.items(), checked, strict=True):
        assert outcome.returncode == 0, outcome.stderr
        told = json.loads(outcome.stdout)
        assert told["cid"] == cid
        assert told["signer"] == device
    assert [outcome.returncode for outcome in refused] == [1] * len(blocks)


def _verify_elsewhere(block: bytes) -> "subprocess.CompletedProcess[bytes]":
    node = shutil.which("node") or str(Path(sys.executable).with_name("node"))
    return subprocess.run(
        [node, "verify-block.mjs"],
        cwd=ROOT / "tests/vectors/foreign",
        input=block,
        capture_output=True,
        check=False,
    )


def test_audit_and_replay_come_to_the_same_with_every_database_deleted(running: Running, tmp_path: Path) -> None:
    """Reward reports, the hub's index and its broker are gone: the chain and the hub's files are enough."""
    shutil.rmtree(running.folder / "rewards")
    last = len(running.report["epochs"])
    copy = tmp_path / "hub"
    shutil.copytree(
        running.folder / "hub",
        copy,
        ignore=shutil.ignore_patterns("hub.sqlite*", "broker", "*.open", "*.part", "*.tmp"),
    )
    assert not list(copy.glob("*.sqlite*"))
    for epoch in range(1, last + 1):
        replay = _run("cairn-hub", "replay", str(epoch), "--data", str(copy))
        assert replay.returncode == 0, replay.stderr
        told = json.loads(replay.stdout)
        assert told["same"] is True
        assert told["verdicts"] == running.report["epochs"][epoch - 1]["verdicts"]

    with _serving(copy, tmp_path / "ready.json") as hub_url:
        audit = running.rewards("audit", str(last), "--hub", hub_url)
    assert audit.returncode == 0, audit.stderr
    told = json.loads(audit.stdout)
    assert told["same"] is True
    assert told["epochs"] == last
    assert told["root"] == running.report["claim"]["root"]
    assert "same root" in audit.stderr


@contextmanager
def _serving(folder: Path, ready: Path) -> Iterator[str]:
    """A hub on ``folder``, which has no database: it builds its index from the log as it starts."""
    command = [str(Path(sys.executable).with_name("cairn-hub")), "serve", "--data", str(folder)]
    command += ["--http-port", "0", "--mqtt-port", "0", "--ready-file", str(ready)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as hub:
        try:
            deadline_s = time.monotonic() + 60
            while not ready.exists():
                assert hub.poll() is None, hub.stderr.read() if hub.stderr else ""
                assert time.monotonic() < deadline_s
                time.sleep(0.1)
            yield str(json.loads(ready.read_text())["http"])
        finally:
            hub.terminate()
            hub.communicate(timeout=30)


def test_a_piece_fetched_from_the_hub_has_the_commitment_it_was_published_under(running: Running) -> None:
    segment = running.report["epochs"][-1]["segments"][0]
    car = _get(f"{running.hub_url}/piece/{segment['piece']}")
    assert len(car) == segment["size_bytes"]
    assert Cid.of_digest(hashlib.sha256(car).digest(), Cid.parse(segment["car"]).codec) == Cid.parse(segment["car"])


def test_both_pages_are_served(running: Running) -> None:
    for url in (running.hub_url, running.rewards_url):
        page = _get(f"{url}/").decode()
        assert "<!doctype html>" in page.lower()
        assert "script" in page
        assert "/assets/" in page, "the built page, not its stand-in"


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        body: bytes = answer.read()
    return body


def _get_json(url: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(_get(url))
    return loaded


def _run(name: str, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name(name)), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
