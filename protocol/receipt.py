"""Receipts: a hub's signed promise that these envelopes are on its disk and will be in that epoch.

A receipt without an entry in the published epoch is proof of censorship, so a device keeps the last ones. A device
deletes an envelope on the receipt, never on the broker's PUBACK.
"""

from typing import Annotated, Final

import msgspec

from protocol.cose import open_sign1, sign1
from protocol.identity import PublicKey, Signer
from protocol.payload import Counter, Digest, KeyId, Millis, Network, Version, decode_payload, encode_payload
from protocol.verdict import Verdict

MAX_RECEIPTED: Final = 512


class ReceiptLine(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One envelope (or, with sequence 0, one enrollment) and what the hub made of it."""

    sequence: Counter
    digest: Digest  # SHA-256 of the block
    verdict: Verdict


class Receipt(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """The payload of a receipt: for one device, what one batch of the hub's log holds of it."""

    version: Version
    network: Network
    device: KeyId
    epoch: Counter
    batch: Counter  # the intake record that lists these envelopes
    received_at_ms: Millis
    lines: Annotated[tuple[ReceiptLine, ...], msgspec.Meta(min_length=1, max_length=MAX_RECEIPTED)]


def seal_receipt(receipt: Receipt, signer: Signer) -> bytes:
    """Return the signed block of ``receipt``."""
    return sign1(encode_payload(receipt), signer)


def open_receipt(block: bytes) -> tuple[PublicKey, Receipt]:
    """Return the hub's key and its receipt, signature checked. Whether that hub is *your* hub is for you to compare.

    Raises:
        MalformedError: not a receipt in its one encoding.
        SignatureError: the signature does not fit.
    """
    signed = open_sign1(block)
    return signed.key, decode_payload(signed.payload, Receipt)
