"""The one writer of the log. What it returned from is on the disk; what it did not return from may be cut off.

A segment is a CAR that grows: blocks, then the intake record that lists them, in one write and one flush. Sealing
renames ``segment-00000001.car.open`` to ``.car`` and makes it read-only; nothing is ever changed in place.

Invariants, tested in tests/unit/test_segments.py and tests/property/test_log_properties.py: a cut at any byte keeps
every acknowledged batch and no part of another; a refused write leaves the log as it was.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import msgspec

from hub.domain.records import BlockPlace, LogEntry
from hub.log.appending import AppendingFile, seal_file
from hub.log.errors import CorruptSegmentError, LogError
from hub.log.files import (
    OPEN_SUFFIX,
    lock_directory,
    open_segments,
    sealed_segments,
    segment_name,
    sync_directory,
)
from hub.log.reading import log_tip, read_header
from hub.log.recovery import Repair, recover
from hub.log.verifier import EMPTY_LOG, LogTip
from protocol.beacon import Beacon, BeaconNotice
from protocol.car import car_header, car_section
from protocol.cid import Cid
from protocol.cose import sign1
from protocol.identity import Signer
from protocol.logbook import MAX_ENTRIES, Intake, IntakeEntry, Policy, SegmentHeader, SegmentSeal, Tally
from protocol.payload import encode_payload
from protocol.units import UnixMs

_MAX_SEGMENT_BYTES: Final = 512 << 20  # half of what a Filecoin provider takes as one piece
_MAX_TALLIES: Final = 64


@dataclass(frozen=True, slots=True)
class LogTerms:
    """Who writes the log, and under which limits."""

    network: str
    signer: Signer
    policy: Policy
    max_segment_bytes: int = _MAX_SEGMENT_BYTES  # a fuller segment is sealed, and the next of the same epoch begun


@dataclass(frozen=True, slots=True)
class BatchRef:
    """A batch that is on the disk.

    Attributes:
        batch: its number, counted over all segments from 1.
        intake: where its commit mark stands.
        kept: where the kept blocks stand, in the order of their entries.
    """

    batch: int
    epoch: int
    segment: int
    received_at_ms: UnixMs
    intake: BlockPlace
    kept: tuple[BlockPlace, ...]


@dataclass(frozen=True, slots=True)
class SealedSegment:
    """A segment that will never change again."""

    segment: int
    epoch: int
    path: Path
    size_bytes: int


class SegmentLog:
    """The log of one hub, open for writing by one thread of one process.

    Attributes:
        repair: what the start had to cut off; None if the log was whole.
    """

    def __init__(self, directory: Path, terms: LogTerms, lock: int) -> None:
        """Use `open`."""
        self._directory = directory
        self._terms = terms
        self._lock = lock
        self._file: AppendingFile | None = None
        self._batches, self._blocks = 0, 0
        self._tip: LogTip = EMPTY_LOG
        self._header: SegmentHeader | None = None
        self.repair: Repair | None = None

    @classmethod
    def open(cls, directory: Path, terms: LogTerms, *, epoch: int, opened_at_ms: UnixMs) -> Self:
        """Open the log in ``directory``, cut off what was never acknowledged, and go on where it ended.

        The epoch of a segment that was open already stays: compare `epoch`, and `roll` where time has moved on. A
        change of policy begins a new segment.

        Raises:
            CorruptSegmentError: acknowledged bytes are damaged; nothing was changed.
            LogError: another process writes here, or the disk refused.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            log = cls(directory, terms, lock_directory(directory))
        except BlockingIOError as error:
            raise LogError(f"another hub writes the log in {directory}: stop it, or use another folder") from error
        except OSError as error:
            raise LogError(f"cannot open the log in {directory}: {error.strerror}") from error
        try:
            log._resume(epoch, opened_at_ms)
        except (OSError, LogError) as error:
            log.close()
            if isinstance(error, LogError):
                raise
            raise LogError(f"cannot open the log in {directory}: {error.strerror}") from error
        return log

    @property
    def epoch(self) -> int:
        """The epoch of the open segment."""
        return self._require_open().epoch

    @property
    def segment(self) -> int:
        """The number of the open segment."""
        return self._require_open().segment

    @property
    def policy(self) -> Policy:
        """The limits written in the open segment: the ones to admit by."""
        return self._require_open().policy

    @property
    def latest_at_ms(self) -> UnixMs:
        """No batch may be earlier: where the clock was set back, receipt time waits here."""
        return self._tip.latest_at_ms

    @property
    def size_bytes(self) -> int:
        """The length of the open segment."""
        return 0 if self._file is None else self._file.size_bytes

    def append_notice(self, beacon: Beacon, *, made_at_ms: UnixMs, relayed_at_ms: UnixMs) -> BlockPlace:
        """Write down that ``beacon`` is being relayed, before it is.

        Raises:
            LogError: the disk refused; the log is as it was.
        """
        header = self._require_open()
        at_ms = max(relayed_at_ms, self.latest_at_ms)
        notice = BeaconNotice(1, header.network, beacon, made_at_ms, at_ms, self._tip.digest)
        (place,) = self._append((), notice)
        self._advance(place, at_ms)
        return place

    def append_batch(
        self, entries: Sequence[LogEntry], unlisted: Sequence[Tally] = (), *, received_at_ms: UnixMs
    ) -> BatchRef:
        """Write a batch; when this returns, it is on the disk.

        Args:
            entries: what arrived, in order, at most ``MAX_ENTRIES``; no block twice.
            unlisted: counts of messages beyond those, none of a verdict that is kept.
            received_at_ms: the time the verdicts were given for; not before `latest_at_ms`.

        Raises:
            LogError: the disk refused; the log is as it was.
            ValueError: the batch breaks one of the conditions above.
        """
        if not entries and not unlisted:
            raise ValueError("an empty batch")
        if len(entries) > MAX_ENTRIES or len(unlisted) > _MAX_TALLIES:
            raise ValueError(f"{len(entries)} entries and {len(unlisted)} tallies are more than one record lists")
        if any(tally.verdict.is_kept for tally in unlisted):
            raise ValueError("a kept block must be listed")
        if received_at_ms < self.latest_at_ms:
            raise ValueError(f"{received_at_ms=} is before the log's latest record ({self.latest_at_ms})")
        blocks = [entry.block for entry in entries if entry.block is not None]
        if self._batches and self.size_bytes + sum(map(len, blocks)) > self._terms.max_segment_bytes:
            self.roll(epoch=self.epoch, sealed_at_ms=received_at_ms)
        header = self._require_open()
        batch = (self._tip.batch or 0) + 1
        listed = tuple(IntakeEntry(entry.digest, entry.verdict) for entry in entries)
        intake = Intake(1, header.network, batch, received_at_ms, listed, tuple(unlisted), self._tip.digest)
        *kept, place = self._append(blocks, intake)
        self._advance(place, received_at_ms, batch)
        self._batches += 1
        self._blocks += len(blocks)
        return BatchRef(batch, header.epoch, header.segment, received_at_ms, place, tuple(kept))

    def roll(self, *, epoch: int, sealed_at_ms: UnixMs) -> SealedSegment:
        """Seal the open segment for ever and begin the next, for ``epoch``.

        Raises:
            LogError: the disk refused. The log is as it was, or the seal is written and `open` finishes the roll.
            ValueError: ``epoch`` lies before the open one.
        """
        header = self._require_open()
        if epoch < header.epoch:
            raise ValueError(f"epoch {epoch} lies before the open epoch {header.epoch}")
        at_ms = max(sealed_at_ms, self.latest_at_ms)
        seal = SegmentSeal(1, header.network, header.segment, self._batches, self._blocks, at_ms, self._tip.digest)
        (place,) = self._append((), seal)
        self._advance(place, at_ms)
        file, self._header = self._require_file(), None  # until the next segment has one
        try:
            path = file.seal()
            self._begin(epoch, at_ms)
        except OSError as error:
            raise LogError(f"cannot begin the next segment ({error.strerror}): start the hub again") from error
        return SealedSegment(header.segment, header.epoch, path, file.size_bytes)

    def close(self) -> None:
        """Let go of the log without sealing; `open` goes on from here."""
        self._header = None
        if self._file is not None:
            self._file.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _resume(self, epoch: int, opened_at_ms: UnixMs) -> None:
        hub = self._terms.signer.public_key
        sealed, unsealed = sealed_segments(self._directory), open_segments(self._directory)
        if len(unsealed) > 1:
            names = ", ".join(path.name for path in unsealed)
            raise CorruptSegmentError(f"more than one open segment ({names}): this folder mixes the logs of two hubs")
        self._tip = log_tip(sealed, hub) or EMPTY_LOG
        if sealed:
            self._check_network(read_header(sealed[-1], hub))
        if not unsealed or not self._reopen(unsealed[0]):
            # Where the clock was set back, epochs wait as receipt times do.
            self._begin(max(epoch, self._tip.epoch), max(opened_at_ms, self.latest_at_ms))
        elif self.policy != self._terms.policy:
            self.roll(epoch=self.epoch, sealed_at_ms=opened_at_ms)

    def _reopen(self, path: Path) -> bool:
        """Go on with an unsealed segment; False if it turned out to be sealed, or never begun."""
        verifier, self.repair = recover(path, self._terms.signer, self._tip)
        if verifier.header is None:
            path.unlink()  # not even its header reached the disk
            sync_directory(self._directory)
            return False
        self._check_network(verifier.header)
        self._tip = verifier.tip
        if verifier.is_sealed:
            seal_file(path)
            return False
        self._header = verifier.header
        self._file = AppendingFile.reopen(path, verifier.committed_bytes)
        self._batches, self._blocks = verifier.batches, verifier.blocks
        return True

    def _check_network(self, header: SegmentHeader) -> None:
        if header.network != self._terms.network:
            raise LogError(f"this is the log of network {header.network!r}, not of {self._terms.network!r}")

    def _begin(self, epoch: int, opened_at_ms: UnixMs) -> None:
        """Create the next segment with its header.

        Raises:
            OSError: the disk refused; what was created is removed by the next `open`.
        """
        terms, segment = self._terms, self._tip.segment + 1
        header = SegmentHeader(1, terms.network, segment, epoch, opened_at_ms, terms.policy, self._tip.digest)
        block = sign1(encode_payload(header), terms.signer)
        cid = Cid.of(block)
        path = self._directory / f"{segment_name(segment)}{OPEN_SUFFIX}"
        self._file = AppendingFile.create(path, car_header(cid) + car_section(cid, block))
        self._header = header
        self._batches, self._blocks = 0, 0
        self._tip = LogTip(cid.digest, segment, epoch, self._tip.batch, opened_at_ms)

    def _append(self, blocks: Sequence[bytes], record: msgspec.Struct) -> tuple[BlockPlace, ...]:
        """Write ``blocks`` and the hub's ``record`` behind them; return all their places."""
        return self._require_file().append([*blocks, sign1(encode_payload(record), self._terms.signer)])

    def _advance(self, last: BlockPlace, at_ms: UnixMs, batch: int | None = None) -> None:
        tip = self._tip
        self._tip = LogTip(last.digest, tip.segment, tip.epoch, tip.batch if batch is None else batch, at_ms)

    def _require_open(self) -> SegmentHeader:
        if self._header is None:
            raise LogError("the log is closed: open it again")
        return self._header

    def _require_file(self) -> AppendingFile:
        if self._file is None:
            raise LogError("the log is closed: open it again")
        return self._file
