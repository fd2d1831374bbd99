"""Content identifiers: CIDv1 in binary and in base32 text (multiformats/cid, multiformats/multibase).

Only what Cairn publishes: version 1, SHA-256 for blocks and files, and the piece multihash of FRC-0069.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Final, Self

from protocol.errors import MalformedError
from protocol.varint import decode_varint, encode_varint

RAW: Final = 0x55
DAG_CBOR: Final = 0x71
CAR: Final = 0x0202
SHA2_256: Final = 0x12


@dataclass(frozen=True, slots=True, order=True)
class Cid:
    """A version 1 content identifier, held in its binary form."""

    raw: bytes

    def __post_init__(self) -> None:
        version, offset = decode_varint(self.raw)
        if version != 1:
            raise MalformedError(f"CID version {version}, expected 1")
        _, offset = decode_varint(self.raw, offset)
        _, offset = decode_varint(self.raw, offset)
        length, offset = decode_varint(self.raw, offset)
        if len(self.raw) - offset != length:
            raise MalformedError(f"CID digest has {len(self.raw) - offset} bytes, its header says {length}")

    @classmethod
    def of(cls, block: bytes, codec: int = DAG_CBOR) -> Self:
        """Return the SHA-256 CID of ``block``."""
        return cls.of_digest(hashlib.sha256(block).digest(), codec)

    @classmethod
    def of_digest(cls, digest: bytes, codec: int = DAG_CBOR) -> Self:
        """Return the CID whose SHA-256 digest (32 bytes) is already known."""
        if len(digest) != 32:
            raise MalformedError(f"a SHA-256 digest has 32 bytes, not {len(digest)}")
        return cls(b"\x01" + encode_varint(codec) + b"\x12\x20" + digest)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base32 text (``b...``, lower case, no padding); anything else is malformed."""
        body = text[1:]
        if not text.startswith("b") or body != body.lower() or "=" in body:
            raise MalformedError(f"not a base32 CID: {text[:80]!r}")
        try:
            raw = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
        except ValueError as error:
            raise MalformedError(f"not a base32 CID: {text[:80]!r}") from error
        cid = cls(raw)
        if str(cid) != text:  # stray bits in the last character
            raise MalformedError(f"not the canonical text of a CID: {text[:80]!r}")
        return cid

    @property
    def codec(self) -> int:
        """The multicodec of the block: ``RAW``, ``DAG_CBOR``, ``CAR``..."""
        _, offset = decode_varint(self.raw)
        return decode_varint(self.raw, offset)[0]

    @property
    def hash_code(self) -> int:
        """The multihash code, ``SHA2_256`` for all blocks."""
        _, offset = decode_varint(self.raw)
        _, offset = decode_varint(self.raw, offset)
        return decode_varint(self.raw, offset)[0]

    @property
    def digest(self) -> bytes:
        """The digest alone, without its multihash header."""
        offset = 0
        for _ in range(3):
            _, offset = decode_varint(self.raw, offset)
        length, _ = decode_varint(self.raw, offset)
        return self.raw[len(self.raw) - length :]

    def matches(self, block: bytes) -> bool:
        """Say whether ``block`` is what this CID names (SHA-256 only)."""
        return self.hash_code == SHA2_256 and hashlib.sha256(block).digest() == self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.raw).decode("ascii").lower().rstrip("=")
