"""The epoch report: one settlement has one sequence of bytes, and reading them back gives the very same report."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import dagcbor
from protocol.cid import Cid
from protocol.merkle import verify
from protocol.units import Wei
from rewards.domain.errors import ReportError
from rewards.domain.evidence import EpochEvidence
from rewards.domain.report import DeviceBond, EpochReport, Ledger
from rewards.domain.reportblocks import read_report, report_blocks, report_cid
from rewards.domain.rulesets import CAIRN_1
from rewards.domain.settle import Registry, bonds_by_device, settle
from tests.support.reward_epochs import CONTRACT, evidences, manifest_of, registries


def _no_page(cid: Cid) -> bytes:
    raise KeyError(cid)


def _all(registry: Registry) -> list[DeviceBond]:
    return [bond for owners in registry.bonds.values() for bond in owners.values()]


def _read(report: EpochReport) -> EpochReport:
    blocks = report_blocks(report)
    found = {Cid.of(block): block for block in blocks}
    return read_report(blocks[-1], found.__getitem__)


@given(evidences(), registries())
def test_reading_a_report_back_gives_the_same_report(evidence: EpochEvidence, registry: Registry) -> None:
    report = settle(evidence, registry, CAIRN_1, previous=None)
    assert _read(report) == report


@given(evidences(), registries(), st.integers(0, 2**32))
def test_the_order_of_the_evidence_does_not_change_a_byte(
    evidence: EpochEvidence, registry: Registry, seed: int
) -> None:
    shuffler = random.Random(seed)
    envelopes, enrollments, bonds = list(evidence.envelopes), list(evidence.enrollments), _all(registry)
    for sequence in (envelopes, enrollments, bonds):
        shuffler.shuffle(sequence)
    shuffled = EpochEvidence(evidence.manifest, tuple(envelopes), tuple(enrollments))
    other = Registry(registry.ledger, bonds_by_device(bonds), registry.funded_wei, registry.epoch_cap_wei)
    assert report_blocks(settle(shuffled, other, CAIRN_1, previous=None)) == report_blocks(
        settle(evidence, registry, CAIRN_1, previous=None)
    )


@given(st.data())
def test_two_epochs_add_up_for_every_account_and_never_exceed_what_was_funded(data: st.DataObject) -> None:
    registry = data.draw(registries())
    one = settle(data.draw(evidences()), registry, CAIRN_1, previous=None)
    two = settle(data.draw(evidences(epoch=2, previous=one.manifest)), registry, CAIRN_1, previous=one)
    assert two.previous == report_cid(one)
    for account, earned_wei in two.earned_wei.items():
        share_wei = sum(line.share_wei for line in two.lines if line.owner == account)
        assert earned_wei == one.earned_wei.get(account, 0) + share_wei
    assert set(one.earned_wei) <= set(two.earned_wei)
    assert two.cumulative_total_wei <= registry.funded_wei
    assert two.cumulative_total_wei - one.cumulative_total_wei <= registry.epoch_cap_wei


@given(evidences(), registries())
def test_every_leaf_is_proven_under_the_root_and_no_other_amount_is(
    evidence: EpochEvidence, registry: Registry
) -> None:
    report = settle(evidence, registry, CAIRN_1, previous=None)
    tree = report.tree()
    for index, claim in enumerate(report.claims()):
        chain_id, contract, account, earned_wei = report.leaf(claim)
        assert verify(report.merkle_root, (chain_id, contract, account, earned_wei), tree.proof(index))
        assert not verify(report.merkle_root, (chain_id, contract, account, earned_wei + 1), tree.proof(index))
        assert not verify(report.merkle_root, (chain_id + 1, contract, account, earned_wei), tree.proof(index))


@settings(max_examples=200)
@given(evidences(), registries(), st.data())
def test_a_changed_byte_in_any_block_is_never_read_as_a_report(
    evidence: EpochEvidence, registry: Registry, data: st.DataObject
) -> None:
    report = settle(evidence, registry, CAIRN_1, previous=None)
    blocks = report_blocks(report)
    at = data.draw(st.integers(0, len(blocks) - 1))
    changed = bytearray(blocks[at])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    served = {Cid.of(block): block for block in blocks} | {Cid.of(blocks[at]): bytes(changed)}
    root = bytes(changed) if at == len(blocks) - 1 else blocks[-1]
    try:
        misread = read_report(root, served.__getitem__)
    except (ReportError, KeyError):
        return  # refused, or it links a page that nobody has
    # What is left are fields that only the chain can check: the root block was changed into another valid report.
    assert at == len(blocks) - 1
    assert report_cid(misread) != report_cid(report)


@pytest.mark.parametrize("wrong", [None, -1, "x", b"", [], {}], ids=repr)
def test_a_report_with_a_field_of_another_kind_or_without_it_is_refused(wrong: object) -> None:
    registry = Registry(Ledger(1, CONTRACT, 1), {}, Wei(5), Wei(5))
    report = settle(EpochEvidence(manifest_of(1, None), (), ()), registry, CAIRN_1, previous=None)
    fields = dagcbor.decode(report_blocks(report)[-1])
    assert isinstance(fields, dict)
    any_text_goes = {"network", "ruleset"} if wrong == "x" else set()
    for name in fields.keys() - any_text_goes:
        if fields[name] != wrong:
            with pytest.raises(ReportError):
                read_report(dagcbor.encode({**fields, name: wrong}), _no_page)
        with pytest.raises(ReportError):
            read_report(dagcbor.encode({key: fields[key] for key in fields if key != name}), _no_page)
