"""The manifest and the verdicts: what is written is read, and nothing else is a manifest."""

import hashlib

import pytest

from protocol import dagcbor
from protocol.cid import CAR, RAW, Cid
from protocol.errors import MalformedError
from protocol.identity import KeyPair
from protocol.manifest import (
    ROWS_PER_PAGE,
    EpochManifest,
    SegmentRef,
    VerdictRow,
    verdict_blocks,
    verdict_pages,
    verdict_rows,
)
from protocol.units import UnixMs
from protocol.verdict import Verdict

HUB = KeyPair(b"\x09" * 32).public_key
DIGEST = hashlib.sha256(b"a block").digest()


def _manifest(previous: Cid | None = None) -> EpochManifest:
    return EpochManifest(
        network="test",
        hub=HUB,
        epoch=4,
        started_at_ms=UnixMs(1_000),
        ended_at_ms=UnixMs(2_000),
        previous=previous,
        segments=(SegmentRef(Cid.of_digest(DIGEST, CAR), Cid.of(b"piece", RAW), 12_345),),
        verdicts=Cid.of(b"verdicts"),
        counts={"accepted": 3, "bad_signature": 1},
    )


@pytest.mark.parametrize("previous", [None, Cid.of(b"the epoch before")])
def test_a_manifest_comes_back_from_its_block(previous: Cid | None) -> None:
    manifest = _manifest(previous)
    assert EpochManifest.from_block(manifest.to_block()) == manifest


def test_a_block_with_any_other_shape_is_no_manifest() -> None:
    fields: object = dagcbor.decode(_manifest().to_block())
    assert isinstance(fields, dict)
    wrong: list[dict[str, object]] = [
        *({name: value for name, value in fields.items() if name != absent} for absent in fields),
        *({**fields, name: "text"} for name in fields if name != "network"),
        {**fields, "network": 1},
        {**fields, "extra": 1},
        {**fields, "ended_at_ms": 1_000},
        {**fields, "segments": [{"car": Cid.of(b"")}]},
        {**fields, "counts": {"accepted": "3"}},
    ]
    for shape in wrong:
        with pytest.raises(MalformedError):
            EpochManifest.from_block(dagcbor.encode(shape))


@pytest.mark.parametrize("count", [0, 1, ROWS_PER_PAGE, ROWS_PER_PAGE + 1])
def test_verdicts_come_back_in_order_from_their_pages(count: int) -> None:
    rows = [
        VerdictRow(DIGEST, HUB if number % 2 else None, number, Verdict(number % 13), UnixMs(number), number % 7)
        for number in range(count)
    ]
    *pages, root = verdict_blocks(4, rows)
    epoch, links = verdict_pages(root)
    assert (epoch, links) == (4, [Cid.of(page) for page in pages])
    assert [row for page in pages for row in verdict_rows(page)] == rows


def test_a_verdict_root_with_any_other_field_is_malformed() -> None:
    (root,) = verdict_blocks(4, [])
    fields: object = dagcbor.decode(root)
    assert isinstance(fields, dict)
    for wrong in ({**fields, "extra": 0}, {**fields, "v": 2}, {**fields, "epoch": "4"}, {**fields, "pages": [0]}):
        with pytest.raises(MalformedError):
            verdict_pages(dagcbor.encode(wrong))


def test_a_page_with_a_wrong_row_is_malformed() -> None:
    good: list[object] = [DIGEST, HUB.key_id, 1, 0, 5, 2]
    for place, value in (
        (0, "text"),
        (0, DIGEST[1:]),
        (2, -1),
        (4, -1),
        (5, -1),
        (1, b"no key"),
        (2, None),
        (3, 99),
        (4, "5"),
        (5, True),
    ):
        row = [*good[:place], value, *good[place + 1 :]]
        with pytest.raises(MalformedError):
            list(verdict_rows(dagcbor.encode([row])))
    pages: list[object] = [[good[:-1]], [[*good, 0]], {"rows": []}]
    for page in pages:
        with pytest.raises(MalformedError):
            list(verdict_rows(dagcbor.encode(page)))
