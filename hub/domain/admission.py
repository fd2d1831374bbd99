"""Admission: what is made of one message, from its bytes and from what the log already holds.

Two steps, so that the costly one runs on any thread: `open_message` takes the block apart and checks its signature
without looking anything up; `admit` applies the rules in their published order, the first that fits decides:

1. a refusal of `open_message`: OVERSIZE, MALFORMED, WRONG_NETWORK, WRONG_TOPIC, BAD_SIGNATURE;
2. DUPLICATE: these very bytes are in the log;
3. an enrollment ends here: CLOCK_SKEW if made too long ago or in the future, else ACCEPTED;
4. UNKNOWN_DEVICE: the key never enrolled;
5. EQUIVOCATION: the log holds another envelope of this device with this sequence;
6. REPLAY: another envelope in the log claims these observations;
7. BROKEN_CHAIN: the log holds the envelope before, and it is not the one named (one that is missing is allowed: a gap);
8. CLOCK_SKEW: made in the future, too long ago, or before its own beacon;
9. STALE_BEACON: a beacon this hub never relayed, or one too old when the envelope was made;
10. ACCEPTED.

Invariants: tests/property/test_admission_properties.py. The order, rule by rule: tests/unit/test_admission.py.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from protocol.beacon import Beacon
from protocol.cose import Signed, parse_sign1
from protocol.enrollment import Enrollment
from protocol.envelope import MAX_ENVELOPE_BYTES, Envelope, observations_digest
from protocol.errors import MalformedError, SignatureError
from protocol.identity import PublicKey
from protocol.logbook import Policy
from protocol.observation import count_rewardable
from protocol.payload import decode_payload
from protocol.topics import parse_intake_topic
from protocol.units import UnixMs
from protocol.verdict import Verdict

Kind = Literal["envelope", "enroll"]

_ENVELOPE_TAG: Final = 1
_ENROLLMENT_TAG: Final = 2


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that arrived: the topic it was published under and its bytes, whatever they are."""

    topic: str
    block: bytes


@dataclass(frozen=True, slots=True)
class Opened:
    """A block taken apart.

    Attributes:
        kind: what it is; None where it could not be told.
        block: the bytes as they arrived.
        digest: their SHA-256.
        key: who claims to have signed; None where it could not be told.
        envelope: set where ``kind`` is "envelope".
        enrollment: set where ``kind`` is "enroll".
        claims: the digest of the observations inside; None where there are none.
        refusal: the verdict if the bytes alone (and the topic) decide it; None means: signed by ``key``, for this
            network, under the right topic.
    """

    kind: Kind | None
    block: bytes
    digest: bytes
    key: PublicKey | None = None
    envelope: Envelope | None = None
    enrollment: Enrollment | None = None
    claims: bytes | None = None
    refusal: Verdict | None = None

    @property
    def sequence(self) -> int:
        """The envelope's sequence; 0 for everything else, as in receipts and verdict rows."""
        return 0 if self.envelope is None else self.envelope.sequence

    @property
    def observations(self) -> int:
        """How many observations are claimed that may be paid; what a device says of itself is none."""
        return 0 if self.envelope is None else count_rewardable(self.envelope.observations)


class Standing(Protocol):
    """What the log already holds. *Kept* means a block whose verdict `Verdict.is_kept`.

    Lookups raise the error family of the store behind them.
    """

    def is_enrolled(self, device: PublicKey) -> bool:
        """Say whether an enrollment of ``device`` was accepted."""
        ...

    def digest_at(self, device: PublicKey, sequence: int) -> bytes | None:
        """Return the digest of the first kept envelope of ``device`` with ``sequence``."""
        ...

    def holds(self, digest: bytes) -> bool:
        """Say whether this very block is kept."""
        ...

    def claimed(self, observations_digest: bytes) -> bool:
        """Say whether a kept envelope claims these observations."""
        ...

    def beacon_made_at_ms(self, beacon: Beacon) -> UnixMs | None:
        """Return when the chain made ``beacon``, if this hub relayed it."""
        ...


def open_message(message: Message, network: str) -> Opened:
    """Take a message apart and check topic and signature. Never raises; threads may share it."""
    opened, signed = _take_apart(message.block, network)
    if opened.refusal is not None or signed is None:
        return opened
    try:
        purpose, named = parse_intake_topic(message.topic, network)
    except MalformedError:
        return _refused(opened, Verdict.WRONG_TOPIC)
    if (purpose, named) != (opened.kind, opened.key):
        return _refused(opened, Verdict.WRONG_TOPIC)
    return _verified(opened, signed)


def open_block(block: bytes, network: str) -> Opened:
    """Take apart a block that has no topic any more, because it comes from a log. Never raises."""
    opened, signed = _take_apart(block, network)
    return opened if signed is None else _verified(opened, signed)


