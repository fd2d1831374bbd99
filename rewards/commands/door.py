"""What a command stands in front of: a chain, a contract, gateways, perhaps a key. Opened as far as needed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from eth_account.signers.local import LocalAccount

from rewards.chain.acting import RewardsAccount
from rewards.chain.contract import RewardsContract
from rewards.chain.sender import Sender
from rewards.deployment import Deployment, load_deployment
from rewards.registry import ChainRegistry, open_contract, open_registry

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_MISMATCH: Final = 3


class CommandError(Exception):
    """The command cannot be done; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What goes to stdout as one JSON object, and the exit status."""

    answer: Mapping[str, object]
    status: int = EXIT_OK


@dataclass(frozen=True, slots=True)
class Door:
    """Settings as the commands need them. ``say`` is for people and never carries what a program needs."""

    rpc_url: str
    deployment_path: Path
    hub_url: str
    reports_url: str | None
    reports_folder: Path
    key: Callable[[], LocalAccount]
    say: Callable[[str], None]

    def deployment(self) -> Deployment:
        """Return which contract on which chain.

        Raises:
            DeploymentError: there is no such file.
        """
        return load_deployment(self.deployment_path)

    def contract(self) -> RewardsContract:
        """Return the contract.

        Raises:
            DeploymentError, ChainError: see there.
        """
        return open_contract(self.rpc_url, self.deployment())

    def registry(self) -> ChainRegistry:
        """Return the contract as the settlement reads it.

        Raises:
            DeploymentError, ChainError: see there.
        """
        deployment = self.deployment()
        return open_registry(open_contract(self.rpc_url, deployment), deployment)

    def acting(self) -> RewardsAccount:
        """Return the key's account in front of the contract.

        Raises:
            KeyFileError, DeploymentError, ChainError: see there.
        """
        account = self.key()
        contract = self.contract()
        return RewardsAccount(contract, Sender(contract.web3, account))
