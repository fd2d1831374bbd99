"""Compute one epoch's report from what is published: the way of the runner and of every auditor alike."""

from collections.abc import Iterator
from dataclasses import dataclass

from protocol.cid import Cid
from protocol.errors import ProtocolError
from protocol.manifest import EpochManifest, VerdictRow, verdict_pages, verdict_rows
from rewards.domain.errors import EvidenceError
from rewards.domain.evidence import EpochEvidence, EvidenceReader
from rewards.domain.report import EpochReport
from rewards.domain.rulesets import ruleset_for
from rewards.domain.settle import settle
from rewards.gateway import Gateway
from rewards.registry import ChainRegistry


@dataclass(frozen=True, slots=True)
class Waiting:
    """An epoch cannot be settled yet. Not an error; ``reason`` is a sentence."""

    reason: str


def fetch_evidence(hub: Gateway, manifest_cid: Cid) -> EpochEvidence:
    """Return the verified evidence behind a manifest.

    Raises:
        GatewayError: something it links is not to be had, or is not what its link says.
        EvidenceError: it is there, but contradicts itself.
    """
    try:
        manifest = EpochManifest.from_block(hub.block(manifest_cid))
        rows = list(_rows(hub, manifest))
    except ProtocolError as error:
        raise EvidenceError(f"manifest {manifest_cid} or its verdicts are broken: {error}") from error
    reader = EvidenceReader(manifest, rows)
    for ref in manifest.segments:
        with hub.segment(ref) as car:
            reader.read_segment(car)
    return reader.finish()


def recompute(
    hub: Gateway, registry: ChainRegistry, manifest_cid: Cid, *, previous: EpochReport | None
) -> EpochReport | Waiting:
    """Return the report of the epoch whose manifest is ``manifest_cid``, or why it must wait.

    Raises:
        GatewayError: something is not to be had, or is not what its link says.
        SettlementError: the published bytes contradict themselves.
        ChainError: the node failed.
    """
    evidence = fetch_evidence(hub, manifest_cid)
    ruleset = ruleset_for(evidence.manifest.epoch)
    block_number = registry.block_before(evidence.manifest.ended_at_ms)
    if block_number is None:
        return Waiting(f"The chain has no block after the end of epoch {evidence.manifest.epoch} yet.")
    return settle(evidence, registry.at(block_number, min_bond_wei=ruleset.min_bond_wei), ruleset, previous=previous)


def _rows(hub: Gateway, manifest: EpochManifest) -> Iterator[VerdictRow]:
    epoch, pages = verdict_pages(hub.block(manifest.verdicts))
    if epoch != manifest.epoch:
        raise EvidenceError(f"the verdicts of epoch {epoch} are listed under epoch {manifest.epoch}")
    for page in pages:
        yield from verdict_rows(hub.block(page))
