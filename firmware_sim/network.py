"""A running network as its users know it: by commands and by HTTP. The simulator imports none of the servers."""

import json
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_sim.children import Children, program

_HTTP_TIMEOUT_S: Final = 10.0
_BOND_TOKENS: Final = 100


@dataclass(frozen=True, slots=True)
class Contributor:
    """Somebody who owns devices: an account of the local chain and the file with its key."""

    account: str
    key_file: Path


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the chain and the hub answer, and which contract."""

    rpc_url: str
    deployment: Path
    hub_url: str

    def rewards_command(self, *words: str) -> list[str]:
        """Return a `cairn-rewards` command that talks to this chain and contract."""
        return [program("cairn-rewards"), *words, "--rpc", self.rpc_url, "--deployment", str(self.deployment)]


@dataclass(frozen=True, slots=True)
class Network:
    """Everything that is up."""

    folder: Path
    servers: Servers
    rewards_url: str
    contributors: tuple[Contributor, ...]

    @property
    def hub_url(self) -> str:
        """Where the operator's page and the hub's API are."""
        return self.servers.hub_url

    def hub(self, path: str) -> dict[str, object]:
        """Return what the hub answers at ``path``.

        Raises:
            OSError: nobody answers, or with an error.
        """
        return get_json(self.hub_url + path)

    def rewards(self, path: str) -> dict[str, object]:
        """Return what the reward service answers at ``path``.

        Raises:
            OSError: nobody answers, or with an error.
        """
        return get_json(self.rewards_url + path)

    def stake(self, owner: Contributor, dids: Sequence[str], children: Children) -> None:
        """Put up the bonds of an owner's devices."""
        devices = [word for did in dids for word in ("--device", did)]
        words = ("stake", *devices, "--amount", str(_BOND_TOKENS), "--key-file", str(owner.key_file))
        children.call("stake", self.servers.rewards_command(*words))


def get_json(url: str) -> dict[str, object]:
    """Return the JSON object at ``url``.

    Raises:
        OSError: nobody answers, or with an error.
    """
    with urllib.request.urlopen(url, timeout=_HTTP_TIMEOUT_S) as answer:  # noqa: S310 - our own loopback servers
        loaded: dict[str, object] = json.load(answer)
    return loaded
