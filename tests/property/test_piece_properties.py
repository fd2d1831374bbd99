"""Piece commitments against a slow one that follows the specification bit by bit."""

import hashlib
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.piece import Piece, PieceHasher

_MASK = (1 << 254) - 1


sizes, seeds = st.integers(0, 1_300), st.integers(0, 1 << 32)
payloads = st.builds(lambda size_bytes, seed: Random(seed).randbytes(size_bytes), sizes, seeds)


def _slow_piece(payload: bytes) -> tuple[bytes, int, int]:
    """Root, height and padding: pad to 127 * 2**k, cut the bit string into 254 bits, hash pairwise."""
    room = 127
    while room < len(payload):
        room *= 2
    bits = int.from_bytes(payload.ljust(room, b"\x00"), "little")
    nodes = [((bits >> (254 * index)) & _MASK).to_bytes(32, "little") for index in range(room // 127 * 4)]
    height = 0
    while len(nodes) > 1:
        digests = (hashlib.sha256(nodes[at] + nodes[at + 1]).digest() for at in range(0, len(nodes), 2))
        nodes = [digest[:31] + bytes([digest[31] & 0x3F]) for digest in digests]
        height += 1
    return nodes[0], height, room - len(payload)


def _piece(*parts: bytes) -> Piece:
    hasher = PieceHasher()
    for part in parts:
        hasher.update(part)
    return hasher.piece()


@given(payload=payloads)
def test_the_fast_commitment_is_the_slow_one(payload: bytes) -> None:
    piece = _piece(payload)
    assert (piece.root, piece.height, piece.padding) == _slow_piece(payload)
    assert piece.size_bytes == len(payload)


@given(parts=st.lists(payloads, max_size=6))
def test_how_the_payload_was_cut_leaves_no_trace(parts: list[bytes]) -> None:
    assert _piece(*parts) == _piece(b"".join(parts))


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 2_300_000), max_size=5), byte=st.integers(1, 255))
def test_how_a_long_payload_was_cut_leaves_no_trace(cuts: list[int], byte: int) -> None:
    payload = bytes([byte, 0, 7]) * 766_667  # more than two full subtrees
    edges = [0, *sorted(cuts), len(payload)]
    parts = [payload[start:end] for start, end in pairwise(edges)]
    assert _piece(*parts) == _piece(payload)


@given(payload=payloads, more=payloads)
def test_asking_early_changes_nothing(payload: bytes, more: bytes) -> None:
    hasher = PieceHasher()
    hasher.update(payload)
    assert hasher.piece() == hasher.piece() == _piece(payload)
    hasher.update(more)
    assert hasher.piece() == _piece(payload + more)


@given(payload=payloads, zeros=st.integers(1, 200))
def test_zeros_at_the_end_are_not_lost(payload: bytes, zeros: int) -> None:
    assert _piece(payload).cid != _piece(payload + bytes(zeros)).cid


@given(payload=payloads)
def test_a_piece_comes_back_from_its_cid(payload: bytes) -> None:
    piece = _piece(payload)
    assert Piece.of_cid(piece.cid) == piece
