"""The epoch report: one settlement has one sequence of bytes, and reading them back gives the very same report."""

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import dagcbor
from protocol.cid import Cid
from protocol.identity import KeyPair, PublicKey
from protocol.manifest import EpochManifest
from protocol.merkle import verify
from protocol.observation import Position
from protocol.units import Udeg, UnixMs, Wei
from rewards.domain.activity import AcceptedEnvelope
from rewards.domain.errors import ReportError
from rewards.domain.evidence import Enrolled, EpochEvidence
from rewards.domain.report import DeviceBond, EpochReport, Ledger
from rewards.domain.reportblocks import read_report, report_blocks, report_cid
from rewards.domain.rulesets import CAIRN_1
from rewards.domain.settle import Registry, settle

HUB = KeyPair(bytes(32)).public_key
CONTRACT = b"\xc0" * 20
START, END = UnixMs(1_800_000_000_000), UnixMs(1_800_000_060_000)


def _key(number: int) -> PublicKey:
    return PublicKey.of_raw(hashlib.sha256(number.to_bytes(4)).digest())


def _manifest(epoch: int, previous: Cid | None) -> EpochManifest:
    return EpochManifest(
        network="bottle",
        hub=HUB,
        epoch=epoch,
        started_at_ms=START,
        ended_at_ms=END,
        previous=previous,
        segments=(),
        verdicts=Cid.of(b"verdicts"),
        counts={},
    )


@st.composite
def evidences(draw: st.DrawFn, epoch: int = 1, previous: Cid | None = None) -> EpochEvidence:
    """Anything a few devices in a few places may have sent, in any order."""
    times = st.lists(st.integers(START - 1_000, END + 1_000).map(UnixMs), max_size=4).map(tuple)
    envelopes = [
        AcceptedEnvelope(
            device=_key(draw(st.integers(0, 5))),
            sequence=sequence,
            position=Position(
                Udeg(draw(st.integers(-2, 2)) * 20_000), Udeg(180_000_000), 5, draw(st.sampled_from([-1, 0, 350_000]))
            ),
            created_at_ms=UnixMs(END + 500),
            received_at_ms=UnixMs(END - 1),
            observed_at_ms=draw(times),
        )
        for sequence in range(1, draw(st.integers(0, 12)) + 1)
    ]
    enrollments = [
        Enrolled(_key(number), bytes([draw(st.integers(1, 3))]) * 20, UnixMs(draw(st.integers(1, 2))), bytes([n]) * 32)
        for n, number in enumerate(draw(st.lists(st.integers(0, 5), max_size=8)))
    ]
    return EpochEvidence(_manifest(epoch, previous), tuple(envelopes), tuple(enrollments))


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    bonds = [
        DeviceBond(
            _key(number).raw,
            bytes([draw(st.integers(1, 3))]) * 20,
            Wei(draw(st.sampled_from([10**17, 10**18, 10**20]))),
            draw(st.integers(0, 3)),
        )
        for number in draw(st.sets(st.integers(0, 5)))
    ]
    return Registry(
        ledger=Ledger(31_337, CONTRACT, draw(st.integers(0, 2**40))),
        bonds={bond.device_key: bond for bond in bonds},
        funded_wei=Wei(draw(st.integers(0, 2**90))),
        epoch_cap_wei=Wei(draw(st.integers(1, 2**90))),
    )


def _no_page(cid: Cid) -> bytes:
    raise KeyError(cid)


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
    envelopes, enrollments, bonds = list(evidence.envelopes), list(evidence.enrollments), list(registry.bonds.items())
    for sequence in (envelopes, enrollments, bonds):
        shuffler.shuffle(sequence)
    shuffled = EpochEvidence(evidence.manifest, tuple(envelopes), tuple(enrollments))
    other = Registry(registry.ledger, dict(bonds), registry.funded_wei, registry.epoch_cap_wei)
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
    report = settle(EpochEvidence(_manifest(1, None), (), ()), registry, CAIRN_1, previous=None)
    fields = dagcbor.decode(report_blocks(report)[-1])
    assert isinstance(fields, dict)
    any_text_goes = {"network", "ruleset"} if wrong == "x" else set()
    for name in fields.keys() - any_text_goes:
        if fields[name] != wrong:
            with pytest.raises(ReportError):
                read_report(dagcbor.encode({**fields, name: wrong}), _no_page)
        with pytest.raises(ReportError):
            read_report(dagcbor.encode({key: fields[key] for key in fields if key != name}), _no_page)
