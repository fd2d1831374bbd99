"""The Merkle tree of an epoch's claims, in the layout that OpenZeppelin calls ``standard-v1``.

A leaf is ``keccak256(keccak256(abi.encode(...)))``: hashed twice, so that no inner node (one hash over 64 bytes) can be
passed off as a leaf. Leaf hashes are sorted and laid, in reverse, at the end of a heap of 2n - 1 nodes; a pair is
hashed in ascending order, so a proof needs no left and right. The same leaves give the same root in any order.

Vectors: tests/vectors/merkle. Invariants: tests/property/test_merkle_properties.py.
"""

from collections.abc import Sequence
from typing import Final

from sha3 import keccak_256

from protocol.errors import MalformedError

Leaf = tuple[int, bytes, bytes, int]  # see protocol.claim.LEAF_TYPES: uint256, address, address, uint256

_HASH_BYTES: Final = 32
_ADDRESS_BYTES: Final = 20
_ADDRESS_PADDING: Final = bytes(12)
_ACCOUNT: Final = 2  # the place of the account in a leaf


class StandardTree:
    """A tree over at least one leaf, at most one for an account."""

    __slots__ = ("_leaf_at", "_nodes")

    def __init__(self, leaves: Sequence[Leaf]) -> None:
        """Hash ``leaves``; proofs are asked for by their index in this sequence.

        Raises:
            MalformedError: no leaf, two leaves for one account, or a value that does not fit its type.
        """
        if not leaves:
            raise MalformedError("a tree needs at least one leaf")
        if len({leaf[_ACCOUNT] for leaf in leaves}) != len(leaves):
            raise MalformedError("an account has more than one leaf")
        hashes = [leaf_hash(leaf) for leaf in leaves]
        last = 2 * len(hashes) - 2
        nodes = [b""] * (last + 1)
        leaf_at = [0] * len(hashes)
        for rank, index in enumerate(sorted(range(len(hashes)), key=hashes.__getitem__)):
            nodes[last - rank] = hashes[index]
            leaf_at[index] = last - rank
        for at in range(len(hashes) - 2, -1, -1):
            nodes[at] = _pair_hash(nodes[2 * at + 1], nodes[2 * at + 2])
        self._nodes = nodes
        self._leaf_at = leaf_at

    @property
    def root(self) -> bytes:
        """The 32 bytes that go on chain."""
        return self._nodes[0]

    def proof(self, index: int) -> tuple[bytes, ...]:
        """Return the siblings (32 bytes each) from the leaf at ``index`` upward; none in a tree of one leaf.

        Raises:
            IndexError: there is no such leaf.
        """
        if index < 0:
            raise IndexError(index)
        at = self._leaf_at[index]
        siblings: list[bytes] = []
        while at > 0:
            siblings.append(self._nodes[at + 1 if at % 2 else at - 1])
            at = (at - 1) // 2
        return tuple(siblings)

    def __len__(self) -> int:
        return len(self._leaf_at)


def verify(root: bytes, leaf: Leaf, proof: Sequence[bytes]) -> bool:
    """Say whether ``leaf`` stands under ``root``, as the contract decides it.

    Raises:
        MalformedError: a hash does not have 32 bytes, or a value of the leaf does not fit its type.
    """
    if any(len(node) != _HASH_BYTES for node in (root, *proof)):
        raise MalformedError("the root and every step of a proof have 32 bytes")
    node = leaf_hash(leaf)
    for sibling in proof:
        node = _pair_hash(node, sibling)
    return node == root


def leaf_hash(leaf: Leaf) -> bytes:
    """Return the 32 bytes that stand for ``leaf`` in the tree.

    Raises:
        MalformedError: a value does not fit its type.
    """
    return _keccak(_keccak(_abi_encode(leaf)))


def _abi_encode(leaf: Leaf) -> bytes:
    """The Solidity ABI of four static values: one 32-byte word each, addresses right-aligned."""
    chain_id, contract, account, amount = leaf
    if len(contract) != _ADDRESS_BYTES or len(account) != _ADDRESS_BYTES:
        raise MalformedError("an address has 20 bytes")
    try:
        return b"".join(
            (chain_id.to_bytes(32), _ADDRESS_PADDING, contract, _ADDRESS_PADDING, account, amount.to_bytes(32))
        )
    except OverflowError as error:
        raise MalformedError(f"not a uint256: {chain_id} or {amount}") from error


def _pair_hash(one: bytes, other: bytes) -> bytes:
    return _keccak(one + other if one < other else other + one)


def _keccak(message: bytes) -> bytes:
    digest: bytes = keccak_256(message).digest()
    return digest
