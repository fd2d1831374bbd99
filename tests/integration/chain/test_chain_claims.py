"""Attested roots and the claims against them, on a real node."""

from collections.abc import Callable, Mapping

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol.claim import LEAF_TYPES, Claim
from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import RefusedError
from rewards.chain.values import Attestation, ProvenClaim

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]
Plant = Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]

ANN, BEN, CAT = (bytes([n]) * 20 for n in (0xA1, 0xB2, 0xC3))


def said(epoch: int, root: bytes, total_wei: int) -> Attestation:
    return Attestation(epoch, root, Wei(total_wei), b"\x01" * 32, b"\x02" * 32, registry_block=7)


def test_a_claim_pays_what_the_tree_says_and_a_second_one_only_the_difference(
    deploy: Deploy, act: Act, plant: Plant
) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50, CAT: 7})
    attested = hub.attest(said(1, root, 157))
    assert attested.posted is not None
    assert attested.posted.attestation == said(1, root, 157)
    assert hub.claim(claims[ANN]).amounts_wei == {ANN: 100}
    assert hub.token_balance_wei(ANN) == 100

    later_root, later = plant(contract, {ANN: 130, BEN: 50, CAT: 7})
    hub.attest(said(2, later_root, 187))
    assert hub.claim(later[ANN]).amounts_wei == {ANN: 30}
    assert contract.claimed_wei(ANN) == hub.token_balance_wei(ANN) == 130
    assert [posted.attestation.epoch for posted in contract.roots()] == [1, 2]
    assert contract.roots()[-1].history_hash == contract.history_hash()


def test_epochs_missed_are_made_up_for_by_one_claim(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    for epoch in range(5, 9):
        hub.attest(said(epoch, plant(contract, {ANN: 10 * epoch, BEN: 1})[0], 10 * epoch + 1))
    _, claims = plant(contract, {ANN: 80, BEN: 1})
    assert hub.claim(claims[ANN]).total_wei == 80


def test_the_same_claim_twice_pays_once(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    hub.claim(claims[ANN])
    with pytest.raises(RefusedError, match="already been paid 100 wei") as refused:
        hub.claim(claims[ANN])
    assert refused.value.reason == "NothingToClaim"
    assert hub.token_balance_wei(ANN) == 100


def test_a_batch_passes_over_who_has_been_paid_and_pays_the_others(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50, CAT: 7})
    hub.attest(said(1, root, 157))
    hub.claim(claims[BEN])
    assert hub.claim_many(list(claims.values())).amounts_wei == {ANN: 100, CAT: 7}
    assert hub.claim_many(list(claims.values())).total_wei == 0
    assert contract.purses().claimed_wei == 157


def test_a_batch_that_names_an_account_twice_pays_it_once(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    assert hub.claim_many([claims[ANN], claims[ANN]]).total_wei == 100
    assert hub.token_balance_wei(ANN) == 100


@pytest.mark.parametrize("change", ["amount", "account", "proof", "no proof", "older tree"])
def test_a_claim_the_active_tree_does_not_hold_is_refused(deploy: Deploy, act: Act, plant: Plant, change: str) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50, CAT: 7})
    hub.attest(said(1, root, 157))
    honest = claims[ANN]
    wrong = {
        "amount": ProvenClaim(Claim(ANN, Wei(101)), honest.proof),
        "account": ProvenClaim(Claim(CAT, Wei(100)), honest.proof),
        "proof": ProvenClaim(honest.claim, tuple(reversed((*honest.proof, b"\x05" * 32)))),
        "no proof": ProvenClaim(honest.claim, ()),
        "older tree": honest,
    }[change]
    if change == "older tree":
        hub.attest(said(2, plant(contract, {ANN: 101, BEN: 50, CAT: 7})[0], 158))
    with pytest.raises(RefusedError, match="The proof does not show") as refused:
        hub.claim(wrong)
    assert refused.value.reason == "InvalidProof"
    with pytest.raises(RefusedError, match="The proof does not show"):
        hub.claim_many([wrong])
    assert contract.purses().claimed_wei == 0


def test_an_inner_node_cannot_be_passed_off_as_a_leaf(deploy: Deploy, act: Act, plant: Plant) -> None:
    """The 64 bytes under the root would read as a leaf (account, amount) if leaves were hashed once."""
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(10**24 - 1))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    left, right = claims[BEN].proof[0], claims[ANN].proof[0]
    for first, second in ((left, right), (right, left)):
        forged = ProvenClaim(Claim(first[12:], Wei(int.from_bytes(second))), ())
        with pytest.raises(RefusedError, match="The proof does not show"):
            hub.claim(forged)


def test_a_leaf_hashed_only_once_is_no_leaf(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    values = Claim(ANN, Wei(100)).leaf(chain_id=31_337, contract=bytes.fromhex(contract.address[2:]))
    once = keccak(encode(LEAF_TYPES, values))
    hub.attest(said(1, once, 100))
    with pytest.raises(RefusedError, match="The proof does not show"):
        hub.claim(ProvenClaim(Claim(ANN, Wei(100)), ()))
    hub.attest(said(2, keccak(once), 100))
    assert hub.claim(ProvenClaim(Claim(ANN, Wei(100)), ())).total_wei == 100


def test_a_tree_for_another_contract_pays_nothing_here(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract, other = deploy(), deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(other, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    with pytest.raises(RefusedError, match="The proof does not show"):
        hub.claim(claims[ANN])


def test_nothing_is_paid_before_the_challenge_window_has_passed(
    deploy: Deploy, act: Act, plant: Plant, node: Anvil
) -> None:
    contract = deploy(challenge_s=600)
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    assert contract.active_root() is None
    pending = contract.pending_root()
    assert pending is not None
    assert pending.root == root
    with pytest.raises(RefusedError, match="No root is active yet"):
        hub.claim(claims[ANN])
    with pytest.raises(RefusedError, match="Epoch 1 is in its challenge window"):
        hub.attest(said(2, root, 150))
    node.rpc("evm_increaseTime", 601)
    node.rpc("evm_mine")
    active = contract.active_root()
    assert active is not None
    assert (active.epoch, active.root, active.cumulative_total_wei) == (1, root, 150)
    assert contract.pending_root() is None
    assert hub.claim(claims[ANN]).total_wei == 100


def test_the_earlier_root_still_pays_while_the_next_is_pending(
    deploy: Deploy, act: Act, plant: Plant, node: Anvil
) -> None:
    contract = deploy(challenge_s=600)
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 150))
    node.rpc("evm_increaseTime", 601)
    node.rpc("evm_mine")
    later_root, later = plant(contract, {ANN: 300, BEN: 50})
    hub.attest(said(2, later_root, 350))
    assert hub.claim(claims[ANN]).total_wei == 100
    with pytest.raises(RefusedError, match="The proof does not show"):
        hub.claim(later[ANN])
    node.rpc("evm_increaseTime", 601)
    node.rpc("evm_mine")
    assert hub.claim(later[ANN]).total_wei == 200


def test_a_tree_that_pays_more_than_its_total_stops_at_the_total(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    root, claims = plant(contract, {ANN: 100, BEN: 50})
    hub.attest(said(1, root, 120))
    hub.claim(claims[ANN])
    with pytest.raises(RefusedError, match="more than the root's total of 120"):
        hub.claim(claims[BEN])
    with pytest.raises(RefusedError, match="more than the root's total of 120"):
        hub.claim_many([claims[BEN]])
