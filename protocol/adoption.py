"""Adoption: an owner takes a device as theirs by knowing the secret that only its QR code shows.

The device makes a secret of 16 bytes and shows it once, in a link whose fragment no browser sends to a server. Whoever
has read it proves that with a tag over network, device and owner; a hub passes the tag on and cannot make another one,
and the device that finds it right burns the secret. A *short code* names a device over the telephone.

Vectors: tests/vectors/adoption.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import parse_qsl, urlencode

import msgspec

from protocol.errors import MalformedError, SignatureError
from protocol.identity import PublicKey
from protocol.payload import VERSION, Address, Digest, KeyId, Network, Version, decode_payload, encode_payload

SECRET_BYTES: Final = 16
MAX_ADOPTION_BYTES: Final = 256
_TAG_HEAD: Final = b"cairn adoption 1\x00"
_CODE_HEAD: Final = b"cairn short code 1\x00"
_LINK_FIELDS: Final = ("device", "network", "secret")
_LINK_MAX: Final = 1_024
_SECRET_TEXT: Final = re.compile(r"[0-9a-f]{32}")
_NETWORK_TEXT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # no I, L, O, U: they are misread, or make words
_CODE_BYTES: Final = 5  # 40 bits: 8 characters, and one more to check them
_CODE_CHARACTERS: Final = 9
_GROUP: Final = 3
_FIELD: Final = 0b100101  # x^5 + x^2 + 1, primitive over GF(2): the powers of 2 are the 31 non-zero elements


class Adoption(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=8):
    """What a hub passes on to a device. Nobody's signature: the tag is the proof, for that device alone."""

    version: Version
    network: Network
    device: KeyId
    owner: Address  # the contributor's account
    tag: Digest  # `adoption_tag`

    def verify(self, secret: bytes) -> None:
        """Return quietly if whoever made this knows ``secret``. Takes the same time whatever is wrong.

        Raises:
            SignatureError: they do not.
        """
        if not hmac.compare_digest(self.tag, adoption_tag(secret, self.network, self.device, self.owner)):
            raise SignatureError("the adoption was not made with this device's secret")


def adoption_tag(secret: bytes, network: str, device: bytes, owner: bytes) -> bytes:
    """Return the HMAC-SHA256 that proves knowledge of ``secret``.

    Args:
        secret: the 16 bytes in the device's link.
        network: the network's name.
        device: the device's key id, 34 bytes.
        owner: the contributor's account, 20 bytes.
    """
    return hmac.digest(secret, _TAG_HEAD + network.encode() + b"\x00" + device + owner, "sha256")


def adopt(secret: bytes, *, network: str, device: PublicKey, owner: bytes) -> Adoption:
    """Return the adoption of ``device`` by ``owner``."""
    tag = adoption_tag(secret, network, device.key_id, owner)
    return Adoption(VERSION, network, device.key_id, owner, tag)


def encode_adoption(adoption: Adoption) -> bytes:
    """Return the one encoding of ``adoption``: what a hub publishes."""
    return encode_payload(adoption)


def parse_adoption(raw: bytes) -> Adoption:
    """Take an adoption apart; whether its tag is right is for the device to say.

    Raises:
        MalformedError: not an adoption in its one encoding.
    """
    if len(raw) > MAX_ADOPTION_BYTES:
        raise MalformedError(f"adoption of {len(raw)} bytes, {MAX_ADOPTION_BYTES} are allowed")
    adoption = decode_payload(raw, Adoption)
    PublicKey(adoption.device)
    return adoption


@dataclass(frozen=True, slots=True)
class AdoptionLink:
    """What the QR code of a device without an owner says. Whoever reads it may adopt the device.

    Raises:
        MalformedError: the secret has not 16 bytes, or the network's name is none.
    """

    device: PublicKey
    network: str
    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != SECRET_BYTES or not _NETWORK_TEXT.fullmatch(self.network):
            raise MalformedError("not what an adoption link holds")

    def text(self, hub_url: str) -> str:
        """Return the link to the page of the hub at ``hub_url``; ``cairn:adopt#...`` where no hub is named."""
        fields = (("device", self.device.did), ("network", self.network), ("secret", self.secret.hex()))
        page = f"{hub_url.rstrip('/')}/adopt" if hub_url else "cairn:adopt"
        return f"{page}#{urlencode(fields, safe=':')}"

    @classmethod
    def parse(cls, text: str) -> tuple[str, Self]:
        """Return the address of the hub (empty: none is named) and the link that ``text`` holds.

        Raises:
            MalformedError: not an adoption link. The message never shows the secret.
        """
        page, mark, fragment = text.strip().partition("#")
        pairs = parse_qsl(fragment) if len(fragment) <= _LINK_MAX else []
        fields = dict(pairs)
        is_page = page == "cairn:adopt" or re.fullmatch(r"https?://[^\s?]+/adopt", page) is not None
        if not mark or not is_page or len(pairs) != len(_LINK_FIELDS) or set(fields) != set(_LINK_FIELDS):
            raise MalformedError("not an adoption link: it ends in /adopt#device=...&network=...&secret=...")
        if not _SECRET_TEXT.fullmatch(fields["secret"]):
            raise MalformedError("the secret of an adoption link has 32 hexadecimal digits, in lower case")
        hub_url = "" if page == "cairn:adopt" else page.removesuffix("/adopt")
        return hub_url, cls(PublicKey.parse(fields["device"]), fields["network"], bytes.fromhex(fields["secret"]))

    def __repr__(self) -> str:
        return f"AdoptionLink({self.device.name}, {self.network})"  # a secret has no place in a log


def short_code(device: PublicKey) -> str:
    """Return the code that names ``device`` over the telephone: ``7KQ-2M9-XW4``.

    Eight characters of 40 bits of a hash of the key, and one that checks them: any single wrong character and any two
    exchanged ones are noticed. It tells honest devices apart; it proves nothing.
    """
    bits = int.from_bytes(hashlib.sha256(_CODE_HEAD + device.key_id).digest()[:_CODE_BYTES])
    values = [bits >> shift & 31 for shift in range(35, -1, -5)]
    text = "".join(_CROCKFORD[value] for value in (*values, _check_value(values)))
    return "-".join(text[at : at + _GROUP] for at in range(0, _CODE_CHARACTERS, _GROUP))


def parse_short_code(text: str) -> str:
    """Return the code that was read out as ``text``, in its one form; o is taken for 0, i and l for 1.

    Raises:
        MalformedError: not a code, or one with a slip in it.
    """
    plain = re.sub(r"[\s-]", "", text).upper().translate(str.maketrans("OIL", "011"))
    values = [_CROCKFORD.find(character) for character in plain]
    if len(values) != _CODE_CHARACTERS or -1 in values:
        raise MalformedError(f"{text[:40]!r} is not a device's code: nine letters and digits like 7KQ-2M9-XW4")
    if _check_value(values[:-1]) != values[-1]:
        raise MalformedError(f"{text[:40]!r} has a slip in it: let it be read out again")
    return "-".join(plain[at : at + _GROUP] for at in range(0, _CODE_CHARACTERS, _GROUP))


def _check_value(values: list[int]) -> int:
    """Return what makes the sum over GF(32) of each value times its own power of 2 zero.

    The powers differ and none is zero, so one wrong value, or two exchanged ones, always change the sum.
    """
    total = 0
    for value in values:  # Horner's rule: the last value is multiplied once, the check itself not at all
        total = _doubled(total ^ value)
    return total


def _doubled(value: int) -> int:
    twice = value << 1
    return twice ^ _FIELD if twice & 32 else twice
