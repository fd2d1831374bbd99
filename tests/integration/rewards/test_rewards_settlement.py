"""From devices' signatures to a paid claim on a real chain, and every way of cheating on that road."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.cid import Cid
from protocol.claim import Claim
from protocol.envelope import block_digest
from protocol.manifest import VerdictRow
from protocol.observation import Position
from protocol.units import Udeg, Wei
from protocol.verdict import Verdict
from rewards.audit import AuditError, EpochAudit, audit
from rewards.chain.values import ProvenClaim
from rewards.domain.errors import EvidenceError
from rewards.domain.report import EpochReport, Reason
from rewards.domain.reportblocks import report_blocks
from rewards.gateway import Gateway, UnfaithfulError
from rewards.recompute import Waiting, recompute
from rewards.runner import EpochRunner, Posted, RunnerError, attestation_of
from rewards.shelf import ReportShelf
from tests.support.own_words import CROSSING, OWN_WORDS, STAY
from tests.support.reward_story import TOKEN_WEI, Device, Town

BOND_WEI = Wei(5 * TOKEN_WEI)


def _quiet(_: str) -> None:
    pass


def _spread(town: Town, epoch: int, slots: range = range(12)) -> list[int]:
    start, end = town.publisher.interval(epoch)
    return [start + (2 * slot + 1) * (end - start) // 24 for slot in slots]


def _runner(town: Town, folder: Path) -> EpochRunner:
    return EpochRunner(town.gateway, town.registry, ReportShelf(folder), town.hub_account)


def _post(runner: EpochRunner) -> EpochReport:
    step = runner.step()
    assert isinstance(step, Posted), step
    return step.report


def _audit(town: Town, up_to: int, reports: Gateway | None = None) -> list[EpochAudit]:
    return list(audit(town.gateway, reports, town.registry, up_to=up_to, told=_quiet))


@pytest.fixture
def alices(town: Town) -> Device:
    """A device of Alice's, bonded."""
    device = Device(1, town.alice.account)
    town.alice.stake(device.keys.public_key.raw, BOND_WEI)
    return device


@pytest.fixture
def bobs(town: Town) -> Device:
    device = Device(2, town.bob.account)
    town.bob.stake(device.keys.public_key.raw, BOND_WEI)
    return device


def _two_epochs(town: Town, runner: EpochRunner, alices: Device, bobs: Device) -> tuple[EpochReport, EpochReport]:
    """Epoch 1: Alice alone. Epoch 2: Alice and Bob look at the same cell from two sides."""
    first_ms = _spread(town, 1)
    town.close_epoch([alices.enroll(first_ms[0]), bobs.enroll(first_ms[0]), alices.watch(first_ms)])
    one = _post(runner)
    other_side = _looking(270_000)
    town.close_epoch([alices.watch(_spread(town, 2)), bobs.watch(_spread(town, 2, range(6)), position=other_side)])
    return one, _post(runner)


def _looking(heading_mdeg: int) -> Position:
    return Position(Udeg(52_520_000), Udeg(13_405_000), 5_000, heading_mdeg)


def _claim(town: Town, report: EpochReport, account: bytes) -> int:
    claims = report.claims()
    index = next(n for n, claim in enumerate(claims) if claim.account == account)
    paid = town.bob.claim(ProvenClaim(claims[index], report.tree().proof(index)))
    return int(paid.amounts_wei[account])


def test_signed_envelopes_become_a_paid_claim_and_the_audit_says_the_same_root(
    town: Town, tmp_path: Path, alices: Device, bobs: Device
) -> None:
    one, two = _two_epochs(town, _runner(town, tmp_path), alices, bobs)
    # Alone in the cell Alice gets half of it; in half of the second epoch Bob is there too and they get a half each.
    assert one.earned_wei == {town.alice.account: 50 * TOKEN_WEI}
    assert one.unallocated_wei == 50 * TOKEN_WEI
    assert two.earned_wei == {town.alice.account: 100 * TOKEN_WEI, town.bob.account: 25 * TOKEN_WEI}
    before_wei = town.alice.token_balance_wei()
    assert _claim(town, two, town.alice.account) == 100 * TOKEN_WEI
    assert town.alice.token_balance_wei() - before_wei == 100 * TOKEN_WEI
    outcomes = _audit(town, 2)
    assert [outcome.difference for outcome in outcomes] == [None, None]
    assert [outcome.root for outcome in outcomes] == [root.attestation.root for root in town.contract.roots()]
    assert [outcome.observations for outcome in outcomes] == [12, 18]


