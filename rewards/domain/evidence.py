"""From the published bytes of an epoch to what may be paid, believing only signatures and hashes.

An envelope counts if all of this holds: its block stands in a listed segment and has the hash its CID says (the CAR
reader checks that), the hub's own signed log took it in, the epoch's verdict rows call it accepted, the row agrees with
what the device signed, and the device's signature is good. Anything else that a verdict row promises is an error, not
a shrug: an accepted row without its block would be pay for nothing.

Whether the hub *should* have accepted is `cairn-hub replay`'s question; it needs only the same bytes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from protocol.car import CarBlock, read_car
from protocol.cid import DAG_CBOR
from protocol.cose import Signed, parse_sign1
from protocol.enrollment import Enrollment
from protocol.envelope import Envelope, block_digest
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.manifest import EpochManifest, VerdictRow
from protocol.observation import count_rewardable
from protocol.payload import decode_payload
from protocol.units import UnixMs
from protocol.verdict import Verdict
from rewards.domain.activity import AcceptedEnvelope, observed_at_ms
from rewards.domain.errors import EvidenceError
from rewards.domain.hublog import HubLogReader, payload_kind

_ENVELOPE_KIND = 1
_ENROLLMENT_KIND = 2


@dataclass(frozen=True, slots=True, order=True)
class Enrolled:
    """Whose device it is, by its own signed word. ``digest`` is the SHA-256 of that enrollment."""

    device: PublicKey
    owner: bytes
    created_at_ms: UnixMs
    digest: bytes

    def __post_init__(self) -> None:
        if len(self.owner) != 20 or len(self.digest) != 32 or self.created_at_ms < 0:
            raise EvidenceError("an enrollment has an owner of 20 bytes, a digest of 32 and a time")


@dataclass(frozen=True, slots=True)
class EpochEvidence:
    """Everything of one epoch that pay depends on, verified."""

    manifest: EpochManifest
    envelopes: tuple[AcceptedEnvelope, ...]
    enrollments: tuple[Enrolled, ...]


class EvidenceReader:
    """Reads the segments of one epoch, one after the other, in the manifest's order."""

    def __init__(self, manifest: EpochManifest, rows: Iterable[VerdictRow]) -> None:
        """Begin with the manifest and all its verdict rows, already fetched by their links.

        Raises:
            EvidenceError: a block is accepted twice, or has no device.
        """
        self._manifest = manifest
        self._rows = _accepted_rows(rows)
        self._log = HubLogReader(network=manifest.network, hub=manifest.hub, epoch=manifest.epoch)
        self._seen: set[bytes] = set()
        self._sequences: set[tuple[PublicKey, int]] = set()
        self._envelopes: list[AcceptedEnvelope] = []
        self._enrollments: list[Enrolled] = []

    def read_segment(self, car: BinaryIO) -> None:
        """Read one segment file.

        Raises:
            EvidenceError: it is not a sealed segment of this epoch, or contradicts the verdict rows.
        """
        try:
            reader = read_car(car)
            for position, found in enumerate(reader):
                if position == 0 and found.cid != reader.root:
                    raise EvidenceError("a segment's root is not its first block")
                self._read_block(found)
        except ProtocolError as error:
            raise EvidenceError(f"a segment of epoch {self._manifest.epoch} is broken: {error}") from error
        self._log.end_segment()

    def finish(self) -> EpochEvidence:
        """Return the evidence once all segments are read.

        Raises:
            EvidenceError: an accepted row has no block, or the hub's log did not accept it then.
        """
        for digest, row in self._rows.items():
            if digest not in self._seen:
                raise EvidenceError(f"block {digest.hex()} is accepted but stands in no segment")
            taken_in = self._log.accepted.get(digest)
            if taken_in is None or taken_in.received_at_ms != row.received_at_ms:
                raise EvidenceError(f"block {digest.hex()} is accepted, but the hub's log says otherwise")
        return EpochEvidence(self._manifest, tuple(self._envelopes), tuple(self._enrollments))

    def _read_block(self, found: CarBlock) -> None:
        if found.cid.codec != DAG_CBOR:
            raise EvidenceError(f"block {found.cid.digest.hex()} stands under another codec than its own")
        signed = parse_sign1(found.block)
        if self._log.read(found.block, signed):
            return
        digest = block_digest(found.block)
        row = self._rows.get(digest)
        if row is None:
            return  # kept as evidence against its sender, not paid
        if digest in self._seen:
            raise EvidenceError(f"block {digest.hex()} stands twice in the segments")
        self._seen.add(digest)
        signed.verify()
        if signed.key != row.device:
            raise EvidenceError(f"the verdict on block {digest.hex()} names another device than signed it")
        match payload_kind(signed.payload):
            case kind if kind == _ENVELOPE_KIND:
                self._take_envelope(decode_payload(signed.payload, Envelope), signed, row)
            case kind if kind == _ENROLLMENT_KIND:
                self._take_enrollment(decode_payload(signed.payload, Enrollment), signed, digest)
            case kind:
                raise EvidenceError(f"block {digest.hex()} is accepted but of kind {kind}")

    def _take_envelope(self, envelope: Envelope, signed: Signed, row: VerdictRow) -> None:
        self._require_network(envelope.network)
        observations = count_rewardable(envelope.observations)
        if (row.sequence, row.observations) != (envelope.sequence, observations):
            raise EvidenceError(
                f"the verdict says sequence {row.sequence} with {row.observations} observations that may be paid,"
                f" device {signed.key.name} signed sequence {envelope.sequence} with {observations}"
            )
        if (place := (signed.key, envelope.sequence)) in self._sequences:
            raise EvidenceError(f"two envelopes of {signed.key.name} are accepted under sequence {envelope.sequence}")
        self._sequences.add(place)
        self._envelopes.append(
            AcceptedEnvelope(
                device=signed.key,
                sequence=envelope.sequence,
                position=envelope.position,
                created_at_ms=envelope.created_at_ms,
                received_at_ms=row.received_at_ms,
                observed_at_ms=observed_at_ms(envelope.observations),
            )
        )

    def _take_enrollment(self, enrollment: Enrollment, signed: Signed, digest: bytes) -> None:
        self._require_network(enrollment.network)
        self._enrollments.append(Enrolled(signed.key, enrollment.owner, enrollment.created_at_ms, digest))

    def _require_network(self, network: str) -> None:
        if network != self._manifest.network:
            raise EvidenceError(f"a block of network {network!r} is accepted in network {self._manifest.network!r}")


def latest_enrollments(before: Iterable[Enrolled], now: Iterable[Enrolled]) -> Mapping[PublicKey, Enrolled]:
    """Return the enrollment in force of every device: the latest by creation, then by digest."""
    in_force: dict[PublicKey, Enrolled] = {}
    for enrolled in (*before, *now):
        held = in_force.get(enrolled.device)
        if held is None or (held.created_at_ms, held.digest) < (enrolled.created_at_ms, enrolled.digest):
            in_force[enrolled.device] = enrolled
    return in_force


def _accepted_rows(rows: Iterable[VerdictRow]) -> dict[bytes, VerdictRow]:
    accepted: dict[bytes, VerdictRow] = {}
    for row in rows:
        if row.verdict is not Verdict.ACCEPTED:
            continue
        if row.device is None or row.digest in accepted:
            raise EvidenceError(f"block {row.digest.hex()} is accepted twice or without a device")
        accepted[row.digest] = row
    return accepted
