"""The life of a bond on a real node, and the registry read back at a block."""

from collections.abc import Callable

import pytest
from eth_utils.crypto import keccak
from web3.middleware import Web3Middleware
from web3.types import RPCEndpoint, RPCResponse

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import ChainError, RefusedError
from rewards.chain.node import connect
from rewards.chain.values import Bond

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]

DOOR, ROOF = b"\x0d" * 32, b"\x0f" * 32
UNBONDING_TYPES = "(bytes32,address,uint256,uint256,uint256,uint64)"


def test_a_bond_is_staked_topped_up_unbonded_and_withdrawn(deploy: Deploy, act: Act, node: Anvil) -> None:
    contract = deploy()
    owner = act(contract, 1)
    before_wei = owner.token_balance_wei()
    owner.stake(DOOR, Wei(500))
    staked = owner.stake(DOOR, Wei(250))
    assert contract.bonds_at(staked.block_number) == (Bond(DOOR, owner.account, Wei(750), Wei(0), 0),)
    left = owner.unbond(DOOR, Wei(300))
    unbond_at_s = contract.block(left.block_number)[2] + 1_000
    assert contract.bonds_at(left.block_number) == (Bond(DOOR, owner.account, Wei(450), Wei(300), unbond_at_s),)
    with pytest.raises(RefusedError, match="still unbonding"):
        owner.withdraw(DOOR)
    node.rpc("evm_increaseTime", 1_001)
    gone = owner.withdraw(DOOR)
    assert contract.bonds_at(gone.block_number) == (Bond(DOOR, owner.account, Wei(450), Wei(0), 0),)
    assert before_wei - owner.token_balance_wei() == 450
    purses = contract.purses()
    assert purses.bonded_wei == purses.balance_wei == 450


