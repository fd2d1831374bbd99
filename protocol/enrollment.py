"""Enrollment: a device says, under its own key, whose it is. Only that account's own bond on it earns it pay."""

import msgspec

from protocol.cose import Signed, parse_sign1, sign1
from protocol.identity import Signer
from protocol.payload import Address, Millis, Network, Version, decode_payload, encode_payload


class Enrollment(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """The payload of an enrollment. The latest by ``created_at_ms`` holds."""

    version: Version
    network: Network
    owner: Address  # the contributor's account
    created_at_ms: Millis


def seal_enrollment(enrollment: Enrollment, signer: Signer) -> bytes:
    """Return the signed block of ``enrollment``."""
    return sign1(encode_payload(enrollment), signer)


def parse_enrollment(block: bytes) -> tuple[Signed, Enrollment]:
    """Take an enrollment apart without checking its signature.

    Raises:
        MalformedError: not an enrollment in its one encoding.
    """
    signed = parse_sign1(block)
    return signed, decode_payload(signed.payload, Enrollment)
