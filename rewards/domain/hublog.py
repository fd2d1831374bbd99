"""What the hub itself signed inside the segments: which block it took in, when, and with what verdict.

The hub's records are a hash chain (see `protocol.logbook`); reading stops with a sentence at the first link that
does not fit, because a record left out or put in later can be hidden only behind such a link.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.beacon import BeaconNotice
from protocol.cose import Signed
from protocol.envelope import block_digest
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.logbook import Intake, SegmentHeader, SegmentSeal
from protocol.payload import decode_payload
from protocol.units import UnixMs
from protocol.verdict import Verdict
from rewards.domain.errors import EvidenceError

HubRecord = SegmentHeader | Intake | BeaconNotice | SegmentSeal
_KINDS: Mapping[int, type[HubRecord]] = {4: Intake, 5: SegmentHeader, 6: BeaconNotice, 7: SegmentSeal}


def payload_kind(payload: bytes) -> int:
    """Return the kind number that a signed payload (a CBOR array of fewer than 24 members) begins with, or -1."""
    return payload[1] if len(payload) > 1 and 0x80 <= payload[0] < 0x98 and payload[1] < 24 else -1


@dataclass(frozen=True, slots=True)
class TakenIn:
    """One accepted entry of an intake record."""

    received_at_ms: UnixMs


class HubLogReader:
    """Follows the hub's records through the segments of one epoch, in order."""

    def __init__(self, *, network: str, hub: PublicKey, epoch: int) -> None:
        """Expect the records of ``hub`` for ``epoch``."""
        self._network = network
        self._hub = hub
        self._epoch = epoch
        self._head: bytes | None = None
        self._sealed = True
        self.accepted: dict[bytes, TakenIn] = {}  # by digest of the block

    def read(self, block: bytes, signed: Signed) -> bool:
        """Take in one block if the hub wrote it; return False if it is a device's.

        Raises:
            EvidenceError: the record is not the hub's, not next in its chain, or of another network or epoch.
        """
        kind = _KINDS.get(payload_kind(signed.payload))
        if kind is None:
            if self._sealed:
                raise EvidenceError("a segment does not begin with the hub's header")
            return False
        try:
            record = decode_payload(signed.payload, kind)
            signed.verify()
        except ProtocolError as error:
            raise EvidenceError(f"a record of the hub's log is broken: {error}") from error
        self._place(record, signed)
        self._head = block_digest(block)
        return True

    def end_segment(self) -> None:
        """Note that the segment's file ended.

        Raises:
            EvidenceError: it was not sealed.
        """
        if not self._sealed:
            raise EvidenceError("a segment ends without the hub's seal")

    def _place(self, record: HubRecord, signed: Signed) -> None:
        if signed.key != self._hub:
            raise EvidenceError(f"a hub record is signed by {signed.key.name}, not by the epoch's hub {self._hub.name}")
        if record.network != self._network:
            raise EvidenceError(f"a hub record belongs to network {record.network!r}, not to {self._network!r}")
        if self._head is not None and record.previous != self._head:
            raise EvidenceError("the hub's log has a gap: a record does not name the one before it")
        if isinstance(record, SegmentHeader) != self._sealed:
            raise EvidenceError("a segment must begin with its header and go on until its seal")
        if isinstance(record, SegmentHeader) and record.epoch != self._epoch:
            raise EvidenceError(f"a segment of epoch {record.epoch} is listed under epoch {self._epoch}")
        self._sealed = isinstance(record, SegmentSeal)
        if isinstance(record, Intake):
            for entry in record.entries:
                if entry.verdict is Verdict.ACCEPTED:
                    self.accepted[entry.digest] = TakenIn(record.received_at_ms)