def parse_block(block: bytes, network: str) -> Opened:
    """Take apart a block whose signature was checked before: what is left out is the costly part. Never raises."""
    return _take_apart(block, network)[0]


def admit(opened: Opened, standing: Standing, policy: Policy, *, received_at_ms: UnixMs) -> Verdict:
    """Return the verdict on ``opened``, which came at ``received_at_ms`` when the log stood at ``standing``."""
    if opened.refusal is not None:
        return opened.refusal
    if standing.holds(opened.digest):
        return Verdict.DUPLICATE
    if opened.enrollment is not None:
        timely = _is_timely(opened.enrollment.created_at_ms, received_at_ms, policy)
        return Verdict.ACCEPTED if timely else Verdict.CLOCK_SKEW
    if opened.envelope is None or opened.key is None or not standing.is_enrolled(opened.key):
        return Verdict.UNKNOWN_DEVICE
    flaw = _find_flaw(opened, opened.key, opened.envelope, standing)
    return _judge_times(opened.envelope, standing, policy, received_at_ms) if flaw is None else flaw


def _take_apart(block: bytes, network: str) -> tuple[Opened, Signed | None]:
    """Return what the bytes say; with the signed parts only if nothing but topic and signature is left to check."""
    digest = hashlib.sha256(block).digest()
    if len(block) > MAX_ENVELOPE_BYTES:
        return Opened(None, block, digest, refusal=Verdict.OVERSIZE), None
    try:
        signed = parse_sign1(block)
        opened, named = _read(block, digest, signed)
    except MalformedError:
        return Opened(None, block, digest, refusal=Verdict.MALFORMED), None
    if named != network:
        return _refused(opened, Verdict.WRONG_NETWORK), None
    return opened, signed


def _read(block: bytes, digest: bytes, signed: Signed) -> tuple[Opened, str]:
    """Return the block's content and the network it names."""
    # Every payload is an array of less than 24 members whose first is its tag: the second byte.
    tag = signed.payload[1] if len(signed.payload) > 1 else 0
    if tag == _ENVELOPE_TAG:
        envelope = decode_payload(signed.payload, Envelope)
        claims = observations_digest(envelope)
        return Opened("envelope", block, digest, signed.key, envelope=envelope, claims=claims), envelope.network
    if tag == _ENROLLMENT_TAG:
        enrollment = decode_payload(signed.payload, Enrollment)
        return Opened("enroll", block, digest, signed.key, enrollment=enrollment), enrollment.network
    raise MalformedError(f"payload of kind {tag} where an envelope or an enrollment belongs")


def _refused(opened: Opened, refusal: Verdict) -> Opened:
    # Nothing of an unproven block is passed on: neither its key nor its sequence may be taken for a fact.
    return Opened(None, opened.block, opened.digest, refusal=refusal)


def _verified(opened: Opened, signed: Signed) -> Opened:
    try:
        signed.verify()
    except SignatureError:
        return _refused(opened, Verdict.BAD_SIGNATURE)
    return opened


def _is_timely(created_at_ms: UnixMs, received_at_ms: UnixMs, policy: Policy) -> bool:
    latest_ms = received_at_ms + policy.max_clock_skew_ms
    return received_at_ms - policy.max_lateness_ms <= created_at_ms <= latest_ms


def _find_flaw(opened: Opened, device: PublicKey, envelope: Envelope, standing: Standing) -> Verdict | None:
    """Apply rules 5 to 7: does the device tell one story?"""
    told = standing.digest_at(device, envelope.sequence)
    if told is not None and told != opened.digest:
        return Verdict.EQUIVOCATION
    if opened.claims is not None and standing.claimed(opened.claims):
        return Verdict.REPLAY
    before = standing.digest_at(device, envelope.sequence - 1) if envelope.sequence > 1 else None
    if before is not None and before != envelope.previous:
        return Verdict.BROKEN_CHAIN
    return None


def _judge_times(envelope: Envelope, standing: Standing, policy: Policy, received_at_ms: UnixMs) -> Verdict:
    """Apply rules 8 to 10: neither before its beacon nor after its arrival."""
    if not _is_timely(envelope.created_at_ms, received_at_ms, policy):
        return Verdict.CLOCK_SKEW
    made_at_ms = standing.beacon_made_at_ms(envelope.beacon)
    if made_at_ms is None:
        return Verdict.STALE_BEACON
    age_ms = envelope.created_at_ms - made_at_ms
    if age_ms < -policy.max_clock_skew_ms:
        return Verdict.CLOCK_SKEW
    return Verdict.STALE_BEACON if age_ms > policy.beacon_window_ms else Verdict.ACCEPTED
