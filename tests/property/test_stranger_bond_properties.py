"""Anyone may bond any device. Only the bond of the very owner a device names gives it pay; no other takes any away."""

from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.units import Wei
from rewards.domain.evidence import EpochEvidence, latest_enrollments
from rewards.domain.report import DeviceBond, EpochReport, Line, Reason
from rewards.domain.reportblocks import report_blocks
from rewards.domain.rulesets import CAIRN_1
from rewards.domain.settle import Registry, bonds_by_device, settle
from tests.support.reward_epochs import OWNERS, bonds_on, device_key, paying_epochs

NEWCOMERS = (b"\xe1" * 20, b"\xe2" * 20)  # accounts that no device names
NO_OWN_BOND = {Reason.NOT_BONDED, Reason.BOND_OF_ANOTHER}
strangers_bonds = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(OWNERS + NEWCOMERS)).flatmap(lambda pair: bonds_on(*pair)),
    min_size=1,
    max_size=12,
    unique_by=lambda bond: (bond.device_key, bond.owner),
)


def _with(registry: Registry, more: list[DeviceBond]) -> Registry:
    """Return ``registry`` with ``more`` bonds; they take the place of those of the same pair."""
    held = [bond for owners in registry.bonds.values() for bond in owners.values()]
    return Registry(registry.ledger, bonds_by_device([*held, *more]), registry.funded_wei, registry.epoch_cap_wei)


def _strangers_only(evidence: EpochEvidence, bonds: list[DeviceBond]) -> list[DeviceBond]:
    """Return those of ``bonds`` whose account is not the owner that the device names."""
    named = {device.raw: one.owner for device, one in latest_enrollments((), evidence.enrollments).items()}
    return [bond for bond in bonds if named.get(bond.device_key) != bond.owner]


def _without_hint(line: Line) -> tuple[object, ...]:
    """What a line says, but for which word tells an owner that he has no bond of his own."""
    reason = Reason.NOT_BONDED if line.reason in NO_OWN_BOND else line.reason
    return line.device, line.owner, line.slots, line.weight_ppm, line.share_wei, reason


def _settle(evidence: EpochEvidence, registry: Registry) -> EpochReport:
    return settle(evidence, registry, CAIRN_1, previous=None)


@given(paying_epochs(), strangers_bonds)
def test_a_strangers_bond_on_a_device_changes_nothing_for_its_owner(
    epoch: tuple[EpochEvidence, Registry], bonds: list[DeviceBond]
) -> None:
    evidence, registry = epoch
    strangers = _strangers_only(evidence, bonds)
    assume(strangers)
    before, after = _settle(evidence, registry), _settle(evidence, _with(registry, strangers))
    assert after.merkle_root == before.merkle_root
    assert after.accounts == before.accounts
    assert after.unallocated_wei == before.unallocated_wei
    assert [_without_hint(line) for line in after.lines] == [_without_hint(line) for line in before.lines]
    own = {(line.device.raw, line.owner) for line in before.lines}
    assert [bond for bond in after.bonds if (bond.device_key, bond.owner) in own] == [
        bond for bond in before.bonds if (bond.device_key, bond.owner) in own
    ]


@given(paying_epochs(), strangers_bonds)
def test_where_every_owner_has_a_bond_strangers_cannot_even_change_a_byte_of_the_report(
    epoch: tuple[EpochEvidence, Registry], bonds: list[DeviceBond]
) -> None:
    evidence, registry = epoch
    strangers = _strangers_only(evidence, bonds)
    named = latest_enrollments((), evidence.enrollments)
    devices = {bond.device_key for bond in strangers}
    assume(all(registry.bond_of(device, one.owner) for device, one in named.items() if device.raw in devices))
    before, after = _settle(evidence, registry), _settle(evidence, _with(registry, strangers))
    assert report_blocks(after) == report_blocks(before)


@given(paying_epochs(), strangers_bonds)
def test_bonds_below_the_minimum_cannot_swell_the_report(
    epoch: tuple[EpochEvidence, Registry], bonds: list[DeviceBond]
) -> None:
    evidence, registry = epoch
    dust = [bond for bond in _strangers_only(evidence, bonds) if bond.amount_wei < CAIRN_1.min_bond_wei]
    held = {(key, owner) for key, owners in registry.bonds.items() for owner in owners}
    new = [bond for bond in dust if (bond.device_key, bond.owner) not in held]
    assume(new)
    assert report_blocks(_settle(evidence, _with(registry, new))) == report_blocks(_settle(evidence, registry))


@given(paying_epochs(), st.integers(0, 3), st.sampled_from(NEWCOMERS))
def test_a_stranger_who_bonds_is_paid_nothing(
    epoch: tuple[EpochEvidence, Registry], number: int, stranger: bytes
) -> None:
    evidence, registry = epoch
    plenty = DeviceBond(device_key(number).raw, stranger, Wei(10**24), 0)
    report = _settle(evidence, _with(registry, [plenty]))
    assert stranger not in report.earned_wei
    assert stranger not in {line.owner for line in report.lines}


@given(paying_epochs(), strangers_bonds)
def test_whoever_is_paid_is_named_by_the_device_and_holds_enough_on_it(
    epoch: tuple[EpochEvidence, Registry], bonds: list[DeviceBond]
) -> None:
    evidence, registry = epoch[0], _with(epoch[1], bonds)
    named = latest_enrollments((), evidence.enrollments)
    report = _settle(evidence, registry)
    for line in report.lines:
        if line.share_wei:
            assert line.owner == named[line.device].owner
            bond = registry.bond_of(line.device, line.owner)
            assert bond is not None
            assert bond.amount_wei >= CAIRN_1.min_bond_wei
            assert bond in report.bonds
