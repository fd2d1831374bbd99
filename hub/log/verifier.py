"""Reads a segment block by block and believes nothing: bytes in, typed records out, no file in sight.

Checked: the hub's signature on each of its records, the hash chain within and across segments, the numbers of segments
and batches, that receipt times never run backwards, that the kept blocks are exactly the ones the intake lists, and the
seal's counts. Not checked: the devices' own signatures and whether the verdicts are right; that is judging.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from hub.domain.records import (
    BlockPlace,
    HeaderRecord,
    IntakeRecord,
    LogEntry,
    LogRecord,
    NoticeRecord,
    SealRecord,
)
from hub.log.errors import CorruptSegmentError
from protocol.beacon import BeaconNotice
from protocol.car import CarBlock
from protocol.cid import Cid
from protocol.cose import Signed, parse_sign1
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.logbook import NO_RECORD, Intake, SegmentHeader, SegmentSeal
from protocol.payload import decode_payload
from protocol.units import UnixMs

_HubRecord = SegmentHeader | BeaconNotice | Intake | SegmentSeal
_KINDS: Final[dict[int, type[_HubRecord]]] = {4: Intake, 5: SegmentHeader, 6: BeaconNotice, 7: SegmentSeal}
T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class LogTip:
    """Where a log stands: what the next record must continue.

    Attributes:
        digest: the last hub record; 32 zero bytes before the first.
        segment: the last segment; 0 before the first.
        epoch: its epoch; no later segment belongs to an earlier one.
        batch: the last batch, counted over all segments; None where only a part was read and none was in it.
        latest_at_ms: no later record may be earlier than this.
    """

    digest: bytes
    segment: int
    epoch: int
    batch: int | None
    latest_at_ms: UnixMs


EMPTY_LOG: Final = LogTip(NO_RECORD, 0, 0, 0, UnixMs(0))


class SegmentVerifier:
    """Verifies one segment.

    Attributes:
        header: the segment's header, once seen.
        tip: where the log stands behind the last hub record.
        committed_bytes: where the last hub record ends in the file; whatever follows was never acknowledged.
        batches, blocks: how many batches and kept blocks were seen.
        is_sealed: whether the seal was seen.
    """

    def __init__(self, file: str, hub: PublicKey, after: LogTip | None = None) -> None:
        """Expect the segment ``file`` of ``hub``; ``after`` is what it must continue, None if that is not known."""
        self._file = file
        self._hub = hub
        self._after = after
        self._pending: list[tuple[bytes, BlockPlace]] = []
        self.header: SegmentHeader | None = None
        self.tip = after or LogTip(NO_RECORD, 0, 0, None, UnixMs(0))
        self.committed_bytes = 0
        self.batches = 0
        self.blocks = 0
        self.is_sealed = False

    def take(self, found: CarBlock) -> LogRecord | None:
        """Take the next block; a device's block is held back until the intake that lists it.

        Raises:
            CorruptSegmentError: it does not belong here.
        """
        if self.is_sealed:
            raise self._corrupt(found.offset, "something follows the seal")
        try:
            signed = parse_sign1(found.block)
            place = BlockPlace(found.cid.digest, self._file, found.offset, found.length)
            if found.cid != Cid.of_digest(place.digest):
                raise self._corrupt(found.offset, "a block that is not DAG-CBOR")
            kind = _KINDS.get(signed.payload[1]) if signed.key == self._hub and len(signed.payload) > 1 else None
            if self.header is None and kind is not SegmentHeader:
                raise self._corrupt(found.offset, "it does not begin with a header signed by this hub's key")
            if kind is None:
                self._pending.append((found.block, place))
                return None
            return self._take_record(signed, kind, place)
        except ProtocolError as error:
            raise self._corrupt(found.offset, str(error)) from error

    def finish(self) -> None:
        """Say that nothing follows.

        Raises:
            CorruptSegmentError: the seal is missing.
        """
        if not self.is_sealed:
            raise CorruptSegmentError(f"{self._file} ends without a seal: it is cut off or was never closed")

    def _take_record(self, signed: Signed, kind: type[_HubRecord], place: BlockPlace) -> LogRecord:
        signed.verify()
        content = decode_payload(signed.payload, kind)
        if isinstance(content, SegmentHeader):
            record, moment_ms = self._begin(content, place)
        elif not self.header or content.network != self.header.network or content.previous != self.tip.digest:
            raise self._corrupt(place.offset, "a record that does not continue the one before")
        else:
            record, moment_ms = self._continue(content, place)
        if moment_ms < self.tip.latest_at_ms:
            raise self._corrupt(place.offset, "time runs backwards")
        batch = content.batch if isinstance(content, Intake) else self.tip.batch
        self.tip = LogTip(place.digest, self.tip.segment, self.tip.epoch, batch, moment_ms)
        self.committed_bytes = place.offset + place.length
        return record

    def _begin(self, header: SegmentHeader, place: BlockPlace) -> tuple[LogRecord, UnixMs]:
        after = self._after or (EMPTY_LOG if header.segment == 1 else None)
        continues = after is None or (header.segment, header.previous) == (after.segment + 1, after.digest)
        if self.header is not None or not continues or header.epoch < self.tip.epoch:
            raise self._corrupt(place.offset, "a header that does not continue the log")
        tip = EMPTY_LOG if header.segment == 1 else self.tip
        self.tip = LogTip(tip.digest, header.segment, header.epoch, tip.batch, tip.latest_at_ms)
        self.header = header
        return HeaderRecord(header, place), header.opened_at_ms

    def _continue(self, content: _HubRecord, place: BlockPlace) -> tuple[LogRecord, UnixMs]:
        if isinstance(content, Intake):
            return self._take_intake(content, place), content.received_at_ms
        if self._pending:
            raise self._corrupt(place.offset, "blocks that no intake lists")
        if isinstance(content, BeaconNotice):
            return NoticeRecord(content, place), content.relayed_at_ms
        if not isinstance(content, SegmentSeal):
            raise self._corrupt(place.offset, "a second header")
        if (content.segment, content.batches, content.blocks) != (self.tip.segment, self.batches, self.blocks):
            raise self._corrupt(place.offset, "the seal counts differently")
        self.is_sealed = True
        return SealRecord(content, place), content.sealed_at_ms

    def _take_intake(self, intake: Intake, place: BlockPlace) -> LogRecord:
        pending, self._pending = self._pending, []
        kept = [entry.digest for entry in intake.entries if entry.verdict.is_kept]
        if kept != [block_place.digest for _, block_place in pending]:
            raise self._corrupt(place.offset, "the intake lists other blocks than the ones before it")
        if self.tip.batch is not None and intake.batch != self.tip.batch + 1:
            raise self._corrupt(place.offset, f"batch {intake.batch} after batch {self.tip.batch}")
        if any(tally.verdict.is_kept for tally in intake.unlisted):
            raise self._corrupt(place.offset, "kept blocks that are only counted")
        self.batches += 1
        self.blocks += len(pending)
        blocks = iter(pending)
        entries = tuple(
            LogEntry(entry.digest, entry.verdict, next(blocks)[0] if entry.verdict.is_kept else None)
            for entry in intake.entries
        )
        return IntakeRecord(intake, place, entries, tuple(block_place for _, block_place in pending))

    def _corrupt(self, offset: int, why: str) -> CorruptSegmentError:
        return CorruptSegmentError(f"{self._file} at byte {offset}: {why}")
