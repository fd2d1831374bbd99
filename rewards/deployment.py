"""Which contract on which chain: the one small public file that everybody needs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from eth_utils.address import is_checksum_address


class DeploymentError(Exception):
    """There is no usable deployment file; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses carry their checksum; ``deployed_block`` is where the contract's events begin."""

    chain_id: int
    contract: str
    token: str
    deployed_block: int

    def __post_init__(self) -> None:
        for address in (self.contract, self.token):
            if not is_checksum_address(address):
                raise DeploymentError(f"{address!r} is no address with a valid checksum: copy it again.")
        if self.chain_id < 1 or self.deployed_block < 0:
            raise DeploymentError("chain_id must be positive and deployed_block must not be negative.")


def load_deployment(path: Path) -> Deployment:
    """Read a deployment file.

    Raises:
        DeploymentError: it is missing or malformed.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
        return Deployment(
            int(fields["chain_id"]), str(fields["contract"]), str(fields["token"]), int(fields["deployed_block"])
        )
    except OSError as error:
        raise DeploymentError(
            f"There is no deployment file at {path}: run `cairn-rewards deploy` or name one with --deployment."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DeploymentError(f"{path} is no deployment file ({type(error).__name__}): copy it again.") from error


def save_deployment(path: Path, deployment: Deployment) -> None:
    """Write a deployment file whole or not at all.

    Raises:
        DeploymentError: the disk did not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_text(json.dumps(asdict(deployment), indent=1) + "\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        raise DeploymentError(f"{path} cannot be written: {error.strerror}.") from error
