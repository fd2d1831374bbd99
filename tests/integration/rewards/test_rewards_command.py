"""`cairn-rewards` as people use it: real processes, a real chain, JSON on stdout, sentences on stderr."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from rewards.chain.anvil import Anvil
from rewards.chain.node import checksum
from tests.support.nursery import Nursery
from tests.support.reward_story import TOKEN_WEI, Device, Town

PROGRAM = str(Path(sys.executable).with_name("cairn-rewards"))


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("REWARDS_")}


class Shell:
    """Runs the command against one town."""

    def __init__(self, program: Nursery, town: Town, folder: Path, keys: dict[str, Path]) -> None:
        self.program = program
        self.keys = keys
        self.folder = folder
        self.environment = _clean() | {
            "REWARDS_RPC": town.node.url,
            "REWARDS_DEPLOYMENT": str(town.deployment),
            "REWARDS_HUB": town.bottle.url,
            "REWARDS_DATA": str(folder / "rewards"),
        }

    def run(self, *words: str, status: int = 0, **more: str) -> tuple[dict[str, Any], str]:
        done = self.program.run(words, env=self.environment | more)
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def shell(cairn_rewards: Nursery, town: Town, tmp_path: Path, people: tuple[Any, ...]) -> Shell:
    keys = {}
    for name, person in zip(("hub", "alice", "bob"), people, strict=False):
        keys[name] = tmp_path / f"{name}.key"
        keys[name].touch(mode=0o600)
        keys[name].write_text(bytes(person.key).hex())
    return Shell(cairn_rewards, town, tmp_path, keys)


@pytest.fixture
def earned(town: Town, shell: Shell) -> Device:
    """A device bonded with the command; one epoch with it is closed."""
    device = Device(1, town.alice.account)
    shell.run(
        "stake", "--device", device.keys.public_key.did, "--amount", "2.5", "--key-file", str(shell.keys["alice"])
    )
    start, end = town.publisher.interval(1)
    town.close_epoch([device.enroll(start), device.watch(list(range(start, end, 10_000)))])
    return device


def test_a_bond_is_taken_back_by_its_owner_after_the_waiting_time(
    node: Anvil, town: Town, shell: Shell, earned: Device
) -> None:
    alice, bob = ("--key-file", str(shell.keys["alice"])), ("--key-file", str(shell.keys["bob"]))
    device = ("--device", earned.keys.public_key.did)
    _, refused = shell.run("unbond", *device, "--amount", "1", *bob, status=1)
    assert "bond" in refused
    planned, _ = shell.run("unbond", *device, "--amount", "1", "--dry-run", *alice)
    assert planned["dry_run"] is True
    begun, _ = shell.run("unbond", *device, "--amount", "1", *alice)
    _, early = shell.run("withdraw", *device, *alice, status=1)
    assert early.strip()
    before_wei = town.alice.token_balance_wei()
    node.rpc("evm_increaseTime", begun["wait_s"] + 1)
    node.rpc("evm_mine")
    shell.run("withdraw", *device, *alice)
    assert town.alice.token_balance_wei() == before_wei + TOKEN_WEI


def test_an_epoch_is_settled_proven_claimed_and_audited_by_commands(town: Town, shell: Shell, earned: Device) -> None:
    hub, alice = ("--key-file", str(shell.keys["hub"])), ("--key-file", str(shell.keys["alice"]))
    account = checksum(town.alice.account)
    settled, said = shell.run("run", "--once", *hub)
    assert [one["epoch"] for one in settled["posted"]] == [1]
    assert "has not closed epoch 2" in said

    proof, _ = shell.run("prove", "--account", account)
    assert proof["verified"] is True
    assert proof["leaf"]["cumulative_wei"] == str(50 * TOKEN_WEI)

    planned, _ = shell.run("claim", "--dry-run", *alice)
    assert planned["would_pay_wei"] == str(50 * TOKEN_WEI)
    assert town.contract.claimed_wei(town.alice.account) == 0
    paid, _ = shell.run("claim", *alice)
    assert paid["paid_wei"] == str(50 * TOKEN_WEI)
    assert paid["gas"] > 21_000
    assert town.contract.claimed_wei(town.alice.account) == 50 * TOKEN_WEI
    _, again = shell.run("claim", *alice, status=1)
    assert "nothing is left to claim" in again

    same, talk = shell.run("audit", "1")
    assert same["same"] is True
    assert same["root"] == settled["posted"][0]["root"]
    assert (same["envelopes"], same["observations"]) == (1, 12)
    assert "same root for epochs 1 to 1" in talk

    # Another machine, with no report of its own and a hub that lies about one byte.
    page = bytearray(town.publisher.blocks[town.publisher.manifests[0].verdicts])
    page[-1] ^= 1
    town.bottle.spoil[f"/ipfs/{town.publisher.manifests[0].verdicts}"] = bytes(page)
    differs, _ = shell.run("audit", "1", status=3)
    assert differs["same"] is False
    assert differs["difference"]["epoch"] == 1


def test_the_service_settles_serves_stops_on_a_signal_and_needs_nothing_it_kept(
    town: Town, shell: Shell, earned: Device
) -> None:
    ready = shell.folder / "ready.json"
    for folder in ("first", "second"):
        ready.unlink(missing_ok=True)
        words = ["run", "--http-port", "0", "--poll-seconds", "0.2", "--ready-file", str(ready)]
        words += ["--key-file", str(shell.keys["hub"]), "--data", str(shell.folder / folder)]
        service = shell.program.start(words, env=shell.environment)
        try:
            url = _await(lambda: json.loads(ready.read_text())["http"] if ready.exists() else None)
            epoch = _await(partial(_get, f"{url}/v1/epochs/1"))
            assert epoch["paid_wei"] == str(50 * TOKEN_WEI)
            account = checksum(town.alice.account)
            assert _get(f"{url}/v1/accounts/{account}")["claimable_wei"] == str(50 * TOKEN_WEI)
            shown, _ = shell.run("prove", "--account", account, REWARDS_REPORTS=url, REWARDS_HUB="http://127.0.0.1:9")
            assert shown["verified"] is True
            service.terminate()
            assert service.wait(30) == 0
        finally:
            service.kill()
    assert len(town.contract.roots()) == 1


def test_a_local_chain_comes_up_with_keys_takes_a_contract_and_comes_back_as_it_was(
    cairn_rewards: Nursery, tmp_path: Path
) -> None:
    ask = partial(_json, cairn_rewards)
    state, keys, ready = tmp_path / "state", tmp_path / "keys", tmp_path / "ready.json"
    deployment = tmp_path / "deployment.json"
    key = ("--key-file", str(keys / "account-0.key"))
    with LocalChain(state, keys, ready) as rpc:
        known = ("--rpc", rpc, "--deployment", str(deployment))
        planned = ask("deploy", *known, *key, "--dry-run")
        assert not deployment.exists()
        assert planned["terms"]["quorum"] == 1
        deployed = ask("deploy", *known, *key, "--challenge-seconds", "0")
        assert json.loads(deployment.read_text()) == deployed
        assert ask("mint", *known, *key, "--amount", "500", "--dry-run")["dry_run"] is True
        ask("mint", *known, *key, "--amount", "500")
        ask("fund", *known, *key, "--amount-wei", "7")
        block = ask("status", *known)["block"]
        _await(lambda: ask("status", *known)["block"] > block or None)  # time goes on without transactions
    ready.unlink()
    with LocalChain(state, keys, ready) as rpc:
        status = ask("status", "--rpc", rpc, "--deployment", str(deployment))
        assert status["contract"] == deployed["contract"]
        assert status["funded_wei"] == "7"
    assert all(path.stat().st_mode & 0o077 == 0 for path in keys.iterdir())


def test_what_is_asked_wrongly_is_answered_with_a_sentence(town: Town, shell: Shell, tmp_path: Path) -> None:
    alice = ("--key-file", str(shell.keys["alice"]))
    nowhere = str(tmp_path / "none.json")
    cases: list[tuple[int, tuple[str, ...], str]] = [
        (2, ("stake", "--device", "z6Mk", "--amount", "1", *alice), "not a did:key"),
        (1, ("fund", "--amount", "99999999", *alice), "get more, or ask for less"),
        (1, ("mint", "--amount", "1"), "A key is needed"),
        (1, ("mint", "--amount", "1", "--key-file", nowhere), "cannot be read"),
        (1, ("status", "--deployment", nowhere), "run `cairn-rewards deploy`"),
        (1, ("status", "--rpc", "http://127.0.0.1:9"), "does not answer"),
        (1, ("audit", "4"), "Epoch 4 has no root on chain"),
        (1, ("prove", "--account", checksum(town.alice.account)), "No root is active yet"),
        (2, ("run", "--http-port", "70000"), "http_port"),
    ]
    for status, words, says in cases:
        _, said = shell.run(*words, status=status)
        assert says in said, words


def _json(program: Nursery, *words: str) -> dict[str, Any]:
    done = program.run(words, env=_clean())
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class LocalChain:
    """`cairn-rewards chain up` as a context manager that yields the node's address."""

    def __init__(self, state: Path, keys: Path, ready: Path) -> None:
        words = ["chain", "up", "--state", str(state), "--keys", str(keys), "--ready-file", str(ready)]
        self._ready = ready
        self._process = subprocess.Popen([PROGRAM, *words, "--block-time", "0.5"], env=_clean(), stdout=subprocess.PIPE)

    def __enter__(self) -> str:
        return str(_await(lambda: json.loads(self._ready.read_text())["rpc"] if self._ready.exists() else None))

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0


def _await(ask: Callable[[], Any]) -> Any:
    """Return the first answer that is not None, within a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (found := ask()) is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came within a minute")


def _get(url: str) -> Any:
    try:
        answer = httpx.get(url, timeout=10)
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None
