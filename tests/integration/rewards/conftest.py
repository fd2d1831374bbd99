"""A town for every test: a contract nobody has used, on one real node, and a hub in a bottle behind loopback HTTP.

The contract is deployed and funded once; after every test the chain goes back to that block.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import TEST_MNEMONIC, Anvil, start_anvil
from rewards.chain.anvil_binary import find_anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.node import checksum, connect
from rewards.chain.sender import Sender
from rewards.chain.values import Terms
from rewards.gateway import Gateway
from rewards.registry import ChainRegistry
from tests.support.reward_story import CHAIN_ID, TOKEN_WEI, Bottle, Publisher, Town


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with start_anvil(find_anvil(os.environ), tmp_path_factory.mktemp("chain") / "state") as anvil:
        yield anvil


@pytest.fixture(scope="session")
def web3(node: Anvil) -> Web3:
    return connect(node.url, chain_id=CHAIN_ID)


@pytest.fixture(scope="session")
def people() -> tuple[LocalAccount, ...]:
    Account.enable_unaudited_hdwallet_features()
    return tuple(Account.from_mnemonic(TEST_MNEMONIC, account_path=f"m/44'/60'/0'/0/{n}") for n in range(4))


@pytest.fixture(scope="session")
def deployed(web3: Web3, people: tuple[LocalAccount, ...]) -> RewardsContract:
    """Deploy, fund with 1,000 tokens and cap an epoch at 100; Alice and Bob have tokens but no bonds yet."""
    senders = hub, *_ = [Sender(web3, person) for person in people[:3]]
    contract = deploy_rewards(
        hub,
        Terms(
            token=deploy_test_token(hub),
            attesters=(hub.account,),
            quorum=1,
            challenge_s=0,
            unbonding_s=1_000,
            epoch_cap_wei=Wei(100 * TOKEN_WEI),
        ),
    )
    for sender in senders:
        RewardsAccount(contract, sender).mint(Wei(10_000 * TOKEN_WEI))
    RewardsAccount(contract, hub).fund(Wei(1_000 * TOKEN_WEI))
    return contract


@pytest.fixture
def town(
    node: Anvil, web3: Web3, people: tuple[LocalAccount, ...], deployed: RewardsContract, tmp_path: Path
) -> Iterator[Town]:
    """The deployed contract as nobody has used it yet, seen with fresh eyes."""
    before = node.rpc("evm_snapshot")
    contract = RewardsContract(web3, deployed.address, first_block=deployed.first_block)
    hub_account, alices, bobs = (RewardsAccount(contract, Sender(web3, person)) for person in people[:3])
    deployment = tmp_path / "deployment.json"
    deployment.write_text(
        json.dumps(
            {
                "chain_id": CHAIN_ID,
                "contract": contract.address,
                "token": checksum(contract.terms().token),
                "deployed_block": contract.first_block,
            }
        )
    )
    publisher = Publisher(started_at_ms=contract.block()[2] * 1_000 + 5_000)
    bottle = Bottle(publisher)
    gateway = Gateway(bottle.url, timeout_s=5.0, pause=lambda _: None)
    registry = ChainRegistry(contract, chain_id=CHAIN_ID, epoch_cap_wei=contract.terms().epoch_cap_wei)
    yield Town(node, contract, hub_account, alices, bobs, publisher, bottle, gateway, registry, deployment)
    gateway.close()
    bottle.close()
    assert node.rpc("evm_revert", before) is True