def test_health_and_gaps_earn_nothing_and_the_audit_says_the_same_root(
    town: Town, tmp_path: Path, alices: Device, bobs: Device
) -> None:
    start_ms = _spread(town, 1)
    talk = (CROSSING, STAY, *OWN_WORDS)
    told = [alices.watch(start_ms, also=talk), bobs.watch([], also=talk)]
    town.close_epoch([alices.enroll(start_ms[0]), bobs.enroll(start_ms[0]), *told])
    report = _post(_runner(town, tmp_path))
    assert {line.reason: line.observations for line in report.lines} == {Reason.PAID: 12, Reason.INACTIVE: 0}
    assert report.earned_wei == {town.alice.account: 50 * TOKEN_WEI}
    (outcome,) = _audit(town, 1)
    assert (outcome.difference, outcome.observations) == (None, 12)


def test_a_runner_whose_folder_is_deleted_rebuilds_every_report_and_goes_on(
    town: Town, tmp_path: Path, alices: Device, bobs: Device
) -> None:
    one, two = _two_epochs(town, _runner(town, tmp_path / "first"), alices, bobs)
    town.close_epoch([alices.watch(_spread(town, 3))])
    three = _post(_runner(town, tmp_path / "second"))
    kept = ReportShelf(tmp_path / "second")
    assert [kept.report(epoch) for epoch in kept.epochs()] == [one, two, three]


def test_a_runner_killed_between_computing_and_attesting_attests_the_same_report_later(
    town: Town, tmp_path: Path, alices: Device
) -> None:
    town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    unattested = EpochRunner(town.gateway, town.registry, ReportShelf(tmp_path), None).step()
    assert isinstance(unattested, Waiting)
    kept = ReportShelf(tmp_path).report(1)
    assert _post(_runner(town, tmp_path)) == kept


def test_stepping_again_attests_nothing_twice(town: Town, tmp_path: Path, alices: Device) -> None:
    town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    runner = _runner(town, tmp_path)
    _post(runner)
    assert isinstance(runner.step(), Waiting)
    assert isinstance(_runner(town, tmp_path).step(), Waiting)
    assert len(town.contract.roots()) == 1


def test_an_epoch_is_not_settled_before_the_chain_has_passed_its_end(town: Town, tmp_path: Path) -> None:
    town.publisher.publish([])
    waiting = _runner(town, tmp_path).step()
    assert waiting == Waiting("The chain has no block after the end of epoch 1 yet.")


def test_an_epoch_in_which_nobody_earned_still_gets_a_root(town: Town, tmp_path: Path) -> None:
    town.close_epoch([])
    report = _post(_runner(town, tmp_path))
    assert report.accounts == ()
    assert report.unallocated_wei == report.pool_wei == 100 * TOKEN_WEI
    assert _audit(town, 1)[0].is_same


def test_every_device_learns_why_it_was_not_paid(town: Town, alices: Device) -> None:
    at_ms = _spread(town, 1)
    small = Device(10, town.alice.account)
    town.alice.stake(small.keys.public_key.raw, Wei(TOKEN_WEI - 1))
    stolen = Device(11, town.bob.account)
    town.alice.stake(stolen.keys.public_key.raw, BOND_WEI)
    unbonded = Device(12, town.alice.account)
    never_enrolled = Device(13, town.alice.account)
    idle = Device(14, town.alice.account)
    later_sybil = Device(15, town.bob.account)
    town.bob.stake(later_sybil.keys.public_key.raw, Wei(1_000 * TOKEN_WEI))
    devices = [alices, small, stolen, unbonded, idle, later_sybil]
    manifest = town.close_epoch(
        [device.enroll(at_ms[0]) for device in devices]
        + [device.watch(() if device is idle else at_ms) for device in devices]
        + [never_enrolled.watch(at_ms)]
    )
    report = recompute(town.gateway, town.registry, Cid.of(manifest.to_block()), previous=None)
    assert isinstance(report, EpochReport)
    assert {line.device: line.reason for line in report.lines} == {
        alices.keys.public_key: Reason.PAID,
        small.keys.public_key: Reason.BOND_TOO_SMALL,
        stolen.keys.public_key: Reason.BOND_OF_ANOTHER,
        unbonded.keys.public_key: Reason.NOT_BONDED,
        never_enrolled.keys.public_key: Reason.NOT_ENROLLED,
        idle.keys.public_key: Reason.INACTIVE,
        later_sybil.keys.public_key: Reason.SAME_VANTAGE,
    }
    assert report.earned_wei == {town.alice.account: 50 * TOKEN_WEI}


