"""Recompute every epoch from the first to N and hold it against the chain: anybody's laptop, nobody's word.

The chain names, for every epoch, the digests of the manifest and of the report, the root and the registry block. From
the manifest's digest everything else is fetched by hash from any gateway; the report is computed, never fetched. Only
where the two differ is the published report fetched too, to say where the difference begins.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields

from protocol.cid import Cid
from rewards.chain.values import PostedRoot
from rewards.domain.errors import ReportError, SettlementError
from rewards.domain.report import EpochReport, Line
from rewards.domain.reportblocks import read_report, report_cid
from rewards.gateway import Gateway, GatewayError, UnfaithfulError
from rewards.recompute import Waiting, recompute
from rewards.registry import ChainRegistry


@dataclass(frozen=True, slots=True)
class EpochAudit:
    """What one epoch came to. ``difference`` is None where the chain and the recomputation agree."""

    epoch: int
    root: bytes
    envelopes: int
    observations: int
    devices: int
    paid_wei: int
    difference: str | None

    @property
    def is_same(self) -> bool:
        """Whether the root on chain is the root that follows from the published bytes."""
        return self.difference is None


def audit(
    hub: Gateway, reports: Gateway | None, registry: ChainRegistry, *, up_to: int, told: Callable[[str], None]
) -> Iterator[EpochAudit]:
    """Yield the audit of epoch 1, 2, ... ``up_to``, and stop behind the first that differs.

    Args:
        hub: serves manifests, verdicts and segments.
        reports: serves the published reports; used only to explain a difference.
        registry: the chain.
        up_to: the last epoch; it must have been posted.
        told: hears one sentence of progress an epoch.

    Raises:
        AuditError: the chain has no such epoch.
        GatewayError: something is not to be had. (Other bytes than the chain's digests name are a difference.)
        ChainError: the node failed.
    """
    posted = {root.attestation.epoch: root for root in registry.contract.roots()}
    if up_to not in posted:
        known = f"up to epoch {max(posted)}" if posted else "no root at all"
        raise AuditError(f"Epoch {up_to} has no root on chain, which has {known}: wait, or name an earlier epoch.")
    if (first := min(posted)) != 1:
        # The contract takes any number first; what was earned before it is nowhere to be recomputed from.
        raise AuditError(f"The first root on chain is of epoch {first}, not 1: nobody can recompute from there.")
    previous: EpochReport | None = None
    for epoch in range(1, up_to + 1):
        told(f"epoch {epoch}: fetching, checking signatures, recomputing")
        outcome, previous = _audit_epoch(hub, reports, registry, posted[epoch], previous)
        yield outcome
        if not outcome.is_same:
            return


class AuditError(Exception):
    """The audit cannot be made; the message says what to do."""


def _audit_epoch(
    hub: Gateway, reports: Gateway | None, registry: ChainRegistry, posted: PostedRoot, previous: EpochReport | None
) -> tuple[EpochAudit, EpochReport | None]:
    said = posted.attestation
    try:
        report = recompute(hub, registry, Cid.of_digest(said.manifest_digest), previous=previous)
    except (SettlementError, UnfaithfulError) as error:
        return EpochAudit(said.epoch, said.root, 0, 0, 0, 0, f"{error}"), None
    if isinstance(report, Waiting):
        raise AuditError(report.reason)
    return (
        EpochAudit(
            epoch=said.epoch,
            root=report.merkle_root,
            envelopes=sum(line.envelopes for line in report.lines),
            observations=sum(line.observations for line in report.lines),
            devices=len(report.lines),
            paid_wei=sum(line.share_wei for line in report.lines),
            difference=_difference(report, posted, reports),
        ),
        report,
    )


def _difference(ours: EpochReport, posted: PostedRoot, reports: Gateway | None) -> str | None:
    said = posted.attestation
    computed = report_cid(ours)
    agrees = (
        (said.epoch, said.root, said.cumulative_total_wei, said.registry_block)
        == (ours.epoch, ours.merkle_root, ours.cumulative_total_wei, ours.ledger.registry_block)
    ) and computed.digest == said.report_digest
    if agrees:
        return None
    if said.registry_block != ours.ledger.registry_block:
        return f"the chain says registry block {said.registry_block}, the epoch's is {ours.ledger.registry_block}"
    if computed.digest != said.report_digest:
        return _explain(ours, Cid.of_digest(said.report_digest), reports)
    if said.root != ours.merkle_root:
        return f"the root on chain is 0x{said.root.hex()}, the same report's root is 0x{ours.merkle_root.hex()}"
    return (
        f"the chain says that {said.cumulative_total_wei} wei were earned so far,"
        f" the report adds up to {ours.cumulative_total_wei}"
    )


def _explain(ours: EpochReport, published: Cid, reports: Gateway | None) -> str:
    """Say where the published report begins to differ from ours."""
    nameless = f"the chain names report {published}, recomputing gives {report_cid(ours)}"
    if reports is None:
        return f"{nameless} (name a reward service with --reports to see where they part)"
    try:
        theirs = read_report(reports.block(published), reports.block)
    except GatewayError as error:
        return f"{nameless}; the published one is not to be had: {error}"
    except ReportError as error:
        return f"{nameless}; the published one is no valid report: {error}"
    return first_difference(theirs, ours) or nameless


def first_difference(theirs: EpochReport, ours: EpochReport) -> str | None:
    """Return a sentence on the first thing in which a published report differs from the recomputed one."""
    for one, other in zip(theirs.lines, ours.lines, strict=False):
        if one != other:
            return _line_difference(one, other)
    if len(theirs.lines) != len(ours.lines):
        return f"the published report has lines for {len(theirs.lines)} devices, recomputing gives {len(ours.lines)}"
    for claim, own in zip(theirs.accounts, ours.accounts, strict=False):
        if claim != own:
            return (
                f"the published report gives account 0x{claim.account.hex()} {claim.cumulative_wei} wei so far,"
                f" recomputing gives 0x{own.account.hex()} {own.cumulative_wei} wei"
            )
    for field in fields(theirs):
        if getattr(theirs, field.name) != getattr(ours, field.name):
            return f"{field.name}: published {_short(theirs, field.name)}, recomputed {_short(ours, field.name)}"
    return None


def _line_difference(theirs: Line, ours: Line) -> str:
    if theirs.device != ours.device:
        return f"the published report has a line for {theirs.device.name} where {ours.device.name} belongs"
    for field in fields(theirs):
        if getattr(theirs, field.name) != getattr(ours, field.name):
            return (
                f"device {ours.device.name}: {field.name} is published as {_short(theirs, field.name)},"
                f" recomputing gives {_short(ours, field.name)}"
            )
    raise AssertionError


def _short(holder: object, name: str) -> str:
    value = getattr(holder, name)
    return f"{len(value)} rows" if isinstance(value, tuple) and len(value) > 12 else f"{value}"
