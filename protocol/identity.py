"""Who signed: a public key that is its own name (did:key, W3C CCG), and the key pair that owns it.

Ed25519 first (RFC 8032, through libsodium, which refuses malleable signatures: S >= L); the multicodec prefix in
front of every key leaves room for P-256 secure elements.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol, Self

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from protocol.errors import MalformedError, SignatureError
from protocol.keyid import ED25519_PREFIX, check_key_id

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DID: Final = "did:key:"


@lru_cache(maxsize=65_536)
def _verify_key(raw: bytes) -> VerifyKey:
    return VerifyKey(raw)


@dataclass(frozen=True, slots=True, order=True)
class PublicKey:
    """An Ed25519 public key, held as its multicodec bytes (``ed01`` and 32 bytes): the `key id` of every signature."""

    key_id: bytes

    def __post_init__(self) -> None:
        check_key_id(self.key_id)

    @classmethod
    def of_raw(cls, raw: bytes) -> Self:
        """Build from the 32 raw bytes of an Ed25519 key."""
        return cls(ED25519_PREFIX + raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``z6Mk...`` or ``did:key:z6Mk...``.

        Raises:
            MalformedError: not a base58btc Ed25519 key, or not its canonical text.
        """
        short = text.removeprefix(_DID)
        if not short.startswith("z") or not 40 <= len(short) <= 60:
            raise MalformedError(f"not a did:key: {text[:80]!r}")
        key = cls(_base58_decode(short[1:]))
        if key.name != short:
            raise MalformedError(f"not the canonical text of a did:key: {text[:80]!r}")
        return key

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the key alone: what the staking contract calls the device key."""
        return self.key_id[2:]

    @property
    def name(self) -> str:
        """The short text used in topics, tables and addresses: ``z6Mk...``."""
        return "z" + _base58_encode(self.key_id)

    @property
    def did(self) -> str:
        """The decentralised identifier: ``did:key:z6Mk...``."""
        return _DID + self.name

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return quietly if ``signature`` (64 bytes) is this key's over ``message``.

        Raises:
            SignatureError: it is not.
        """
        try:
            _verify_key(self.raw).verify(message, signature)
        except (BadSignatureError, ValueError) as error:
            raise SignatureError(f"signature does not fit {self.name}") from error

    def __str__(self) -> str:
        return self.name


class Signer(Protocol):
    """Whoever can sign as one key: a key file, or a token that never shows its key."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what `sign` returns."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over ``message``."""
        ...


class KeyPair:
    """An Ed25519 key pair in memory. The seed never appears in ``repr`` or logs."""

    __slots__ = ("_public", "_signing")

    def __init__(self, seed: bytes) -> None:
        """Derive the pair from a 32-byte seed (RFC 8032 section 5.1.5)."""
        self._signing = SigningKey(seed)
        self._public = PublicKey.of_raw(bytes(self._signing.verify_key))

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over ``message``."""
        return self._signing.sign(message).signature

    def __repr__(self) -> str:
        return f"KeyPair({self._public.name})"


def _base58_encode(raw: bytes) -> str:
    number = int.from_bytes(raw)
    out = ""
    while number:
        number, digit = divmod(number, 58)
        out = _BASE58[digit] + out
    return "1" * (len(raw) - len(raw.lstrip(b"\x00"))) + out


def _base58_decode(text: str) -> bytes:
    number = 0
    for character in text:
        digit = _BASE58.find(character)
        if digit < 0:
            raise MalformedError(f"not base58: {character!r}")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\x00" * zeros + number.to_bytes((number.bit_length() + 7) // 8)
