"""A token that keeps a fee or calls back gains nothing: both purses stay exact."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from eth_account.signers.local import LocalAccount
from web3 import Web3
from web3.contract import Contract

import rewards.contracts
from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.contract import RewardsContract
from rewards.chain.deploy import deploy_rewards
from rewards.chain.errors import RefusedError
from rewards.chain.sender import Sender
from rewards.chain.values import Attestation, ProvenClaim, Terms

Plant = Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]

SOURCES = Path(str(rewards.contracts.__file__)).parent
DEVICE = b"\x0d" * 32
COMPILE = """
const [, folder, source] = process.argv;
const fs = require("fs");
const solc = require(folder + "/node_modules/solc");
const input = {
  language: "Solidity",
  sources: { "HostileToken.sol": { content: fs.readFileSync(source, "utf8") } },
  settings: { evmVersion: "cancun", outputSelection: { "*": { HostileToken: ["abi", "evm.bytecode.object"] } } },
};
const read = (path) => ({ contents: fs.readFileSync(folder + "/node_modules/" + path, "utf8") });
const made = JSON.parse(solc.compile(JSON.stringify(input), { import: read })).contracts["HostileToken.sol"];
console.log(JSON.stringify({ abi: made.HostileToken.abi, bytecode: made.HostileToken.evm.bytecode.object }));
"""


@pytest.fixture(scope="module")
def compiled() -> dict[str, Any]:
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    if node is None or not (SOURCES / "node_modules" / "solc").is_dir():
        pytest.fail("the compiler is not installed: run `make setup`, which installs node and rewards/contracts")
    source = Path(__file__).with_name("HostileToken.sol")
    done = subprocess.run(
        [node, "-e", COMPILE, str(SOURCES), str(source)], check=True, capture_output=True, timeout=120
    )
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


@pytest.fixture
def market(compiled: dict[str, Any], web3: Web3, people: tuple[LocalAccount, ...]) -> tuple[RewardsAccount, Contract]:
    """A contract that pays in the hostile token, with 500 wei bonded and 1,000 funded while it still behaves."""
    sender = Sender(web3, people[0])
    receipt = sender.send(to=None, calldata=bytes.fromhex(compiled["bytecode"]))[1]
    address = receipt["contractAddress"]
    assert address is not None
    token: Contract = web3.eth.contract(address=address, abi=compiled["abi"])
    terms = Terms(bytes.fromhex(address[2:]), (sender.account,), 1, 0, 0, Wei(10**6))
    owner = RewardsAccount(deploy_rewards(sender, terms), sender)
    owner.mint(Wei(10_000))
    owner.stake(DEVICE, Wei(500))
    owner.fund(Wei(1_000))
    return owner, token


def turn(owner: RewardsAccount, token: Contract, *, fee_wei: int = 0, callback: str = "0x") -> None:
    calldata = token.encode_abi("turn", args=[fee_wei, owner.contract.address, callback])
    owner.sender.send(to=token.address, calldata=bytes.fromhex(calldata[2:]))


def test_a_fee_on_transfer_is_noticed_before_it_is_booked(market: tuple[RewardsAccount, Contract]) -> None:
    owner, token = market
    turn(owner, token, fee_wei=3)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: owner.stake(DEVICE, Wei(100)),
        lambda: owner.fund(Wei(100)),
    )
    for attempt in attempts:
        with pytest.raises(RefusedError, match="The token delivered 97 of 100 wei"):
            attempt()
    purses = owner.contract.purses()
    assert (purses.bonded_wei, purses.funded_wei, purses.balance_wei) == (500, 1_000, 1_500)


def test_calling_back_in_the_middle_of_a_transfer_is_refused(
    market: tuple[RewardsAccount, Contract], plant: Plant
) -> None:
    owner, token = market
    account = b"\xa1" * 20
    root, claims = plant(owner.contract, {account: 400, b"\xb2" * 20: 1})
    owner.attest(Attestation(1, root, Wei(401), b"\x01" * 32, b"\x02" * 32, 1))
    owner.unbond(DEVICE, Wei(200))
    calls = owner.contract.calls
    proof = list(claims[account].proof)
    callbacks = (
        calls.encode_abi("withdraw", args=[DEVICE]),
        calls.encode_abi("claim", args=[Web3.to_checksum_address("0x" + account.hex()), 400, proof]),
        calls.encode_abi("claimMany", args=[[]]),
        calls.encode_abi("stake", args=[DEVICE, 1]),
        calls.encode_abi("fund", args=[1]),
    )
    attempts: tuple[Callable[[], object], ...] = (
        lambda: owner.withdraw(DEVICE),
        lambda: owner.claim(claims[account]),
        lambda: owner.claim_many([claims[account]]),
        lambda: owner.stake(DEVICE, Wei(10)),
        lambda: owner.fund(Wei(10)),
    )
    for callback in callbacks:
        turn(owner, token, callback=callback)
        for attempt in attempts:
            with pytest.raises(RefusedError, match="called from inside its own call"):
                attempt()
    turn(owner, token)
    assert owner.claim(claims[account]).total_wei == 400
    owner.withdraw(DEVICE)
    purses = owner.contract.purses()
    assert (purses.bonded_wei, purses.claimed_wei, purses.balance_wei) == (300, 400, 900)
