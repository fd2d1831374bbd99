"""Piece commitments: the name under which Filecoin proves that bytes are still stored (CommP; FRC-0069, PieceCIDv2).

The bytes are padded with zeros to 127 * 2**k, spread so that every 254 bits become 256 (*fr32*), cut into 32-byte
leaves and hashed pairwise with SHA-256, of which the two highest bits are cleared (*sha2-256-trunc254-padded*).

Memory stays flat: full subtrees of 8,192 * 127 bytes are reduced to one node at once, and one node a level is kept.
Vectors: tests/vectors/piece. Invariants: tests/property/test_piece_properties.py.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from protocol.cid import RAW, Cid
from protocol.errors import MalformedError
from protocol.varint import decode_varint, encode_varint

FR32_SHA256_TRUNC254_PADBINTREE: Final = 0x1011  # the multihash of a PieceCIDv2
_FIL_COMMITMENT_UNSEALED: Final = 0xF101  # the codec of a PieceCIDv1 ...
_SHA2_256_TRUNC254_PADDED: Final = 0x1012  # ... and its multihash

_QUAD_BYTES: Final = 127  # these become 128 bytes, four leaves
_LEAF_BYTES: Final = 32
_QUAD_HEIGHT: Final = 2
_CHUNK_BYTES: Final = _QUAD_BYTES * 8_192
_CHUNK_HEIGHT: Final = 15  # 2**15 leaves
_MAX_HEIGHT: Final = 50  # 32 PiB; the largest piece a provider takes today has height 25

_Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece commitment.

    Attributes:
        root: 32 bytes, the root of the piece's tree.
        height: levels above the leaves; the tree has ``2**height`` leaves.
        padding: zero bytes put behind the payload before it was spread.
    """

    root: bytes
    height: int
    padding: int

    def __post_init__(self) -> None:
        if len(self.root) != _LEAF_BYTES or self.root[-1] > 0x3F:
            raise MalformedError("the root of a piece has 32 bytes, the highest two bits clear")
        if not _QUAD_HEIGHT <= self.height <= _MAX_HEIGHT:
            raise MalformedError(f"piece of height {self.height}")
        room = _room_bytes(self.height)
        # One payload, one piece: the smallest tree that holds it.
        most = room if self.height == _QUAD_HEIGHT else room // 2 - 1
        if not 0 <= self.padding <= most:
            raise MalformedError(f"a piece of height {self.height} cannot have {self.padding} bytes of padding")

    @classmethod
    def of_cid(cls, cid: Cid) -> Self:
        """Read a PieceCIDv2.

        Raises:
            MalformedError: any other CID.
        """
        if cid.codec != RAW or cid.hash_code != FR32_SHA256_TRUNC254_PADBINTREE:
            raise MalformedError(f"not a piece CID (version 2): {cid}")
        padding, offset = decode_varint(cid.digest)
        return cls(cid.digest[offset + 1 :], int.from_bytes(cid.digest[offset : offset + 1]), padding)

    @property
    def size_bytes(self) -> int:
        """The length of the payload."""
        return _room_bytes(self.height) - self.padding

    @property
    def cid(self) -> Cid:
        """The PieceCIDv2 (``bafkzcib...``): commits to the payload's length as well."""
        digest = encode_varint(self.padding) + bytes([self.height]) + self.root
        return Cid(_prefix(RAW, FR32_SHA256_TRUNC254_PADBINTREE, len(digest)) + digest)

    @property
    def cid_v1(self) -> Cid:
        """The older PieceCIDv1 (``baga6ea4seaq...``): the root alone."""
        return Cid(_prefix(_FIL_COMMITMENT_UNSEALED, _SHA2_256_TRUNC254_PADDED, len(self.root)) + self.root)


