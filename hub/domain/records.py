"""What a reader of the log gets: its records, typed, each with the place where its bytes stand."""

from dataclasses import dataclass

from protocol.beacon import BeaconNotice
from protocol.logbook import Intake, SegmentHeader, SegmentSeal
from protocol.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One message of a batch. The block itself is there exactly if the verdict says that it is kept."""

    digest: bytes  # SHA-256 of the message
    verdict: Verdict
    block: bytes | None

    def __post_init__(self) -> None:
        if (self.block is not None) != self.verdict.is_kept:
            raise ValueError(
                f"a block that is {self.verdict.slug} must {'' if self.verdict.is_kept else 'not '}be kept"
            )


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a block stands: ``file[offset : offset + length]``.

    ``file`` is the name of a CAR without folder and suffix ("segment-00000001", "epoch-00000001"), which stays the same
    when a segment is sealed.
    """

    digest: bytes  # SHA-256 of the block: with the DAG-CBOR codec in front, its CID
    file: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class HeaderRecord:
    """The segment begins."""

    header: SegmentHeader
    place: BlockPlace


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """The hub relayed a beacon."""

    notice: BeaconNotice
    place: BlockPlace


@dataclass(frozen=True, slots=True)
class IntakeRecord:
    """A batch was taken in: the entries in order of arrival, and the places of the kept ones, in the same order."""

    intake: Intake
    place: BlockPlace
    entries: tuple[LogEntry, ...]
    kept: tuple[BlockPlace, ...]


@dataclass(frozen=True, slots=True)
class SealRecord:
    """The segment ends."""

    seal: SegmentSeal
    place: BlockPlace


LogRecord = HeaderRecord | NoticeRecord | IntakeRecord | SealRecord
