"""Put the contracts on a chain. What they are deployed with can never be changed."""

from collections.abc import Sequence
from typing import Any

from eth_abi.abi import encode
from eth_utils.address import to_canonical_address

from rewards.chain.artifact import load_artifact
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import ChainError
from rewards.chain.sender import Sender
from rewards.chain.values import Terms


def deploy_test_token(sender: Sender) -> bytes:
    """Deploy the token anyone may mint and return its address (20 bytes).

    Raises:
        ChainError: the deployment failed.
    """
    return _deploy(sender, "CairnTestToken", (), ())[0]


def deploy_rewards(sender: Sender, terms: Terms) -> RewardsContract:
    """Deploy the contract with ``terms``.

    Raises:
        RefusedError: the contract does not accept the terms (reason ``BadConfiguration``).
        ChainError: the deployment failed.
    """
    kinds = ("address", "address[]", "uint256", "uint64", "uint64", "uint256")
    values = (
        terms.token,
        list(terms.attesters),
        terms.quorum,
        terms.challenge_s,
        terms.unbonding_s,
        terms.epoch_cap_wei,
    )
    address, block_number = _deploy(sender, "CairnRewards", kinds, values)
    contract = RewardsContract(sender.web3, "0x" + address.hex(), first_block=block_number)
    contract.require_code()
    return contract


def _deploy(sender: Sender, name: str, kinds: Sequence[str], values: Sequence[Any]) -> tuple[bytes, int]:
    mined, receipt = sender.send(to=None, calldata=load_artifact(name).bytecode + encode(kinds, values))
    address = receipt["contractAddress"]
    if address is None:
        raise ChainError(f"The node does not say where it put {name}: try again.")
    return bytes(to_canonical_address(address)), mined.block_number
