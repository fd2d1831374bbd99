"""CAR version 1 (ipld.io/specs/transport/car/carv1): one root, then blocks, each behind its length and its CID.

    varint(n) header | (varint(n) cid block)*

The hub's log, what is pinned and what a gateway serves are all this one form. A reader believes nothing: every
block is hashed, every number must be minimal, and a cut tail is said so, together with where the last whole section
ends. A CAR file's own name is ``Cid.of_digest(sha256 of the file, CAR)``.

Vectors: tests/vectors/car. Invariants: tests/property/test_car_properties.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from protocol import dagcbor
from protocol.cid import Cid
from protocol.errors import MalformedError
from protocol.varint import decode_varint, encode_varint

_MAX_HEADER_BYTES: Final = 256  # one root and a version take 59 bytes with SHA-256
_MAX_CID_BYTES: Final = 128  # far above every CID in use
_MAX_VARINT_BYTES: Final = 9


@dataclass(frozen=True, slots=True)
class CarBlock:
    """A block whose hash was checked, and where its bytes stand: ``file[offset : offset + length]``."""

    cid: Cid
    block: bytes
    offset: int  # bytes from the start of the CAR
    length: int  # bytes


def car_header(root: Cid) -> bytes:
    """Return the first bytes of a CAR whose only root is ``root``."""
    header = dagcbor.encode({"roots": [root], "version": 1})
    return encode_varint(len(header)) + header


def car_section(cid: Cid, block: bytes) -> bytes:
    """Return the bytes that add ``block`` to a CAR. The CID is believed: readers will check it."""
    return encode_varint(len(cid.raw) + len(block)) + cid.raw + block


def read_car(stream: BinaryIO, *, max_block_bytes: int = 2 << 20) -> "CarReader":
    """Return a reader that stands behind the header of the CAR in ``stream``.

    Args:
        stream: open for reading in binary, placed at the first byte of the CAR; read forward only, not closed.
        max_block_bytes: larger blocks are malformed, so that a length nobody can trust cannot fill the memory.

    Raises:
        MalformedError: the header is cut off, not canonical, not version 1, or names not exactly one root.
    """
    return CarReader(stream, max_block_bytes=max_block_bytes)


class CarReader:
    """Reads the blocks of one CAR in order, once.

    Attributes:
        root: the one root. It need not be among the blocks.
        end_offset: bytes from the start of the CAR to the end of the last whole section read so far, header included.
            After a MalformedError it says where to cut the file.
    """

    def __init__(self, stream: BinaryIO, *, max_block_bytes: int) -> None:
        """Read the header; see `read_car`."""
        self._stream = stream
        self._max_section_bytes = max_block_bytes + _MAX_CID_BYTES
        self._max_block_bytes = max_block_bytes
        self._offset = 0
        length = self._length(_MAX_HEADER_BYTES)
        if length is None:
            raise MalformedError("an empty file is not a CAR")
        self.root: Cid = _root(self._exactly(length))
        self.end_offset: int = self._offset

    def __iter__(self) -> Iterator[CarBlock]:
        """Yield the blocks.

        Raises:
            MalformedError: a section is cut off, too long, has no SHA-256 CID, or does not hash to its CID.
        """
        while (length := self._length(self._max_section_bytes)) is not None:
            section = self._exactly(length)
            cid = _leading_cid(section)
            block = section[len(cid.raw) :]
            if len(block) > self._max_block_bytes:
                raise MalformedError(f"block of {len(block)} bytes, {self._max_block_bytes} are allowed")
            if not cid.matches(block):
                raise MalformedError(f"the block at byte {self._offset - len(block)} is not {cid}")
            self.end_offset = self._offset
            yield CarBlock(cid, block, self._offset - len(block), len(block))

    def _length(self, allowed_bytes: int) -> int | None:
        """Read the varint before a header or section; None at a clean end of the file."""
        raw = bytearray()
        while len(raw) < _MAX_VARINT_BYTES:
            byte = self._stream.read(1)
            if not byte:
                break
            raw += byte
            if byte[0] < 0x80:
                break
        if not raw:
            return None
        length, _ = decode_varint(bytes(raw))
        if length > allowed_bytes:
            raise MalformedError(f"{length} bytes announced at byte {self._offset}, {allowed_bytes} are allowed")
        self._offset += len(raw)
        return length

    def _exactly(self, length: int) -> bytes:
        """Read ``length`` bytes; an unbuffered stream may hand them out in parts."""
        parts: list[bytes] = []
        missing = length
        while missing > 0:
            part = self._stream.read(missing)
            if not part:
                raise MalformedError(f"cut off {missing} bytes before the end of the section at byte {self._offset}")
            parts.append(part)
            missing -= len(part)
        self._offset += length
        return b"".join(parts)


def _root(header: bytes) -> Cid:
    fields = dagcbor.decode(header)
    roots = fields.get("roots") if isinstance(fields, dict) else None
    if not isinstance(roots, list) or len(roots) != 1 or not isinstance(roots[0], Cid):
        raise MalformedError("a CAR header with exactly one root was expected")
    # Version 1 and nothing else: with one root there is one header.
    if car_header(roots[0])[1:] != header:
        raise MalformedError("not the header of a CAR version 1")
    return roots[0]


def _leading_cid(section: bytes) -> Cid:
    offset = 0
    for _ in range(3):  # version, codec, hash function; Cid checks their values
        _, offset = decode_varint(section, offset)
    digest_bytes, offset = decode_varint(section, offset)
    if offset + digest_bytes > min(len(section), _MAX_CID_BYTES):
        raise MalformedError("the CID of a section is cut off or too long")
    return Cid(section[: offset + digest_bytes])
