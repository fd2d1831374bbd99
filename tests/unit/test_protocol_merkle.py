"""Trees of claims at their edges: one leaf, none, and values that do not fit."""

import pytest
from sha3 import keccak_256

from protocol.errors import MalformedError
from protocol.merkle import Leaf, StandardTree, leaf_hash, verify

CONTRACT, ALICE, BOB = b"\xcc" * 20, b"\xaa" * 20, b"\xbb" * 20
LEAF: Leaf = (1, CONTRACT, ALICE, 10**18)


def test_a_leaf_is_hashed_twice_over_four_words() -> None:
    words = [(1).to_bytes(32), bytes(12) + CONTRACT, bytes(12) + ALICE, (10**18).to_bytes(32)]
    once: bytes = keccak_256(b"".join(words)).digest()
    assert leaf_hash(LEAF) == keccak_256(once).digest()


def test_one_leaf_is_the_root_and_needs_no_proof() -> None:
    tree = StandardTree([LEAF])
    assert (tree.root, tree.proof(0), len(tree)) == (leaf_hash(LEAF), (), 1)
    assert verify(tree.root, LEAF, ())


def test_leaves_stand_in_the_order_of_their_hashes() -> None:
    leaves: list[Leaf] = [(1, CONTRACT, bytes([number]) * 20, number) for number in range(3)]
    tree = StandardTree(leaves)
    # In a heap of five nodes the two greatest hashes are children of one node, the least stands alone beside it.
    low, middle, high = sorted(range(3), key=lambda index: leaf_hash(leaves[index]))
    assert tree.proof(low)[0] == leaf_hash(leaves[middle])
    assert tree.proof(middle)[0] == leaf_hash(leaves[low])
    assert len(tree.proof(high)) == 1


def test_two_leaves_prove_each_other() -> None:
    other = (1, CONTRACT, BOB, 0)
    tree = StandardTree([LEAF, other])
    assert tree.proof(0) == (leaf_hash(other),)
    assert tree.proof(1) == (leaf_hash(LEAF),)


@pytest.mark.parametrize(
    "leaf",
    [
        (-1, CONTRACT, ALICE, 0),
        (1 << 256, CONTRACT, ALICE, 0),
        (1, CONTRACT, ALICE, -1),
        (1, CONTRACT, ALICE, 1 << 256),
        (1, CONTRACT[1:], ALICE, 0),
        (1, CONTRACT, ALICE + b"\x00", 0),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_refused(leaf: Leaf) -> None:
    with pytest.raises(MalformedError):
        StandardTree([leaf])


def test_no_leaf_and_two_leaves_of_one_account_are_refused() -> None:
    with pytest.raises(MalformedError, match="at least one"):
        StandardTree([])
    with pytest.raises(MalformedError, match="more than one"):
        StandardTree([LEAF, (1, CONTRACT, ALICE, 5)])


def test_there_is_no_proof_for_a_leaf_that_is_not_there() -> None:
    tree = StandardTree([LEAF])
    for index in (-1, 1):
        with pytest.raises(IndexError):
            tree.proof(index)


def test_a_hash_of_another_length_is_malformed_not_merely_wrong() -> None:
    with pytest.raises(MalformedError):
        verify(leaf_hash(LEAF), LEAF, [bytes(31)])
    with pytest.raises(MalformedError):
        verify(b"", LEAF, [])


def test_the_children_of_the_root_are_not_a_claim() -> None:
    # 64 bytes can never be a leaf, which has four words; hashed once they would be the root.
    tree = StandardTree([LEAF, (1, CONTRACT, BOB, 1)])
    children = b"".join(sorted((*tree.proof(0), *tree.proof(1))))
    once: bytes = keccak_256(children).digest()
    assert once == tree.root
    assert keccak_256(once).digest() != tree.root
