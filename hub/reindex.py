"""The index from the log: all of it again (`reindex`), or what a crash kept from it (`catch_up`).

Both read verified segments and write through the same door as the intake, so the rows cannot differ.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from hub.domain.admission import open_block
from hub.domain.records import HeaderRecord, IntakeRecord, LogRecord, NoticeRecord
from hub.log.errors import CorruptSegmentError
from hub.log.files import open_segments, sealed_segments, segment_number
from hub.log.reading import read_log
from hub.store.logged import Kept, LoggedBatch, LoggedEntry
from hub.store.store import Store
from protocol.beacon import BeaconNotice
from protocol.identity import PublicKey
from protocol.logbook import SegmentHeader

_PROGRESS_EVERY: Final = 1_000


def facts(records: Iterable[LogRecord]) -> Iterator[LoggedBatch | BeaconNotice]:
    """Yield what the index learns from ``records``, which begin with a segment's header.

    Raises:
        CorruptSegmentError: a kept block is not what its verdict promises; or what `read_log` raises.
    """
    header: SegmentHeader | None = None
    for record in records:
        if isinstance(record, HeaderRecord):
            header = record.header
        elif isinstance(record, NoticeRecord):
            yield record.notice
        elif isinstance(record, IntakeRecord) and header is not None:
            yield _logged_batch(record, header)


def catch_up(store: Store, directory: Path, hub: PublicKey) -> int:
    """Index whatever the segments in ``directory`` hold beyond the index; return how many batches that was.

    Raises:
        StoreError: the database refused, or knows batches that the log does not.
        LogError: the segments could not be read.
    """
    indexed = store.last_batch()
    paths = [*sealed_segments(directory), *open_segments(directory)]
    first_segment = indexed.segment if indexed is not None else 0
    behind = [path for path in paths if segment_number(path) >= first_segment]
    fresh = 0
    last_seen = 0
    for fact in facts(read_log(behind, hub)):
        fresh += store.index(fact)
        if isinstance(fact, LoggedBatch):
            last_seen = fact.batch
    store.refuse_future(last_seen)
    return fresh


def reindex(store: Store, directory: Path, hub: PublicKey, progress: Callable[[int], None]) -> int:
    """Build the index of batches and beacons again from nothing but the segments; return how many batches there are.

    Closed epochs follow from the archive: close them again. ``progress`` hears of every thousandth batch.

    Raises:
        StoreError: the database refused; run it again.
        LogError: the segments could not be read.
    """
    store.empty()
    batches = 0
    for fact in facts(read_log([*sealed_segments(directory), *open_segments(directory)], hub)):
        batches += store.index(fact)
        if isinstance(fact, LoggedBatch) and fact.batch % _PROGRESS_EVERY == 0:
            progress(fact.batch)
    return batches


def _logged_batch(record: IntakeRecord, header: SegmentHeader) -> LoggedBatch:
    places = iter(record.kept)
    entries = []
    for entry in record.entries:
        kept = None
        if entry.block is not None:
            opened = open_block(entry.block, header.network)
            if opened.refusal is not None:
                raise CorruptSegmentError(f"the log keeps a block that is {opened.refusal.slug}: {opened.digest.hex()}")
            kept = Kept(opened, next(places))
        entries.append(LoggedEntry(entry.digest, entry.verdict, kept))
    return LoggedBatch(
        batch=record.intake.batch,
        segment=header.segment,
        epoch=header.epoch,
        received_at_ms=record.intake.received_at_ms,
        entries=tuple(entries),
        unlisted=record.intake.unlisted,
    )
