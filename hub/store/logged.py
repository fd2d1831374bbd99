"""What the log holds of one batch, in the form the index is built from: live and on `reindex` alike."""

from dataclasses import dataclass

from hub.domain.admission import Opened
from hub.domain.records import BlockPlace
from protocol.logbook import Tally
from protocol.units import UnixMs
from protocol.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Kept:
    """A block that the log holds: taken apart, and where its bytes stand."""

    opened: Opened
    place: BlockPlace


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One line of an intake record. Of messages whose bytes were not kept, digest and verdict are all there is."""

    digest: bytes
    verdict: Verdict
    kept: Kept | None

    def __post_init__(self) -> None:
        if (self.kept is not None) != self.verdict.is_kept:
            raise ValueError(f"a block is kept exactly if its verdict says so, not with {self.verdict.slug}")


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """One intake record with its blocks."""

    batch: int
    segment: int
    epoch: int
    received_at_ms: UnixMs
    entries: tuple[LoggedEntry, ...]
    unlisted: tuple[Tally, ...]