class PieceHasher:
    """Computes the commitment of bytes that arrive in parts of any length."""

    def __init__(self) -> None:
        """Begin an empty payload."""
        self._pending = bytearray()  # less than a chunk
        self._size_bytes = 0
        self._nodes: dict[int, bytes] = {}  # by height: roots of full subtrees that wait for their right neighbour

    def update(self, part: bytes | bytearray | memoryview) -> None:
        """Append ``part`` to the payload."""
        view = memoryview(part).cast("B")
        self._size_bytes += len(view)
        if self._pending:
            room = _CHUNK_BYTES - len(self._pending)
            self._pending += view[:room]
            view = view[room:]
            if len(self._pending) == _CHUNK_BYTES:
                self._push(bytes(self._pending))
                self._pending.clear()
        whole = len(view) - len(view) % _CHUNK_BYTES
        for start in range(0, whole, _CHUNK_BYTES):
            self._push(view[start : start + _CHUNK_BYTES])
        self._pending += view[whole:]

    def piece(self) -> Piece:
        """Return the commitment of everything appended so far; more may follow."""
        quads = max(1, -(-self._size_bytes // _QUAD_BYTES))
        height = _QUAD_HEIGHT + (quads - 1).bit_length()
        padding = _room_bytes(height) - self._size_bytes
        nodes = dict(self._nodes)
        tail = bytes(self._pending) + bytes(-len(self._pending) % _QUAD_BYTES)
        if not nodes:
            return Piece(_subtree(tail or bytes(_QUAD_BYTES), height), height, padding)
        if tail:
            _carry(nodes, _subtree(tail, _CHUNK_HEIGHT), _CHUNK_HEIGHT)
        level = min(nodes)
        node = nodes[level]
        for at in range(level, height):
            left = nodes.get(at) if at != level else None
            node = _pair(node, _ZERO_NODES[at]) if left is None else _pair(left, node)
        return Piece(node, height, padding)

    def _push(self, chunk: bytes | memoryview) -> None:
        _carry(self._nodes, _subtree(chunk, _CHUNK_HEIGHT), _CHUNK_HEIGHT)


def _room_bytes(height: int) -> int:
    """How much payload a tree of ``height`` holds."""
    return _QUAD_BYTES << (height - _QUAD_HEIGHT)


def _prefix(codec: int, hash_code: int, digest_bytes: int) -> bytes:
    return b"\x01" + encode_varint(codec) + encode_varint(hash_code) + encode_varint(digest_bytes)


def _pair(left: bytes, right: bytes) -> bytes:
    """Return the node above two nodes."""
    digest = hashlib.sha256(left + right).digest()
    return digest[:-1] + bytes([digest[-1] & 0x3F])


def _zero_nodes() -> tuple[bytes, ...]:
    """Return the roots of trees of zeros, by height."""
    nodes = [bytes(_LEAF_BYTES)]
    for _ in range(_MAX_HEIGHT):
        nodes.append(_pair(nodes[-1], nodes[-1]))
    return tuple(nodes)


_ZERO_NODES: Final = _zero_nodes()


def _carry(nodes: dict[int, bytes], node: bytes, height: int) -> None:
    """Add a subtree on the right, joining neighbours of equal height as a binary counter carries."""
    while height in nodes:
        node = _pair(nodes.pop(height), node)
        height += 1
    nodes[height] = node


def _spread(quads: bytes | memoryview) -> _Bytes:
    """Return the fr32 form: of every 127 bytes four leaves of 254 bits each, bits in little-endian order."""
    source = np.frombuffer(quads, np.uint8).reshape(-1, _QUAD_BYTES)
    leaves = np.zeros((len(source), 128), np.uint8)
    leaves[:, :32] = source[:, :32]
    leaves[:, 32:64] = (source[:, 31:63] >> 6) | (source[:, 32:64] << 2)
    leaves[:, 64:96] = (source[:, 63:95] >> 4) | (source[:, 64:96] << 4)
    leaves[:, 96:127] = (source[:, 95:126] >> 2) | (source[:, 96:127] << 6)
    leaves[:, 127] = source[:, 126] >> 2
    leaves[:, 31::_LEAF_BYTES] &= 0x3F
    return leaves.reshape(-1)


def _subtree(quads: bytes | memoryview, height: int) -> bytes:
    """Return the node at ``height`` over whole quads (a multiple of 127 bytes), zeros to their right."""
    nodes = _spread(quads)
    for level in range(height):
        if nodes.size % (2 * _LEAF_BYTES):
            nodes = np.concatenate([nodes, np.frombuffer(_ZERO_NODES[level], np.uint8)])
        pairs = memoryview(nodes.tobytes())
        digests = [hashlib.sha256(pairs[at : at + 64]).digest() for at in range(0, len(pairs), 64)]
        nodes = np.frombuffer(bytearray().join(digests), np.uint8)
        nodes[31::_LEAF_BYTES] &= 0x3F
    return nodes.tobytes()