def test_the_registry_at_a_block_does_not_see_what_came_after(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    one, other = act(contract, 1), act(contract, 2)
    first = one.stake(ROOF, Wei(10)).block_number
    other.stake(DOOR, Wei(20))
    one.unbond(ROOF, Wei(10))
    assert contract.bonds_at(first) == (Bond(ROOF, one.account, Wei(10), Wei(0), 0),)
    assert [bond.device_key for bond in contract.bonds_at(contract.block()[0])] == [DOOR, ROOF]
    assert contract.bonds_at(first - 1) == ()
    with pytest.raises(ChainError, match="does not exist yet"):
        contract.bonds_at(contract.block()[0] + 10)


def test_unbonding_in_two_steps_waits_for_the_later_one(deploy: Deploy, act: Act, node: Anvil) -> None:
    contract = deploy()
    owner = act(contract, 1)
    owner.stake(DOOR, Wei(100))
    owner.unbond(DOOR, Wei(60))
    node.rpc("evm_increaseTime", 900)
    owner.unbond(DOOR, Wei(40))
    node.rpc("evm_increaseTime", 200)
    node.rpc("evm_mine")
    with pytest.raises(RefusedError, match="still unbonding"):
        owner.withdraw(DOOR)
    node.rpc("evm_increaseTime", 900)
    node.rpc("evm_mine")
    owner.withdraw(DOOR)
    assert contract.purses().balance_wei == 0


def test_a_strangers_bond_changes_nothing_for_the_owner(deploy: Deploy, act: Act, node: Anvil) -> None:
    contract = deploy()
    owner, stranger = act(contract, 1), act(contract, 2)
    squatted = stranger.stake(DOOR, Wei(1))  # before the owner, on the owner's device
    assert contract.bonds_at(squatted.block_number) == (Bond(DOOR, stranger.account, Wei(1), Wei(0), 0),)
    owner.stake(DOOR, Wei(500))
    stranger.stake(DOOR, Wei(7_000))
    left = owner.unbond(DOOR, Wei(200))
    unbond_at_s = contract.block(left.block_number)[2] + 1_000
    node.rpc("evm_increaseTime", 900)
    stranger.unbond(DOOR, Wei(7_001))  # starts his wait anew, not the owner's
    node.rpc("evm_increaseTime", 101)
    gone = owner.withdraw(DOOR)
    owners = [bond for bond in contract.bonds_at(gone.block_number) if bond.owner == owner.account]
    assert contract.block(gone.block_number)[2] >= unbond_at_s
    assert owners == [Bond(DOOR, owner.account, Wei(300), Wei(0), 0)]
    assert owner.token_balance_wei() == 10**24 - 300
    with pytest.raises(RefusedError, match="still unbonding"):
        stranger.withdraw(DOOR)


def test_what_has_finished_unbonding_goes_to_nobody_but_its_owner(deploy: Deploy, act: Act, node: Anvil) -> None:
    contract = deploy()
    seller, buyer = act(contract, 1), act(contract, 2)
    seller.stake(DOOR, Wei(100))
    seller.unbond(DOOR, Wei(100))
    buyer.stake(DOOR, Wei(70))  # a sold device has the new owner's bond at once, beside the leaving one
    node.rpc("evm_increaseTime", 1_001)
    node.rpc("evm_mine")
    with pytest.raises(RefusedError, match=r"Nothing of the bond of 0x\w+ on device 0x\w+ is unbonding"):
        buyer.withdraw(DOOR)
    gone = seller.withdraw(DOOR)
    assert seller.token_balance_wei() == 10**24
    assert contract.bonds_at(gone.block_number) == (Bond(DOOR, buyer.account, Wei(70), Wei(0), 0),)


def test_one_owner_may_come_and_go_and_leaves_no_trace_in_the_registry(deploy: Deploy, act: Act, node: Anvil) -> None:
    contract = deploy()
    owner = act(contract, 1)
    for amount_wei in (1, 2, 3):
        owner.stake(DOOR, Wei(amount_wei))
        owner.unbond(DOOR, Wei(amount_wei))
        node.rpc("evm_increaseTime", 1_001)
        owner.withdraw(DOOR)
    assert contract.bonds_at(contract.block()[0]) == ()
    assert contract.purses().bonded_wei == 0


@pytest.mark.parametrize("lost", ["Bonded", "Unbonding"])
def test_a_node_that_lost_an_event_is_found_out(deploy: Deploy, act: Act, node: Anvil, lost: str) -> None:
    contract = deploy()
    owner = act(contract, 1)
    owner.stake(ROOF, Wei(40))
    owner.stake(DOOR, Wei(100))
    block_number = owner.unbond(DOOR, Wei(60)).block_number
    assert len(contract.bonds_at(block_number)) == 2
    signature = {"Bonded": "(bytes32,address,uint256,uint256)", "Unbonding": UNBONDING_TYPES}[lost]
    topic = "0x" + keccak(text=lost + signature).hex()
    forgetful = connect(node.url, chain_id=31_337)
    forgetful.middleware_onion.add(_forgetting(topic))
    with pytest.raises(ChainError, match="do not add up to the contract's books"):
        RewardsContract(forgetful, contract.address).bonds_at(block_number)


def _forgetting(topic: str) -> type[Web3Middleware]:
    """A node's answers without the logs of ``topic``."""

    class Forgetting(Web3Middleware):
        def response_processor(self, method: RPCEndpoint, response: RPCResponse) -> RPCResponse:
            if method == "eth_getLogs":
                response["result"] = [log for log in response["result"] if log["topics"][0] != topic]
            return response

    return Forgetting


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (lambda stranger: stranger.unbond(DOOR, Wei(1)), "BondTooSmall"),
        (lambda stranger: stranger.stake(bytes(32), Wei(1)), "ZeroDeviceKey"),
        (lambda stranger: stranger.stake(ROOF, Wei(0)), "ZeroAmount"),
        (lambda stranger: stranger.stake(ROOF, Wei(10**25)), "ERC20InsufficientBalance"),
        (lambda stranger: stranger.withdraw(DOOR), "NothingUnbonding"),
        (lambda stranger: stranger.fund(Wei(0)), "ZeroAmount"),
    ],
)
def test_what_a_stranger_may_not_do_is_refused_in_a_sentence(
    deploy: Deploy, act: Act, attempt: Callable[[RewardsAccount], object], reason: str
) -> None:
    contract = deploy()
    act(contract, 1).stake(DOOR, Wei(100))
    with pytest.raises(RefusedError) as refused:
        attempt(act(contract, 2))
    assert refused.value.reason == reason
    assert str(refused.value).endswith(".")
    assert contract.purses().bonded_wei == 100


def test_more_than_the_bond_cannot_be_unbonded(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    owner = act(contract, 1)
    owner.stake(DOOR, Wei(100))
    with pytest.raises(RefusedError, match="is 100 wei, so 101 wei cannot leave it"):
        owner.unbond(DOOR, Wei(101))


def test_rewards_never_pay_out_of_bonds(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    act(contract, 1).stake(DOOR, Wei(1_000))
    hub = act(contract, 0)
    hub.fund(Wei(99))
    purses = contract.purses()
    assert (purses.bonded_wei, purses.funded_wei, purses.balance_wei) == (1_000, 99, 1_099)