def test_a_bond_posted_after_the_epoch_does_not_count_in_it(town: Town, tmp_path: Path) -> None:
    device = Device(20, town.alice.account)
    town.close_epoch([device.enroll(_spread(town, 1)[0]), device.watch(_spread(town, 1))])
    town.alice.stake(device.keys.public_key.raw, BOND_WEI)
    runner = _runner(town, tmp_path)
    assert _post(runner).lines[0].reason is Reason.NOT_BONDED
    town.close_epoch([device.watch(_spread(town, 2))])
    assert _post(runner).lines[0].reason is Reason.PAID


def test_seniority_is_lost_by_going_below_the_minimum_and_not_by_growing(
    town: Town, alices: Device, bobs: Device
) -> None:
    alices_key, bobs_key = alices.keys.public_key.raw, bobs.keys.public_key.raw
    town.bob.stake(bobs_key, BOND_WEI)
    first = town.registry.at(town.contract.block()[0], min_bond_wei=Wei(TOKEN_WEI))
    alice, bob = town.alice.account, town.bob.account
    assert first.bonds[alices_key][alice].since_block < first.bonds[bobs_key][bob].since_block
    town.alice.unbond(alices_key, Wei(BOND_WEI - 1))
    town.alice.stake(alices_key, BOND_WEI)
    second = town.registry.at(town.contract.block()[0], min_bond_wei=Wei(TOKEN_WEI))
    assert second.bonds[alices_key][alice].since_block > second.bonds[bobs_key][bob].since_block
    assert second.bonds[bobs_key][bob] == first.bonds[bobs_key][bob]


def test_a_drained_contract_pays_nothing_more_and_still_posts_roots(
    town: Town, tmp_path: Path, alices: Device, bobs: Device
) -> None:
    runner = _runner(town, tmp_path)
    other_side = _looking(270_000)
    reports = []
    for epoch in range(1, 12):
        at_ms = _spread(town, epoch)
        enrollments = [alices.enroll(at_ms[0]), bobs.enroll(at_ms[0])] if epoch == 1 else []
        town.close_epoch([*enrollments, alices.watch(at_ms), bobs.watch(at_ms, position=other_side)])
        reports.append(_post(runner))
    assert [report.pool_wei for report in reports] == [100 * TOKEN_WEI] * 10 + [0]
    assert reports[-1].cumulative_total_wei == 1_000 * TOKEN_WEI
    assert {line.reason for line in reports[-1].lines} == {Reason.POOL_TOO_SMALL}
    assert _claim(town, reports[-1], town.alice.account) == 500 * TOKEN_WEI


# ---------------------------------------------------------------------------------------------------- cheating


def _attest_forged(town: Town, report: EpochReport) -> None:
    town.hub_account.attest(attestation_of(report))


def test_an_amount_raised_by_the_attester_is_named_by_device(
    town: Town, tmp_path: Path, alices: Device, bobs: Device
) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    honest = recompute(town.gateway, town.registry, Cid.of(manifest.to_block()), previous=None)
    assert isinstance(honest, EpochReport)
    forged = replace(
        honest,
        lines=(replace(honest.lines[0], share_wei=Wei(60 * TOKEN_WEI)),),
        unallocated_wei=Wei(40 * TOKEN_WEI),
        accounts=(Claim(town.alice.account, Wei(60 * TOKEN_WEI)),),
    )
    _attest_forged(town, forged)
    for block in report_blocks(forged):
        town.publisher.blocks[Cid.of(block)] = block
    (outcome,) = _audit(town, 1, reports=town.gateway)
    name = alices.keys.public_key.name
    assert outcome.difference == (
        f"device {name}: share_wei is published as {60 * TOKEN_WEI}, recomputing gives {50 * TOKEN_WEI}"
    )
    (unexplained,) = _audit(town, 1)
    assert not unexplained.is_same
    assert "--reports" in str(unexplained.difference)
    with pytest.raises(RunnerError, match="audit 1"):
        _runner(town, tmp_path).step()


