"""Closing epochs in order: archive first, index second. What a crash left undone is done at the next call."""

import threading
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import structlog

from hub.archive import Archive, EpochRecord
from hub.domain.records import BlockPlace
from hub.domain.schedule import EpochSchedule
from hub.judge import epoch_segments
from hub.log.reading import car_places
from hub.store.epochs import EpochRow
from hub.store.store import Store
from protocol.identity import PublicKey
from protocol.manifest import SegmentRef

log = structlog.get_logger(__name__)


class EpochCloser:
    """Closes whatever is over."""

    def __init__(
        self, archive: Archive, store: Store, *, segments: Path, hub: PublicKey, schedule: EpochSchedule
    ) -> None:
        self._archive = archive
        self._store = store
        self._segments = segments
        self._hub = hub
        self._schedule = schedule

    def close_until(self, epoch: int, stop: threading.Event, progress: Callable[[int], None] | None = None) -> int:
        """Close every epoch before ``epoch`` that is not closed yet; return how many that was.

        Raises:
            ArchiveError, LogError, JudgingError, PinningError: see `Archive.close_epoch`.
            StoreError: the database refused.
        """
        closed = 0
        for number in range(self._store.last_closed_epoch() + 1, epoch):
            if stop.is_set():
                break
            self._close(number)
            closed += 1
            if progress is not None:
                progress(number)
        return closed

    def _close(self, number: int) -> None:
        with self._store.standing_before(number, self._schedule.starts_at_ms(number)) as before:
            record = self._archive.close_epoch(number, before)
        self._store.close_epoch(_row(record), record.rows, list(chain(record.places, self._hub_blocks(record))))
        log.info(
            "epoch_closed",
            epoch=number,
            manifest=str(record.manifest_cid),
            messages=sum(record.manifest.counts.values()),
            segments=len(record.segments),
        )

    def _hub_blocks(self, record: EpochRecord) -> Iterator[BlockPlace]:
        """The hub's own records in the segments; the devices' blocks are indexed since they arrived."""
        kept = {row.digest for row in record.rows if row.device is not None}
        for path in epoch_segments(self._segments, self._hub, record.epoch):
            yield from (place for place in car_places(path) if place.digest not in kept)


def _row(record: EpochRecord) -> EpochRow:
    manifest = record.manifest
    accepted = [row for row in record.rows if row.verdict.is_rewardable and row.sequence > 0]
    return EpochRow(
        epoch=record.epoch,
        started_at_ms=manifest.started_at_ms,
        ended_at_ms=manifest.ended_at_ms,
        manifest=record.manifest_cid,
        verdicts=manifest.verdicts,
        epoch_car=SegmentRef(record.car.car, record.car.piece, record.car.size_bytes),
        segments=manifest.segments,
        counts=dict(manifest.counts),
        envelopes=len(accepted),
        observations=sum(row.observations for row in accepted),
    )
