"""Trees of claims: one root for one set of leaves, a proof for each and for nothing else."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.claim import Claim
from protocol.errors import MalformedError
from protocol.merkle import Leaf, StandardTree, leaf_hash, verify
from protocol.units import Wei

CONTRACT = b"\x5f" * 20
amounts = st.integers(0, 2**256 - 1).map(Wei)
accounts = st.binary(min_size=20, max_size=20)
claims = st.dictionaries(accounts, amounts, min_size=1, max_size=20).map(
    lambda owed: [Claim(account, amount) for account, amount in owed.items()]
)


def _leaves(owed: list[Claim]) -> list[Leaf]:
    return [claim.leaf(chain_id=31_337, contract=CONTRACT) for claim in owed]


@dataclass(frozen=True)
class _Forgery:
    leaf: Leaf
    proof: tuple[bytes, ...]


@given(owed=claims, draw=st.data())
def test_the_order_of_the_leaves_leaves_no_trace(owed: list[Claim], draw: st.DataObject) -> None:
    shuffled = draw.draw(st.permutations(owed))
    tree, other = StandardTree(_leaves(owed)), StandardTree(_leaves(shuffled))
    assert other.root == tree.root
    assert other.proof(shuffled.index(owed[0])) == tree.proof(0)


@given(owed=claims)
def test_every_leaf_has_a_proof_and_no_proof_fits_another_leaf(owed: list[Claim]) -> None:
    leaves = _leaves(owed)
    tree = StandardTree(leaves)
    for index, leaf in enumerate(leaves):
        for other, proof in ((at, tree.proof(at)) for at in range(len(leaves))):
            assert verify(tree.root, leaf, proof) == (other == index)


@given(owed=claims, draw=st.data())
def test_a_changed_claim_or_proof_is_refused(owed: list[Claim], draw: st.DataObject) -> None:
    leaves = _leaves(owed)
    tree = StandardTree(leaves)
    index = draw.draw(st.integers(0, len(leaves) - 1))
    honest = _Forgery(leaves[index], tree.proof(index))
    chain_id, contract, account, amount = honest.leaf
    forged = draw.draw(
        st.one_of(
            amounts.map(lambda more: replace(honest, leaf=(chain_id, contract, account, more))),
            accounts.map(lambda thief: replace(honest, leaf=(chain_id, contract, thief, amount))),
            accounts.map(lambda other: replace(honest, leaf=(chain_id, other, account, amount))),
            st.binary(min_size=32, max_size=32).map(lambda step: replace(honest, proof=(*honest.proof, step))),
            st.just(replace(honest, proof=honest.proof[1:])),
        )
    )
    assert verify(tree.root, forged.leaf, forged.proof) == (forged == honest)


@given(owed=claims, more=amounts)
def test_another_claim_is_another_root(owed: list[Claim], more: Wei) -> None:
    changed = [replace(owed[0], cumulative_wei=more), *owed[1:]]
    assert (StandardTree(_leaves(changed)).root == StandardTree(_leaves(owed)).root) == (changed == owed)


@given(owed=claims, index=st.integers(0, 19), more=amounts)
def test_an_account_has_one_leaf(owed: list[Claim], index: int, more: Wei) -> None:
    twice = [*owed, replace(owed[index % len(owed)], cumulative_wei=more)]
    with pytest.raises(MalformedError):
        StandardTree(_leaves(twice))


@given(owed=claims)
def test_no_inner_node_is_a_leaf(owed: list[Claim]) -> None:
    leaves = _leaves(owed)
    tree = StandardTree(leaves)
    inner = {tree.root} if len(leaves) > 1 else set()
    assert not inner & {leaf_hash(leaf) for leaf in leaves}
