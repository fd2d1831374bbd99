"""One epoch, settled: report N from report N-1, the verified evidence of epoch N and the chain at one block.

This is the whole of what hubs must agree on, so it is one pure function and everything else only fetches its
arguments. The pool is no setting either: it is what the contract lets an epoch add, as far as the rewards are funded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.cid import Cid
from protocol.claim import Claim
from protocol.identity import PublicKey
from protocol.units import Wei
from rewards.domain.activity import DeviceActivity, SlotClock, activities
from rewards.domain.allocate import allocate
from rewards.domain.errors import EvidenceError
from rewards.domain.evidence import Enrolled, EpochEvidence, latest_enrollments
from rewards.domain.report import DeviceBond, EpochReport, Ledger, Line, Reason
from rewards.domain.reportblocks import report_cid
from rewards.domain.rulesets import Ruleset
from rewards.domain.weights import Candidate


@dataclass(frozen=True, slots=True)
class Registry:
    """The chain at the registry block: the bonds by device key, what was ever funded, what one epoch may add."""

    ledger: Ledger
    bonds: Mapping[bytes, DeviceBond]
    funded_wei: Wei
    epoch_cap_wei: Wei


def pool_of(registry: Registry, earned_before_wei: Wei) -> Wei:
    """Return what the epoch may pay: the contract's cap, or what is funded and not earned yet, if that is less."""
    return Wei(max(0, min(registry.epoch_cap_wei, registry.funded_wei - earned_before_wei)))


def settle(
    evidence: EpochEvidence, registry: Registry, ruleset: Ruleset, *, previous: EpochReport | None
) -> EpochReport:
    """Return the report of an epoch.

    Raises:
        EvidenceError: the manifest does not follow the previous report's.
        SettlementError: an invariant of allocation or report would be broken.
    """
    manifest = evidence.manifest
    _require_succession(evidence, previous)
    enrolled = latest_enrollments(() if previous is None else previous.enrollments, evidence.enrollments)
    heard = activities(evidence.envelopes, SlotClock(manifest.started_at_ms, manifest.ended_at_ms, ruleset.slots))
    refusals = {one.device: _refusal(one, enrolled, registry, ruleset) for one in heard}
    candidates = [
        Candidate(one.device, one.vantage, one.slots, registry.bonds[one.device.raw].since_block)
        for one in heard
        if refusals[one.device] is None and one.vantage is not None
    ]
    weights = ruleset.weigh(candidates, redundancy=ruleset.redundancy)
    pool_wei = pool_of(registry, Wei(0) if previous is None else previous.cumulative_total_wei)
    allocation = allocate(pool_wei, weights, slots=ruleset.slots)
    weight_ppm = {device: weight for members in weights.values() for device, weight in members.items()}
    lines = tuple(
        _line(
            one,
            owner=enrolled[one.device].owner if one.device in enrolled else None,
            weight_ppm=weight_ppm.get(one.device, 0),
            share_wei=allocation.shares_wei.get(one.device, Wei(0)),
            refusal=refusals[one.device],
        )
        for one in heard
    )
    return EpochReport(
        network=manifest.network,
        epoch=manifest.epoch,
        ruleset=ruleset.name,
        manifest=Cid.of(manifest.to_block()),
        previous=None if previous is None else report_cid(previous),
        ledger=registry.ledger,
        pool_wei=pool_wei,
        unallocated_wei=allocation.unallocated_wei,
        lines=lines,
        bonds=tuple(registry.bonds[one.device.raw] for one in heard if one.device.raw in registry.bonds),
        enrollments=tuple(enrolled[device] for device in sorted(enrolled)),
        accounts=_accounts(previous, lines),
    )


def _require_succession(evidence: EpochEvidence, previous: EpochReport | None) -> None:
    manifest = evidence.manifest
    expected_epoch = 1 if previous is None else previous.epoch + 1
    if manifest.epoch != expected_epoch:
        raise EvidenceError(f"the manifest is of epoch {manifest.epoch}, epoch {expected_epoch} is next")
    before = None if previous is None else previous.manifest
    if manifest.previous != before:
        raise EvidenceError(
            f"the manifest of epoch {manifest.epoch} follows manifest {manifest.previous}, but {before} was paid"
        )
    if previous is not None and manifest.network != previous.network:
        raise EvidenceError(f"the manifest is of network {manifest.network!r}, not {previous.network!r}")


def _refusal(
    heard: DeviceActivity, enrolled: Mapping[PublicKey, Enrolled], registry: Registry, ruleset: Ruleset
) -> Reason | None:
    """Why a device cannot be paid at all; None if it can."""
    if heard.vantage is None:
        return Reason.INACTIVE
    if heard.device not in enrolled:
        return Reason.NOT_ENROLLED
    bond = registry.bonds.get(heard.device.raw)
    if bond is None:
        return Reason.NOT_BONDED
    if bond.owner != enrolled[heard.device].owner:
        return Reason.BOND_OF_ANOTHER
    return Reason.BOND_TOO_SMALL if bond.amount_wei < ruleset.min_bond_wei else None


def _line(
    heard: DeviceActivity, *, owner: bytes | None, weight_ppm: int, share_wei: Wei, refusal: Reason | None
) -> Line:
    if refusal is None:
        refusal = Reason.PAID if share_wei else Reason.POOL_TOO_SMALL if weight_ppm else Reason.SAME_VANTAGE
    return Line(
        device=heard.device,
        owner=owner,
        vantage=heard.vantage,
        slots=tuple(sorted(heard.slots)),
        envelopes=heard.envelopes,
        observations=heard.observations,
        weight_ppm=weight_ppm,
        share_wei=share_wei,
        reason=refusal,
    )


def _accounts(previous: EpochReport | None, lines: tuple[Line, ...]) -> tuple[Claim, ...]:
    earned_wei: dict[bytes, Wei] = {} if previous is None else dict(previous.earned_wei)
    for line in lines:
        if line.owner is not None and line.share_wei:
            earned_wei[line.owner] = Wei(earned_wei.get(line.owner, 0) + line.share_wei)
    return tuple(Claim(account, earned_wei[account]) for account in sorted(earned_wei))
