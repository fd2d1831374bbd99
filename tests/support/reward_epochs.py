"""Epochs as Hypothesis makes them up: what a few devices sent, whose they say they are, who bonded them."""

import hashlib

from hypothesis import strategies as st

from protocol.cid import Cid
from protocol.identity import KeyPair, PublicKey
from protocol.manifest import EpochManifest
from protocol.observation import Position
from protocol.units import Udeg, UnixMs, Wei
from rewards.domain.activity import AcceptedEnvelope
from rewards.domain.evidence import Enrolled, EpochEvidence
from rewards.domain.report import DeviceBond, Ledger
from rewards.domain.settle import Registry, bonds_by_device

HUB = KeyPair(bytes(32)).public_key
CONTRACT = b"\xc0" * 20
START, END = UnixMs(1_800_000_000_000), UnixMs(1_800_000_060_000)
OWNERS = tuple(bytes([number]) * 20 for number in (1, 2, 3))


def device_key(number: int) -> PublicKey:
    return PublicKey.of_raw(hashlib.sha256(number.to_bytes(4)).digest())


def manifest_of(epoch: int, previous: Cid | None) -> EpochManifest:
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
            device=device_key(draw(st.integers(0, 5))),
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
        Enrolled(device_key(number), draw(st.sampled_from(OWNERS)), UnixMs(draw(st.integers(1, 2))), bytes([n]) * 32)
        for n, number in enumerate(draw(st.lists(st.integers(0, 5), max_size=8)))
    ]
    return EpochEvidence(manifest_of(epoch, previous), tuple(envelopes), tuple(enrollments))


def bonds_on(number: int, owner: bytes) -> st.SearchStrategy[DeviceBond]:
    """Too little, just enough or plenty on device ``number``, since some block."""
    amounts = st.sampled_from([1, 10**17, 10**18, 10**20]).map(Wei)
    return st.builds(DeviceBond, st.just(device_key(number).raw), st.just(owner), amounts, st.integers(0, 3))


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    """Bonds of any owner on any device, in any combination."""
    pairs = draw(st.sets(st.tuples(st.integers(0, 5), st.sampled_from(OWNERS)), max_size=10))
    bonds = [draw(bonds_on(number, owner)) for number, owner in sorted(pairs)]
    return Registry(
        ledger=Ledger(31_337, CONTRACT, draw(st.integers(0, 2**40))),
        bonds=bonds_by_device(bonds),
        funded_wei=Wei(draw(st.integers(0, 2**90))),
        epoch_cap_wei=Wei(draw(st.integers(1, 2**90))),
    )


@st.composite
def paying_epochs(draw: st.DrawFn) -> tuple[EpochEvidence, Registry]:
    """An epoch in which most devices are paid: they all saw something, and nearly all have their own owner's bond.

    They stand in two places, so that the seniority of bonds decides between some of them.
    """
    numbers = range(draw(st.integers(1, 4)))
    owners = [draw(st.sampled_from(OWNERS)) for _ in numbers]
    times = st.lists(st.integers(START, END - 1).map(UnixMs), min_size=1, max_size=3).map(tuple)
    envelopes = tuple(
        AcceptedEnvelope(
            device=device_key(number),
            sequence=1,
            position=Position(Udeg(draw(st.integers(0, 1)) * 200), Udeg(0), 5, 0),
            created_at_ms=END,
            received_at_ms=END,
            observed_at_ms=draw(times),
        )
        for number in numbers
    )
    enrolled = tuple(Enrolled(device_key(n), owners[n], UnixMs(1), bytes([n]) * 32) for n in numbers)
    bonds = [draw(bonds_on(n, owners[n])) for n in numbers if draw(st.integers(0, 5))]
    ledger, plenty_wei = Ledger(31_337, CONTRACT, 7), Wei(10**20)
    return EpochEvidence(manifest_of(1, None), envelopes, enrolled), Registry(
        ledger, bonds_by_device(bonds), plenty_wei, plenty_wei
    )
