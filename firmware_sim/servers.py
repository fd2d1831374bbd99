"""Start the servers of the demo in their order, each when the one before is ready."""

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_sim.children import Children, program
from firmware_sim.network import Contributor, Network, Servers

_READY_WITHIN_S: Final = 60.0
_CONTRIBUTORS: Final = 3
_CHALLENGE_SECONDS: Final = 1  # a demo does not wait a day for disputes
_TOKENS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where the servers keep their files, how long an epoch is, where the pages are served (0: any free port)."""

    folder: Path
    epoch_seconds: int
    hub_port: int
    rewards_port: int


def start_servers(settings: ServerSettings, children: Children) -> Network:
    """Start chain, contract, hub and reward service; what does not wait for another starts beside it.

    Raises:
        ChildError: one of them did not start; the message ends with its log.
    """
    folder = settings.folder
    rpc, operator, contributors = _start_chain(folder, children)
    with ThreadPoolExecutor(max_workers=2) as pool:
        hub = pool.submit(_start_hub, settings, children, rpc=rpc)
        deployer = Servers(rpc, folder / "deployment.json", "")
        key = ("--key-file", str(operator.key_file))
        challenge = ("--challenge-seconds", str(_CHALLENGE_SECONDS))
        children.call("deploy", deployer.rewards_command("deploy", *key, *challenge))
        money = pool.submit(_give_money, deployer, operator, contributors, children)
        servers = Servers(rpc, deployer.deployment, str(hub.result()["http"]))
        rewards_ready = folder / "rewards-ready.json"
        run = servers.rewards_command("run", *key, "--hub", servers.hub_url)
        run += ["--data", str(folder / "rewards"), "--http-port", str(settings.rewards_port), "--public-rpc", rpc]
        run += ["--poll-seconds", "0.5", "--ready-file", str(rewards_ready)]
        # One account numbers its transactions: the service attests with the key that gives the money.
        money.result()
        children.start("rewards", run)
        rewards = children.wait_for_file(rewards_ready, timeout_s=_READY_WITHIN_S)
    return Network(folder, servers, str(rewards["http"]), contributors)


def _start_chain(folder: Path, children: Children) -> tuple[str, Contributor, tuple[Contributor, ...]]:
    ready, keys = folder / "chain-ready.json", folder / "chain" / "keys"
    command = [program("cairn-rewards"), "chain", "up", "--state", str(folder / "chain" / "state")]
    command += ["--keys", str(keys), "--ready-file", str(ready)]
    children.start("chain", command)
    chain = children.wait_for_file(ready, timeout_s=_READY_WITHIN_S)
    accounts = chain["accounts"]
    if not isinstance(accounts, list):
        raise TypeError("the chain's ready file lists its accounts")
    people = tuple(
        Contributor(str(account), keys / f"account-{number}.key")
        for number, account in enumerate(accounts[: _CONTRIBUTORS + 1])
    )
    return str(chain["rpc"]), people[0], people[1:]


def _start_hub(settings: ServerSettings, children: Children, *, rpc: str) -> dict[str, object]:
    ready = settings.folder / "hub-ready.json"
    command = [program("cairn-hub"), "serve", "--data", str(settings.folder / "hub"), "--name", "Demo hub"]
    command += ["--mqtt-port", "0", "--http-port", str(settings.hub_port), "--chain-rpc", rpc]
    command += ["--epoch-seconds", str(settings.epoch_seconds), "--beacon-seconds", "1", "--ready-file", str(ready)]
    children.start("hub", command)
    return children.wait_for_file(ready, timeout_s=_READY_WITHIN_S)


def _give_money(
    servers: Servers, operator: Contributor, contributors: tuple[Contributor, ...], children: Children
) -> None:
    """Make play money: a million for the rewards, enough for each contributor's bonds."""
    key = ("--key-file", str(operator.key_file))
    everybody = [word for person in (operator, *contributors) for word in ("--to", person.account)]
    children.call("mint", servers.rewards_command("mint", *key, *everybody, "--amount", str(_TOKENS)))
    children.call("fund", servers.rewards_command("fund", *key, "--amount", str(_TOKENS)))


def end_orphaned_broker(folder: Path) -> None:
    """Stop the broker of a hub that was killed: it lives on for the hub's next start, and here there is none."""
    try:
        pid = int((folder / "hub" / "broker" / "nats.pid").read_text())
        asked = subprocess.run(
            ["ps", "-ww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if str(folder) in asked.stdout:
            os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):  # none was started, or it has ended
        return
