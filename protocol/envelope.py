"""The envelope: what a device signs. One to 256 observations, in order, tied to what came before and to a beacon.

* ``sequence`` counts envelopes of a device for its whole life and is never reused, not even after a power cut.
* ``previous`` is the digest of the envelope with the sequence before: the device's log is a hash chain.
* ``beacon`` is public randomness: the envelope cannot have been made before the beacon existed.
* ``model_digest`` is the SHA-256 of the model file whose detections these are (zeros: no model, sensors only).

Vectors: tests/vectors/envelope. Invariants: tests/property/test_envelope_properties.py.
"""

import hashlib
from typing import Annotated, Final

import msgspec

from protocol.beacon import Beacon
from protocol.cose import Signed, parse_sign1, sign1
from protocol.errors import MalformedError
from protocol.identity import Signer
from protocol.observation import Observation, Position, Reading, Rewardable, Track
from protocol.payload import (
    Counter,
    Digest,
    Millis,
    Network,
    Release,
    Version,
    decode_payload,
    encode_payload,
)

MAX_OBSERVATIONS: Final = 256
# Holds 256 of the largest observations of any kind but health; of health records 256 of the usual size (70 bytes), 146
# of the largest (222). A broker's default limit is larger.
MAX_ENVELOPE_BYTES: Final = 32_768
NO_PREVIOUS: Final = bytes(32)  # the first envelope of a device
NO_MODEL: Final = bytes(32)


class Envelope(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """The payload of an envelope, as the device signs it."""

    version: Version
    network: Network
    boot: Counter
    sequence: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    previous: Digest
    beacon: Beacon
    model_digest: Digest
    agent_release: Release
    position: Position
    created_at_ms: Millis
    observations: Annotated[tuple[Observation, ...], msgspec.Meta(max_length=MAX_OBSERVATIONS)]

    def __post_init__(self) -> None:
        if (self.sequence == 1) != (self.previous == NO_PREVIOUS):
            raise MalformedError("exactly the first envelope of a device has no previous one")

    def shorten(self, fields: list[list[list[object]]]) -> None:
        """See `protocol.payload.encode_payload`."""
        for observation, members in zip(self.observations, fields[-1], strict=True):
            if isinstance(observation, Reading):
                observation.shorten(members)


def seal(envelope: Envelope, signer: Signer) -> bytes:
    """Return the signed block of ``envelope``.

    Raises:
        MalformedError: the envelope would not be accepted by `open_envelope`, too large included.
    """
    payload = encode_payload(envelope)
    decode_payload(payload, Envelope)
    block = sign1(payload, signer)
    if len(block) > MAX_ENVELOPE_BYTES:
        raise MalformedError(f"envelope of {len(block)} bytes, {MAX_ENVELOPE_BYTES} are allowed")
    return block


def parse_envelope(block: bytes) -> tuple[Signed, Envelope]:
    """Take an envelope apart without checking its signature.

    Raises:
        MalformedError: too large, or not an envelope in its one encoding.
    """
    if len(block) > MAX_ENVELOPE_BYTES:
        raise MalformedError(f"envelope of {len(block)} bytes, {MAX_ENVELOPE_BYTES} are allowed")
    signed = parse_sign1(block)
    return signed, decode_payload(signed.payload, Envelope)


def open_envelope(block: bytes) -> tuple[Signed, Envelope]:
    """Take an envelope apart and check its signature.

    Raises:
        MalformedError: see `parse_envelope`.
        SignatureError: the signature does not fit the key in the block.
    """
    signed, envelope = parse_envelope(block)
    signed.verify()
    return signed, envelope


def block_digest(block: bytes) -> bytes:
    """Return the SHA-256 of a block: its name in ``previous``, in receipts and, with a prefix, its CID."""
    return hashlib.sha256(block).digest()


def observations_digest(envelope: Envelope) -> bytes | None:
    """Return what two envelopes share exactly if they claim the same observations; None where no track is claimed.

    A track carries its id, its times and its mean confidence, so two honest envelopes never share one. Readings alone
    claim nothing: two thermometers in one room may well tell the same in the same millisecond. What is never paid is
    left out: whoever copies another's tracks has a health of their own to add.
    """
    claimed = [observation for observation in envelope.observations if isinstance(observation, Rewardable)]
    if not any(isinstance(observation, Track) for observation in claimed):
        return None
    return hashlib.sha256(b"".join(encode_payload(observation) for observation in claimed)).digest()
