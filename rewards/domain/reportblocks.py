"""An epoch report as blocks, and back. There is one encoding: a report has one CID.

Vectors and round trip: tests/property/test_report_properties.py.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from protocol import dagcbor
from protocol.cid import Cid
from protocol.claim import Claim
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.units import UnixMs, Wei
from rewards.domain.errors import ReportError
from rewards.domain.evidence import Enrolled
from rewards.domain.report import DeviceBond, EpochReport, Ledger, Line, Reason
from rewards.domain.vantage import Vantage

FORMAT: Final = 1
KIND: Final = "cairn/report"
ROWS_PER_PAGE: Final = 1_000

T = TypeVar("T")
Row = list[dagcbor.Value]


def report_blocks(report: EpochReport) -> list[bytes]:
    """Return the blocks of ``report``: its pages in order, then the root that links them."""
    pages: list[bytes] = []
    root = {
        "v": FORMAT,
        "kind": KIND,
        "network": report.network,
        "epoch": report.epoch,
        "ruleset": report.ruleset,
        "manifest": report.manifest,
        "previous": report.previous,
        "chain_id": report.ledger.chain_id,
        "contract": report.ledger.contract,
        "registry_block": report.ledger.registry_block,
        "pool_wei": str(report.pool_wei),
        "unallocated_wei": str(report.unallocated_wei),
        "cumulative_total_wei": str(report.cumulative_total_wei),
        "merkle_root": report.merkle_root,
        "lines": _paged([_line_row(line) for line in report.lines], pages),
        "bonds": _paged([_bond_row(bond) for bond in report.bonds], pages),
        "enrollments": _paged([_enrolled_row(enrolled) for enrolled in report.enrollments], pages),
        "accounts": _paged([_claim_row(claim) for claim in report.accounts], pages),
    }
    return [*pages, dagcbor.encode(root)]


def report_cid(report: EpochReport) -> Cid:
    """Return the CID of the root block: the report's name, whose digest is attested."""
    return Cid.of(report_blocks(report)[-1])


def read_report(root_block: bytes, fetch: Callable[[Cid], bytes]) -> EpochReport:
    """Return the report whose root block is ``root_block``.

    Args:
        root_block: the last of `report_blocks`.
        fetch: returns the block of a page by its CID; what it returns is checked.

    Raises:
        ReportError: not a report, a page is not what its link says, or the figures contradict each other.
    """
    try:
        report = _report(_as(dagcbor.decode(root_block), dict), fetch)
        again = report_blocks(report)[-1]
    except KeyError as error:
        raise ReportError(f"the report lacks {error}") from error
    except ReportError:
        raise
    except (ProtocolError, ValueError) as error:
        raise ReportError(f"not an epoch report: {error}") from error
    if again != root_block:
        raise ReportError("the report's root or total does not follow from its own rows")
    return report


def _report(root: dict[str, dagcbor.Value], fetch: Callable[[Cid], bytes]) -> EpochReport:
    if root.get("v") != FORMAT or root.get("kind") != KIND:
        raise ReportError(f"not a {KIND} block")

    def rows(name: str) -> list[Row]:
        return [row for link in _as(root[name], list) for row in _page(_as(link, Cid), fetch)]

    return EpochReport(
        network=_as(root["network"], str),
        epoch=_as(root["epoch"], int),
        ruleset=_as(root["ruleset"], str),
        manifest=_as(root["manifest"], Cid),
        previous=None if root["previous"] is None else _as(root["previous"], Cid),
        ledger=Ledger(_as(root["chain_id"], int), _as(root["contract"], bytes), _as(root["registry_block"], int)),
        pool_wei=_wei(root["pool_wei"]),
        unallocated_wei=_wei(root["unallocated_wei"]),
        lines=tuple(_line(row) for row in rows("lines")),
        bonds=tuple(_bond(row) for row in rows("bonds")),
        enrollments=tuple(_enrolled(row) for row in rows("enrollments")),
        accounts=tuple(_claim(row) for row in rows("accounts")),
    )


def _paged(rows: Sequence[Row], pages: list[bytes]) -> list[Cid]:
    """Append the pages of ``rows`` to ``pages`` and return the links to them."""
    blocks = [dagcbor.encode(rows[at : at + ROWS_PER_PAGE]) for at in range(0, len(rows), ROWS_PER_PAGE)]
    pages.extend(blocks)
    return [Cid.of(block) for block in blocks]


def _page(link: Cid, fetch: Callable[[Cid], bytes]) -> list[Row]:
    block = fetch(link)
    if not link.matches(block):
        raise ReportError(f"page {link} of the report is not what its link says")
    return [_as(row, list) for row in _as(dagcbor.decode(block), list)]


def _line_row(line: Line) -> Row:
    vantage = line.vantage
    return [
        line.device.key_id,
        line.owner,
        None if vantage is None else [vantage.lat_grid, vantage.lon_grid, vantage.octant],
        list(line.slots),
        line.envelopes,
        line.observations,
        line.weight_ppm,
        str(line.share_wei),
        str(line.reason),
    ]


def _line(row: Row) -> Line:
    device, owner, vantage, slots, envelopes, observations, weight_ppm, share_wei, reason = _exactly(row, 9)
    place = None if vantage is None else [_as(number, int) for number in _exactly(_as(vantage, list), 3)]
    return Line(
        device=PublicKey(_as(device, bytes)),
        owner=None if owner is None else _as(owner, bytes),
        vantage=None if place is None else Vantage(*place),
        slots=tuple(_as(slot, int) for slot in _as(slots, list)),
        envelopes=_as(envelopes, int),
        observations=_as(observations, int),
        weight_ppm=_as(weight_ppm, int),
        share_wei=_wei(share_wei),
        reason=Reason(_as(reason, str)),
    )


def _bond_row(bond: DeviceBond) -> Row:
    return [bond.device_key, bond.owner, str(bond.amount_wei), bond.since_block]


def _bond(row: Row) -> DeviceBond:
    key, owner, amount_wei, since_block = _exactly(row, 4)
    return DeviceBond(_as(key, bytes), _as(owner, bytes), _wei(amount_wei), _as(since_block, int))


def _enrolled_row(enrolled: Enrolled) -> Row:
    return [enrolled.device.key_id, enrolled.owner, enrolled.created_at_ms, enrolled.digest]


def _enrolled(row: Row) -> Enrolled:
    device, owner, created_at_ms, digest = _exactly(row, 4)
    return Enrolled(
        PublicKey(_as(device, bytes)), _as(owner, bytes), UnixMs(_as(created_at_ms, int)), _as(digest, bytes)
    )


def _claim_row(claim: Claim) -> Row:
    return [claim.account, str(claim.cumulative_wei)]


def _claim(row: Row) -> Claim:
    account, cumulative_wei = _exactly(row, 2)
    return Claim(_as(account, bytes), _wei(cumulative_wei))


def _exactly(row: Row, members: int) -> Row:
    if len(row) != members:
        raise ReportError(f"a row of {len(row)} members where {members} belong")
    return row


def _wei(value: dagcbor.Value) -> Wei:
    text = _as(value, str)
    if not text.isascii() or not text.isdigit() or str(int(text)) != text:
        raise ReportError(f"not an amount in wei: {text[:80]!r}")
    return Wei(int(text))


def _as(value: dagcbor.Value, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ReportError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value