def test_a_root_that_does_not_belong_to_the_named_report_is_named(town: Town, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    honest = recompute(town.gateway, town.registry, Cid.of(manifest.to_block()), previous=None)
    assert isinstance(honest, EpochReport)
    town.hub_account.attest(replace(attestation_of(honest), root=b"\x01" * 32))
    (outcome,) = _audit(town, 1)
    assert outcome.difference is not None
    assert "root on chain is 0x0101" in outcome.difference


def test_a_registry_block_of_choice_is_named(town: Town, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    honest = recompute(town.gateway, town.registry, Cid.of(manifest.to_block()), previous=None)
    assert isinstance(honest, EpochReport)
    _attest_forged(town, replace(honest, ledger=replace(honest.ledger, registry_block=1)))
    (outcome,) = _audit(town, 1)
    assert outcome.difference is not None
    assert outcome.difference.startswith("the chain says registry block 1, the epoch's is ")


def test_a_changed_verdict_page_is_refused_by_its_hash(town: Town, tmp_path: Path, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    _post(_runner(town, tmp_path))
    page = bytearray(town.publisher.blocks[manifest.verdicts])
    page[-1] ^= 1
    town.bottle.spoil[f"/ipfs/{manifest.verdicts}"] = bytes(page)
    (outcome,) = _audit(town, 1)
    assert outcome.difference == f"{town.bottle.url} served other bytes than block {manifest.verdicts}"


def test_a_changed_piece_is_refused(town: Town, tmp_path: Path, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    _post(_runner(town, tmp_path))
    ref = manifest.segments[0]
    car = bytearray(town.publisher.pieces[ref.piece])
    car[len(car) // 2] ^= 1
    town.bottle.spoil[f"/piece/{ref.piece}"] = bytes(car)
    (outcome,) = _audit(town, 1)
    assert outcome.difference == f"{town.bottle.url} served another file than segment {ref.car}"
    town.bottle.spoil[f"/piece/{ref.piece}"] = bytes(car[:-1])
    assert "bytes of piece" in str(_audit(town, 1)[0].difference)
    town.bottle.spoil[f"/piece/{ref.piece}"] = bytes(car) + b"\x00"
    assert "longer than" in str(_audit(town, 1)[0].difference)


def test_a_piece_commitment_that_is_not_the_files_is_refused(town: Town, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    other = town.close_epoch([alices.watch(_spread(town, 2))])
    swapped = replace(manifest, segments=(replace(manifest.segments[0], piece=other.segments[0].piece),))
    town.publisher.pieces[other.segments[0].piece] = town.publisher.pieces[manifest.segments[0].piece]
    town.publisher.blocks[Cid.of(swapped.to_block())] = swapped.to_block()
    with pytest.raises(UnfaithfulError, match="does not have the piece commitment"):
        recompute(town.gateway, town.registry, Cid.of(swapped.to_block()), previous=None)


def _forge(rows: Callable[[list[VerdictRow]], list[VerdictRow]], town: Town, alices: Device) -> str:
    """Publish with forged rows, attest whatever comes out of it elsewhere, and return what the audit says."""
    town.publisher.forge_rows = rows
    at_ms = _spread(town, 1)
    rejected = alices.watch(at_ms)
    manifest = town.close_epoch(
        [alices.enroll(at_ms[0]), rejected, alices.watch(at_ms)], {block_digest(rejected): Verdict.STALE_BEACON}
    )
    town.publisher.forge_rows = lambda honest: honest
    fake = EpochReport(
        network="bottle",
        epoch=1,
        ruleset="cairn-1",
        manifest=Cid.of(manifest.to_block()),
        previous=None,
        ledger=town.registry.at(1, min_bond_wei=Wei(0)).ledger,
        pool_wei=Wei(0),
        unallocated_wei=Wei(0),
        lines=(),
        bonds=(),
        enrollments=(),
        accounts=(),
    )
    _attest_forged(town, fake)
    (outcome,) = _audit(town, 1)
    assert outcome.difference is not None
    return outcome.difference


def test_a_verdict_turned_to_accepted_contradicts_the_hubs_own_log(town: Town, alices: Device) -> None:
    said = _forge(lambda rows: [replace(row, verdict=Verdict.ACCEPTED) for row in rows], town, alices)
    assert said.endswith("is accepted, but the hub's log says otherwise")


def test_a_verdict_that_counts_more_observations_than_were_signed_is_caught(town: Town, alices: Device) -> None:
    said = _forge(
        lambda rows: [replace(row, observations=row.observations + 1) if row.sequence == 2 else row for row in rows],
        town,
        alices,
    )
    assert "the verdict says sequence 2 with 13 observations" in said


def test_an_accepted_row_without_its_block_is_caught(town: Town, alices: Device) -> None:
    said = _forge(lambda rows: [*rows, replace(rows[-1], digest=b"\x07" * 32)], town, alices)
    assert said == f"block {'07' * 32} is accepted but stands in no segment"


def test_a_verdict_in_the_name_of_another_device_is_caught(town: Town, alices: Device, bobs: Device) -> None:
    def rename(rows: list[VerdictRow]) -> list[VerdictRow]:
        return [replace(row, device=bobs.keys.public_key) if row.sequence == 2 else row for row in rows]

    assert "names another device than signed it" in _forge(rename, town, alices)


def test_an_envelope_signed_with_a_foreign_key_is_caught_even_if_the_hub_accepted_it(
    town: Town, alices: Device, bobs: Device
) -> None:
    at_ms = _spread(town, 1)
    block = bytearray(alices.watch(at_ms))
    block[-1] ^= 1  # the signature's last byte
    manifest = town.close_epoch([alices.enroll(at_ms[0]), bytes(block)])
    with pytest.raises(EvidenceError, match=f"signature does not fit {alices.keys.public_key.name}"):
        recompute(town.gateway, town.registry, Cid.of(manifest.to_block()), previous=None)


def test_a_manifest_that_skips_a_paid_epoch_is_refused(town: Town, tmp_path: Path, alices: Device) -> None:
    town.close_epoch([alices.enroll(_spread(town, 1)[0])])
    _post(_runner(town, tmp_path))
    manifest = town.close_epoch([alices.watch(_spread(town, 2))])
    orphan = replace(manifest, previous=None)
    town.publisher.blocks[Cid.of(orphan.to_block())] = orphan.to_block()
    first = ReportShelf(tmp_path).report(1)
    with pytest.raises(EvidenceError, match="follows manifest None"):
        recompute(town.gateway, town.registry, Cid.of(orphan.to_block()), previous=first)


def test_a_gateway_that_fails_twice_is_asked_a_third_time(town: Town, tmp_path: Path, alices: Device) -> None:
    manifest = town.close_epoch([alices.enroll(_spread(town, 1)[0]), alices.watch(_spread(town, 1))])
    town.bottle.failures = {f"/ipfs/{Cid.of(manifest.to_block())}": 2, f"/piece/{manifest.segments[0].piece}": 2}
    assert _post(_runner(town, tmp_path)).lines[0].reason is Reason.PAID


def test_an_epoch_without_a_root_cannot_be_audited(town: Town) -> None:
    with pytest.raises(AuditError, match="Epoch 1 has no root on chain"):
        _audit(town, 1)


def test_the_hub_announces_nonsense_and_nothing_is_settled(town: Town, tmp_path: Path) -> None:
    town.close_epoch([])
    for answer in (b"[]", b"not json", b"[" * 60_000, json.dumps({"state": "closed", "manifest": "bafy"}).encode()):
        town.bottle.spoil["/v1/epochs/1"] = answer
        with pytest.raises(UnfaithfulError, match=r"is not|announces no CID"):
            _runner(town, tmp_path).step()
    assert town.contract.roots() == ()
