"""Strangers who bond devices that are not theirs: on a real chain, from the signature to the paid claim."""

from pathlib import Path

import pytest

from protocol.units import Wei
from rewards.chain.errors import RefusedError
from rewards.domain.report import DeviceBond, Reason
from rewards.domain.reportblocks import read_report, report_blocks
from rewards.runner import EpochRunner, Posted
from rewards.shelf import ReportShelf
from tests.support.reward_story import TOKEN_WEI, Device, Town

BOND_WEI = Wei(5 * TOKEN_WEI)


def _settle(town: Town, folder: Path, *, epoch: int, messages: list[bytes]) -> Posted:
    town.close_epoch(messages)
    step = EpochRunner(town.gateway, town.registry, ReportShelf(folder), town.hub_account).step()
    assert isinstance(step, Posted), step
    assert step.report.epoch == epoch
    return step


def _moments(town: Town, epoch: int) -> list[int]:
    start, end = town.publisher.interval(epoch)
    return [start + (2 * slot + 1) * (end - start) // 24 for slot in range(12)]


def test_a_stranger_who_bonded_the_device_first_is_not_paid_and_its_owner_is(town: Town, tmp_path: Path) -> None:
    device = Device(31, town.alice.account)
    key = device.keys.public_key
    town.bob.stake(key.raw, Wei(1))
    town.bob.stake(key.raw, Wei(1_000 * TOKEN_WEI))
    town.alice.stake(key.raw, BOND_WEI)
    at_ms = _moments(town, 1)
    report = _settle(town, tmp_path, epoch=1, messages=[device.enroll(at_ms[0]), device.watch(at_ms)]).report
    assert [(line.device, line.owner, line.reason) for line in report.lines] == [(key, town.alice.account, Reason.PAID)]
    assert report.earned_wei == {town.alice.account: 50 * TOKEN_WEI}
    assert [(bond.owner, bond.amount_wei) for bond in report.bonds] == [(town.alice.account, BOND_WEI)]


def test_a_strangers_older_bond_neither_lends_nor_takes_seniority(town: Town, tmp_path: Path) -> None:
    """Two devices look the same way. Bob's came first by his own bond; Alice's has only a stranger's older one."""
    alices, bobs = Device(32, town.alice.account), Device(33, town.bob.account)
    town.hub_account.stake(alices.keys.public_key.raw, BOND_WEI)
    town.bob.stake(bobs.keys.public_key.raw, BOND_WEI)
    town.alice.stake(alices.keys.public_key.raw, BOND_WEI)
    at_ms = _moments(town, 1)
    messages = [device.enroll(at_ms[0]) for device in (alices, bobs)] + [one.watch(at_ms) for one in (alices, bobs)]
    report = _settle(town, tmp_path, epoch=1, messages=messages).report
    assert {line.device: line.reason for line in report.lines} == {
        alices.keys.public_key: Reason.SAME_VANTAGE,
        bobs.keys.public_key: Reason.PAID,
    }


def test_bonds_of_strangers_alone_pay_nobody_and_the_report_names_those_that_would_do(
    town: Town, tmp_path: Path
) -> None:
    device = Device(34, town.alice.account)
    key = device.keys.public_key
    since = {one.account: one.stake(key.raw, BOND_WEI).block_number for one in (town.bob, town.hub_account)}
    at_ms = _moments(town, 1)
    report = _settle(town, tmp_path, epoch=1, messages=[device.enroll(at_ms[0]), device.watch(at_ms)]).report
    assert report.lines[0].reason is Reason.BOND_OF_ANOTHER
    assert report.earned_wei == {}
    assert report.bonds == tuple(DeviceBond(key.raw, owner, BOND_WEI, since[owner]) for owner in sorted(since))
    blocks = report_blocks(report)
    assert read_report(blocks[-1], lambda cid: next(block for block in blocks if cid.matches(block))) == report
    town.alice.stake(key.raw, BOND_WEI)
    later = _settle(town, tmp_path, epoch=2, messages=[device.watch(_moments(town, 2))]).report
    assert later.earned_wei == {town.alice.account: 50 * TOKEN_WEI}


def test_a_strangers_speck_is_no_hint_and_takes_no_room(town: Town, tmp_path: Path) -> None:
    device = Device(35, town.alice.account)
    town.bob.stake(device.keys.public_key.raw, Wei(TOKEN_WEI - 1))
    at_ms = _moments(town, 1)
    report = _settle(town, tmp_path, epoch=1, messages=[device.enroll(at_ms[0]), device.watch(at_ms)]).report
    assert report.lines[0].reason is Reason.NOT_BONDED
    assert report.bonds == ()


def test_a_device_that_names_a_new_owner_is_paid_by_the_new_owners_bond(town: Town, tmp_path: Path) -> None:
    device = Device(36, town.alice.account)
    key = device.keys.public_key
    town.alice.stake(key.raw, BOND_WEI)
    town.bob.stake(key.raw, BOND_WEI)
    first, second = _moments(town, 1), _moments(town, 2)
    one = _settle(town, tmp_path, epoch=1, messages=[device.enroll(first[0]), device.watch(first)]).report
    sold = device.enroll(second[0], owner=town.bob.account)
    two = _settle(town, tmp_path, epoch=2, messages=[sold, device.watch(second)]).report
    assert one.earned_wei == {town.alice.account: 50 * TOKEN_WEI}
    assert two.earned_wei == {town.alice.account: 50 * TOKEN_WEI, town.bob.account: 50 * TOKEN_WEI}
    assert [bond.owner for bond in two.bonds] == [town.bob.account]
    town.alice.unbond(key.raw, BOND_WEI)  # the seller's money is the seller's
    with pytest.raises(RefusedError, match="still unbonding"):
        town.alice.withdraw(key.raw)
