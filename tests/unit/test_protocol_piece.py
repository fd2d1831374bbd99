"""Piece commitments: the published values of known payloads, and CIDs that are none."""

import hashlib
import tracemalloc

import pytest

from protocol.cid import RAW, Cid
from protocol.errors import MalformedError
from protocol.piece import Piece, PieceHasher

ROOT = hashlib.sha256(b"a root").digest()[:31] + b"\x3f"


def test_a_payload_of_zeros_has_the_published_commitment() -> None:
    # The root over 2 KiB of zeros, which every Filecoin implementation carries as a constant.
    hasher = PieceHasher()
    hasher.update(bytes(2_032))
    assert str(hasher.piece().cid_v1) == "baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy"


def test_nothing_at_all_is_a_quad_of_padding() -> None:
    piece = PieceHasher().piece()
    assert (piece.size_bytes, piece.height, piece.padding) == (0, 2, 127)


@pytest.mark.parametrize(
    ("size_bytes", "height", "padding"),
    [(1, 2, 126), (127, 2, 0), (128, 3, 126), (254, 3, 0), (255, 4, 253), (127 * 8_192, 15, 0)],
)
def test_the_tree_is_the_smallest_that_holds_the_payload(size_bytes: int, height: int, padding: int) -> None:
    hasher = PieceHasher()
    hasher.update(bytes(size_bytes))
    piece = hasher.piece()
    assert (piece.height, piece.padding, piece.size_bytes) == (height, padding, size_bytes)


def test_any_buffer_is_taken() -> None:
    parts = (b"\x01\x02", bytearray(b"\x03"), memoryview(b"\x04\x05"))
    hasher, whole = PieceHasher(), PieceHasher()
    for part in parts:
        hasher.update(part)
    whole.update(b"\x01\x02\x03\x04\x05")
    assert hasher.piece() == whole.piece()


def test_memory_stays_flat_however_long_the_payload_is() -> None:
    megabyte = bytes(1 << 20)
    hasher = PieceHasher()
    hasher.update(megabyte)
    tracemalloc.start()
    for _ in range(3):
        hasher.update(megabyte)
    _, short_peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(9):
        hasher.update(megabyte)
    _, long_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert long_peak < short_peak + (1 << 20)


@pytest.mark.parametrize(
    ("root", "height", "padding"),
    [
        (ROOT[:31], 2, 0),
        (ROOT[:31] + b"\x40", 2, 0),
        (ROOT, 1, 0),
        (ROOT, 51, 0),
        (ROOT, 2, 128),
        (ROOT, 2, -1),
        (ROOT, 3, 127),  # a smaller tree would have done
    ],
)
def test_a_piece_that_no_payload_has_cannot_be_built(root: bytes, height: int, padding: int) -> None:
    with pytest.raises(MalformedError):
        Piece(root, height, padding)


def test_only_a_piece_cid_is_read_as_one() -> None:
    good = Piece(ROOT, 3, 126)
    assert Piece.of_cid(good.cid) == good
    bad_digest = b"\x01\x55\x91\x20\x02\x7e\x03"
    for other in (Cid.of(b"", RAW), good.cid_v1, Cid(bad_digest), Cid(b"\x01\x55\x91\x20\x00")):
        with pytest.raises(MalformedError):
            Piece.of_cid(other)
