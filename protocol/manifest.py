"""What is published about an epoch: its manifest and its verdicts, as DAG-CBOR blocks in one CAR.

The manifest's CID goes on chain with the epoch's root. From it anyone reaches every byte: the segments (by CAR CID and
piece commitment), the verdicts (by link), and the epoch before (by link). A verdict page lists rows in log order.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from protocol import dagcbor
from protocol.cid import Cid
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.units import UnixMs
from protocol.verdict import Verdict

T = TypeVar("T")

FORMAT: Final = 1
ROWS_PER_PAGE: Final = 1_000  # a page stays far below the size at which IPFS peers refuse a block


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """A sealed segment file: its CAR CID, its piece commitment (CIDv2), its length."""

    car: Cid
    piece: Cid
    size_bytes: int


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What was made of one message. Unsigned garbage has no device and sequence 0."""

    digest: bytes
    device: PublicKey | None
    sequence: int
    verdict: Verdict
    received_at_ms: UnixMs
    observations: int

    def __post_init__(self) -> None:
        if len(self.digest) != 32 or min(self.sequence, self.received_at_ms, self.observations) < 0:
            raise MalformedError("a verdict row has a digest of 32 bytes and no negative number")


@dataclass(frozen=True, slots=True)
class EpochManifest:
    """The root of everything an epoch publishes."""

    network: str
    hub: PublicKey
    epoch: int
    started_at_ms: UnixMs
    ended_at_ms: UnixMs  # exclusive
    previous: Cid | None
    segments: tuple[SegmentRef, ...]
    verdicts: Cid
    counts: Mapping[str, int]  # messages by verdict slug, unlisted ones included

    def __post_init__(self) -> None:
        if self.ended_at_ms <= self.started_at_ms or self.epoch < 0:
            raise MalformedError("an epoch is a half-open interval that holds at least one millisecond")

    def to_block(self) -> bytes:
        """Return the manifest's one block."""
        return dagcbor.encode(
            {
                "v": FORMAT,
                "kind": "cairn/epoch",
                "network": self.network,
                "hub": self.hub.key_id,
                "epoch": self.epoch,
                "started_at_ms": self.started_at_ms,
                "ended_at_ms": self.ended_at_ms,
                "previous": self.previous,
                "segments": [
                    {"car": ref.car, "piece": ref.piece, "size_bytes": ref.size_bytes} for ref in self.segments
                ],
                "verdicts": self.verdicts,
                "counts": dict(self.counts),
            }
        )

    @classmethod
    def from_block(cls, block: bytes) -> "EpochManifest":
        """Read a manifest.

        Raises:
            MalformedError: not a manifest in its one encoding.
        """
        fields = _fields(block, "cairn/epoch")
        try:
            manifest = cls(
                network=_typed(fields["network"], str),
                hub=PublicKey(_typed(fields["hub"], bytes)),
                epoch=_typed(fields["epoch"], int),
                started_at_ms=UnixMs(_typed(fields["started_at_ms"], int)),
                ended_at_ms=UnixMs(_typed(fields["ended_at_ms"], int)),
                previous=None if fields["previous"] is None else _typed(fields["previous"], Cid),
                segments=tuple(_segment_ref(ref) for ref in _typed(fields["segments"], list)),
                verdicts=_typed(fields["verdicts"], Cid),
                counts={key: _typed(count, int) for key, count in _typed(fields["counts"], dict).items()},
            )
        except KeyError as error:
            raise MalformedError(f"manifest lacks {error}") from error
        if manifest.to_block() != block:
            raise MalformedError("manifest has fields that do not belong to it")
        return manifest


def verdict_blocks(epoch: int, rows: Iterable[VerdictRow]) -> list[bytes]:
    """Return the verdict blocks of an epoch: its pages in order, then the root that links them."""
    pages: list[bytes] = []
    page: list[list[object]] = []
    for row in rows:
        device = None if row.device is None else row.device.key_id
        page.append([row.digest, device, row.sequence, int(row.verdict), row.received_at_ms, row.observations])
        if len(page) == ROWS_PER_PAGE:
            pages.append(dagcbor.encode(page))
            page = []
    if page:
        pages.append(dagcbor.encode(page))
    links = [Cid.of(block) for block in pages]
    return [*pages, dagcbor.encode({"v": FORMAT, "kind": "cairn/verdicts", "epoch": epoch, "pages": links})]


def verdict_pages(root_block: bytes) -> tuple[int, list[Cid]]:
    """Return the epoch and the page links of a verdict root.

    Raises:
        MalformedError: not a verdict root.
    """
    fields = _fields(root_block, "cairn/verdicts")
    if set(fields) != {"v", "kind", "epoch", "pages"}:
        raise MalformedError("verdict root has fields that do not belong to it")
    links = [_typed(link, Cid) for link in _typed(fields.get("pages"), list)]
    return _typed(fields.get("epoch"), int), links


def verdict_rows(page: bytes) -> Iterator[VerdictRow]:
    """Yield the rows of one verdict page.

    Raises:
        MalformedError: not a verdict page.
    """
    for raw in _typed(dagcbor.decode(page), list):
        row = _typed(raw, list)
        if len(row) != 6:
            raise MalformedError("a verdict row has six fields")
        try:
            verdict = Verdict(_typed(row[3], int))
        except ValueError as error:
            raise MalformedError(f"no such verdict: {row[3]}") from error
        yield VerdictRow(
            digest=_typed(row[0], bytes),
            device=None if row[1] is None else PublicKey(_typed(row[1], bytes)),
            sequence=_typed(row[2], int),
            verdict=verdict,
            received_at_ms=UnixMs(_typed(row[4], int)),
            observations=_typed(row[5], int),
        )


def _segment_ref(value: object) -> SegmentRef:
    fields = _typed(value, dict)
    return SegmentRef(_typed(fields["car"], Cid), _typed(fields["piece"], Cid), _typed(fields["size_bytes"], int))


def _fields(block: bytes, kind: str) -> dict[str, dagcbor.Value]:
    fields = _typed(dagcbor.decode(block), dict)
    if fields.get("v") != FORMAT or fields.get("kind") != kind:
        raise MalformedError(f"not a {kind} block")
    return fields


def _typed(value: object, kind: type[T]) -> T:
    if type(value) is not kind:
        raise MalformedError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value
