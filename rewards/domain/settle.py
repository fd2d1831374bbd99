"""One epoch, settled: report N from report N-1, the verified evidence of epoch N and the chain at one block.

This is the whole of what hubs must agree on, so it is one pure function and everything else only fetches its
arguments. The pool is no setting either: it is what the contract lets an epoch add, as far as the rewards are funded.
"""

from collections.abc import Iterable, Mapping
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
    """The chain at the registry block: all bonds, what was ever funded, what one epoch may add.

    ``bonds`` are by device key, then by owner: anyone may bond any device, only the owner it names is looked up.
    """

    ledger: Ledger
    bonds: Mapping[bytes, Mapping[bytes, DeviceBond]]
    funded_wei: Wei
    epoch_cap_wei: Wei

    def bond_of(self, device: PublicKey, owner: bytes) -> DeviceBond | None:
        """Return the bond of account ``owner`` on ``device``, if there is one."""
        return self.bonds.get(device.raw, {}).get(owner)


def bonds_by_device(bonds: Iterable[DeviceBond]) -> Mapping[bytes, Mapping[bytes, DeviceBond]]:
    """Return ``bonds`` by device key, then by owner, as a `Registry` keeps them."""
    by_device: dict[bytes, dict[bytes, DeviceBond]] = {}
    for bond in bonds:
        by_device.setdefault(bond.device_key, {})[bond.owner] = bond
    return by_device


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
    used = {one.device: _bonds_used(one.device, enrolled, registry, ruleset) for one in heard}
    refusals = {one.device: _refusal(one, enrolled, used[one.device], ruleset) for one in heard}
    candidates = [
        Candidate(one.device, one.vantage, one.slots, used[one.device][0].since_block)
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
        bonds=tuple(bond for one in heard for bond in used[one.device]),
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


def _bonds_used(
    device: PublicKey, enrolled: Mapping[PublicKey, Enrolled], registry: Registry, ruleset: Ruleset
) -> tuple[DeviceBond, ...]:
    """Return the bonds that a device's reason rests on, in ascending order of owner.

    The named owner's own bond, and then nobody else's matters. Where that owner has none, those of other accounts that
    would do, as a hint where the owner's money may have gone; a smaller one is left out, for dust costs nothing to post
    and every row costs everybody.
    """
    if device not in enrolled:
        return ()
    own = registry.bond_of(device, enrolled[device].owner)
    if own is not None:
        return (own,)
    others = registry.bonds.get(device.raw, {}).values()
    return tuple(sorted(bond for bond in others if bond.amount_wei >= ruleset.min_bond_wei))


def _refusal(
    heard: DeviceActivity,
    enrolled: Mapping[PublicKey, Enrolled],
    used: tuple[DeviceBond, ...],
    ruleset: Ruleset,
) -> Reason | None:
    """Why a device cannot be paid at all; None if it can."""
    if heard.vantage is None:
        return Reason.INACTIVE
    if heard.device not in enrolled:
        return Reason.NOT_ENROLLED
    if not used:
        return Reason.NOT_BONDED
    if used[0].owner != enrolled[heard.device].owner:
        return Reason.BOND_OF_ANOTHER
    return Reason.BOND_TOO_SMALL if used[0].amount_wei < ruleset.min_bond_wei else None


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
