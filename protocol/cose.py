"""The signed block: an untagged COSE_Sign1 (RFC 9052 section 4.2) that is at the same time strict DAG-CBOR.

``[protected, {}, payload, signature]`` with protected = ``{1: -8, 4: key id}``. The bytes the signer made are the IPLD
block that is stored and pinned; prepending the one byte ``d2`` gives the tagged form that COSE libraries expect.

There is exactly one encoding, so parsing is a comparison: bytes are taken apart by fixed offsets and must be the very
bytes that `sign1` would write. Tested in tests/vectors/envelope and against a COSE library nobody here wrote.
"""

from dataclasses import dataclass
from typing import Final

from protocol.errors import MalformedError
from protocol.identity import PublicKey, Signer
from protocol.keyid import KEY_ID_BYTES

# {1: -8 (EdDSA), 4: bstr(34)}; the key id follows.
_PROTECTED_HEAD: Final = bytes.fromhex("a201270458") + bytes([KEY_ID_BYTES])
_PROTECTED_BYTES: Final = len(_PROTECTED_HEAD) + KEY_ID_BYTES
_BLOCK_HEAD: Final = b"\x84\x58" + bytes([_PROTECTED_BYTES]) + _PROTECTED_HEAD
_SIGNATURE_HEAD: Final = b"\x58\x40"
_SIGNATURE_BYTES: Final = 64
MAX_BLOCK_BYTES: Final = 1 << 20  # what IPFS peers accept as one block; envelopes are far smaller


@dataclass(frozen=True, slots=True)
class Signed:
    """A taken-apart block. Well formed, but nothing is known of its signature until `verify` returns."""

    key: PublicKey
    payload: bytes
    signature: bytes

    def verify(self) -> None:
        """Check the signature over ``Sig_structure`` (RFC 9052 section 4.4).

        Raises:
            SignatureError: it does not fit the key named in the block.
        """
        self.key.verify(_to_be_signed(self.key, self.payload), self.signature)


def sign1(payload: bytes, signer: Signer) -> bytes:
    """Return the block that carries ``payload``, signed by ``signer``."""
    signature = signer.sign(_to_be_signed(signer.public_key, payload))
    return (
        _BLOCK_HEAD
        + signer.public_key.key_id
        + b"\xa0"
        + _bytes_head(len(payload))
        + payload
        + _SIGNATURE_HEAD
        + signature
    )


def parse_sign1(block: bytes) -> Signed:
    """Take a block apart without checking the signature.

    Raises:
        MalformedError: not the one encoding of an Ed25519 COSE_Sign1, or more than ``MAX_BLOCK_BYTES``.
    """
    if len(block) > MAX_BLOCK_BYTES:
        raise MalformedError(f"{len(block)} bytes are more than a block may have ({MAX_BLOCK_BYTES})")
    key_at = len(_BLOCK_HEAD)
    payload_head_at = key_at + KEY_ID_BYTES + 1
    tail = len(_SIGNATURE_HEAD) + _SIGNATURE_BYTES
    if not block.startswith(_BLOCK_HEAD) or len(block) < payload_head_at + 1 + tail:
        raise MalformedError("not a COSE_Sign1 with an Ed25519 key id")
    if block[payload_head_at - 1] != 0xA0:
        raise MalformedError("the unprotected header must be empty")
    signature_at = len(block) - _SIGNATURE_BYTES
    for head_bytes in (1, 2, 3, 5):
        payload_at = payload_head_at + head_bytes
        payload = block[payload_at : signature_at - len(_SIGNATURE_HEAD)]
        if block[payload_head_at:payload_at] == _bytes_head(len(payload)):
            break
    else:
        raise MalformedError("the payload is not one minimal byte string")
    if block[signature_at - len(_SIGNATURE_HEAD) : signature_at] != _SIGNATURE_HEAD:
        raise MalformedError("the signature is not 64 bytes")
    return Signed(PublicKey(block[key_at : key_at + KEY_ID_BYTES]), payload, block[signature_at:])


def open_sign1(block: bytes) -> Signed:
    """Take a block apart and check its signature.

    Raises:
        MalformedError: see `parse_sign1`.
        SignatureError: see `Signed.verify`.
    """
    signed = parse_sign1(block)
    signed.verify()
    return signed


def _to_be_signed(key: PublicKey, payload: bytes) -> bytes:
    protected = _PROTECTED_HEAD + key.key_id
    return (
        b"\x84\x6aSignature1\x58"
        + bytes([_PROTECTED_BYTES])
        + protected
        + b"\x40"
        + _bytes_head(len(payload))
        + payload
    )


def _bytes_head(length: int) -> bytes:
    """The minimal CBOR head of a byte string (major type 2)."""
    if length < 24:
        return bytes([0x40 + length])
    if length < 1 << 8:
        return b"\x58" + length.to_bytes(1)
    if length < 1 << 16:
        return b"\x59" + length.to_bytes(2)
    return b"\x5a" + length.to_bytes(4)
