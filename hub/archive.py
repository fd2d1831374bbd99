"""Closing an epoch: sealed segments -> verdicts -> manifest -> one CAR -> pins. And doing it again from the bytes.

The bytes follow from the segments, the schedule and the epoch before alone, so a close that was cut off anywhere is
simply run again; a manifest that was published is never replaced by another one.
"""

from dataclasses import dataclass
from pathlib import Path

from hub.domain.admission import Standing
from hub.domain.judging import EpochTerms
from hub.domain.records import BlockPlace
from hub.domain.schedule import EpochSchedule
from hub.judge import judge_epoch
from hub.log.epochs import ArchiveError, epoch_path, last_epoch, read_manifest, write_epoch_car
from hub.log.reading import car_places
from hub.pinning.commitment import car_cid, commit
from hub.pinning.pinner import Pin, Pinner
from protocol.cid import Cid
from protocol.identity import PublicKey
from protocol.manifest import EpochManifest, SegmentRef, VerdictRow, verdict_blocks


@dataclass(frozen=True, slots=True)
class ArchiveTerms:
    """Whose archive it is."""

    network: str
    hub: PublicKey
    schedule: EpochSchedule


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A closed epoch.

    Attributes:
        manifest_cid: the root of everything published about it.
        rows: the verdicts, in log order.
        segments: the pins of its segments, in log order.
        car: the pin of its own CAR, which holds manifest and verdicts.
        places: where the blocks of that CAR stand.
    """

    epoch: int
    manifest_cid: Cid
    manifest: EpochManifest
    rows: tuple[VerdictRow, ...]
    segments: tuple[Pin, ...]
    car: Pin
    places: tuple[BlockPlace, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What an epoch's own bytes give, beside what was published."""

    epoch: int
    published: Cid  # the manifest
    computed: Cid
    published_verdicts: Cid
    computed_verdicts: Cid

    @property
    def is_same(self) -> bool:
        """Whether the hub told the truth: manifest and verdicts are byte for byte the same."""
        return (self.published, self.published_verdicts) == (self.computed, self.computed_verdicts)


class Archive:
    """The closed epochs of one hub, in ``epochs/`` beside its ``segments/``."""

    def __init__(self, segments: Path, epochs: Path, pinner: Pinner, terms: ArchiveTerms) -> None:
        """Use these folders; ``epochs`` is made when the first epoch closes."""
        self._segments = segments
        self._epochs = epochs
        self._pinner = pinner
        self._terms = terms

    def last_closed(self) -> int:
        """Return the last epoch whose manifest stands; 0 before the first. It may still have to be pinned."""
        return last_epoch(self._epochs)

    def close_epoch(self, epoch: int, before: Standing | None = None) -> EpochRecord:
        """Judge, publish and pin ``epoch``. Run it again after a failure: what was done is found done.

        Args:
            epoch: its segments are sealed, and the epoch before is closed.
            before: what an index says the log held before it, to spare reading the log; see `judge_epoch`.

        Raises:
            ArchiveError: the epoch before is not closed, another manifest was published, or the disk refused.
            LogError: a segment is still open, damaged or cannot be read.
            JudgingError: the log contradicts itself.
            PinningError: a file could not be pinned.
        """
        if epoch < 1:
            raise ArchiveError(f"there is no epoch {epoch}: they are counted from 1")
        paths, judged = judge_epoch(self._segments, self._terms.hub, self._epoch_terms(epoch), before)
        previous = self._previous(epoch)
        try:
            pins = tuple(self._pinner.pin(path, car=car_cid(path)) for path in paths)
            refs = tuple(SegmentRef(pin.car, pin.piece, pin.size_bytes) for pin in pins)
            verdicts = verdict_blocks(epoch, judged.rows)
            manifest = self._manifest(epoch, previous, refs, Cid.of(verdicts[-1]), judged.counts)
            path = epoch_path(self._epochs, epoch)
            self._epochs.mkdir(parents=True, exist_ok=True)
            write_epoch_car(path, manifest.to_block(), verdicts)
            car = self._pinner.pin(path, car=car_cid(path))
        except OSError as error:
            raise ArchiveError(
                f"cannot write epoch {epoch} ({error.strerror}): mend that and close it again"
            ) from error
        places = tuple(car_places(path))
        return EpochRecord(epoch, Cid.of(manifest.to_block()), manifest, judged.rows, pins, car, places)

    def replay(self, epoch: int) -> Replay:
        """Compute ``epoch`` again from the segments alone, signatures included, and compare with what was published.

        Raises:
            ArchiveError: the epoch was not closed, or its CAR or the one before is damaged.
            LogError: a segment is damaged or cannot be read.
            JudgingError: the log contradicts itself.
        """
        published_cid, published = read_manifest(epoch_path(self._epochs, epoch))
        paths, judged = judge_epoch(self._segments, self._terms.hub, self._epoch_terms(epoch))
        verdicts = Cid.of(verdict_blocks(epoch, judged.rows)[-1])
        try:
            refs = tuple(_segment_ref(path) for path in paths)
        except OSError as error:
            raise ArchiveError(f"cannot read the segments of epoch {epoch}: {error.strerror}") from error
        computed = self._manifest(epoch, self._previous(epoch), refs, verdicts, judged.counts)
        return Replay(epoch, published_cid, Cid.of(computed.to_block()), published.verdicts, verdicts)

    def _epoch_terms(self, epoch: int) -> EpochTerms:
        schedule = self._terms.schedule
        return EpochTerms(self._terms.network, epoch, schedule.starts_at_ms(epoch), schedule.ends_at_ms(epoch))

    def _previous(self, epoch: int) -> Cid | None:
        return None if epoch == 1 else read_manifest(epoch_path(self._epochs, epoch - 1))[0]

    def _manifest(
        self, epoch: int, previous: Cid | None, segments: tuple[SegmentRef, ...], verdicts: Cid, counts: dict[str, int]
    ) -> EpochManifest:
        terms = self._terms
        return EpochManifest(
            network=terms.network,
            hub=terms.hub,
            epoch=epoch,
            started_at_ms=terms.schedule.starts_at_ms(epoch),
            ended_at_ms=terms.schedule.ends_at_ms(epoch),
            previous=previous,
            segments=segments,
            verdicts=verdicts,
            counts=counts,
        )


def _segment_ref(path: Path) -> SegmentRef:
    car = car_cid(path)
    with path.open("rb") as stream:
        pin = commit(stream, car=car, where=path.name)
    return SegmentRef(pin.car, pin.piece, pin.size_bytes)
