"""One real node for all chain tests; each test deploys its own contracts on it."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from protocol.claim import Claim
from protocol.merkle import StandardTree
from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import TEST_MNEMONIC, Anvil, start_anvil
from rewards.chain.anvil_binary import find_anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.node import connect
from rewards.chain.sender import Sender
from rewards.chain.values import ProvenClaim, Terms


@pytest.fixture(scope="session")
def anvil_program() -> Path:
    return find_anvil(os.environ)


@pytest.fixture(scope="session")
def node(anvil_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    with start_anvil(anvil_program, tmp_path_factory.mktemp("chain") / "state") as anvil:
        yield anvil


@pytest.fixture(scope="session")
def web3(node: Anvil) -> Web3:
    return connect(node.url, chain_id=31_337)


@pytest.fixture(scope="session")
def people() -> tuple[LocalAccount, ...]:
    """Six accounts that can pay fees."""
    Account.enable_unaudited_hdwallet_features()
    return tuple(Account.from_mnemonic(TEST_MNEMONIC, account_path=f"m/44'/60'/0'/0/{n}") for n in range(6))


@pytest.fixture
def deploy(web3: Web3, people: tuple[LocalAccount, ...]) -> Callable[..., RewardsContract]:
    """Deploy a token and a contract; the first ``attesters`` people attest."""

    def _deploy(*, attesters: int = 1, quorum: int = 1, challenge_s: int = 0, cap_wei: int = 10**24) -> RewardsContract:
        sender = Sender(web3, people[0])
        return deploy_rewards(
            sender,
            Terms(
                token=deploy_test_token(sender),
                attesters=tuple(bytes.fromhex(one.address[2:]) for one in people[:attesters]),
                quorum=quorum,
                challenge_s=challenge_s,
                unbonding_s=1_000,
                epoch_cap_wei=Wei(cap_wei),
            ),
        )

    return _deploy


@pytest.fixture
def act(web3: Web3, people: tuple[LocalAccount, ...]) -> Callable[[RewardsContract, int], RewardsAccount]:
    """Return person ``number`` in front of a contract, with tokens."""

    def _act(contract: RewardsContract, number: int) -> RewardsAccount:
        person = RewardsAccount(contract, Sender(web3, people[number]))
        if person.token_balance_wei() == 0:
            person.mint(Wei(10**24))
        return person

    return _act


@pytest.fixture
def plant() -> Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]:
    """Build the tree of what each account has earned so far: its root and each account's proven claim."""

    def _plant(contract: RewardsContract, earned_wei: Mapping[bytes, int]) -> tuple[bytes, dict[bytes, ProvenClaim]]:
        claims = [Claim(account, Wei(amount_wei)) for account, amount_wei in sorted(earned_wei.items())]
        address = bytes.fromhex(contract.address[2:])
        tree = StandardTree([claim.leaf(chain_id=31_337, contract=address) for claim in claims])
        return tree.root, {claim.account: ProvenClaim(claim, tree.proof(n)) for n, claim in enumerate(claims)}

    return _plant
