"""Weights of cairn-1: identities at one vantage gain nothing and cost nobody, and watching more never pays less."""

import hashlib
from collections.abc import Mapping

from hypothesis import assume, given
from hypothesis import strategies as st

from protocol.identity import PublicKey
from protocol.units import PPM_ONE, Wei
from rewards.domain.allocate import allocate
from rewards.domain.vantage import Vantage
from rewards.domain.weights import Candidate, weigh

SLOTS = 12
REDUNDANCY = 2

pools = st.integers(0, 10**27).map(Wei)
slot_sets = st.frozensets(st.integers(0, SLOTS - 1), min_size=1)
# Few places, so that neighbours, rivals and identical vantages are common.
vantages = st.builds(Vantage, st.integers(-2, 2).map(lambda n: n * 60), st.integers(0, 1), st.integers(-1, 1))


def _key(number: int) -> PublicKey:
    return PublicKey.of_raw(hashlib.sha256(number.to_bytes(4)).digest())


@st.composite
def fleets(draw: st.DrawFn) -> list[Candidate]:
    count = draw(st.integers(1, 9))
    return [Candidate(_key(n), draw(vantages), draw(slot_sets), draw(st.integers(0, 5))) for n in range(count)]


def _pay(pool_wei: Wei, fleet: list[Candidate]) -> Mapping[PublicKey, Wei]:
    return allocate(pool_wei, weigh(fleet, redundancy=REDUNDANCY), slots=SLOTS).shares_wei


@given(pools, fleets(), st.randoms(use_true_random=False))
def test_the_order_in_which_devices_are_counted_changes_nothing(
    pool_wei: Wei, fleet: list[Candidate], order: object
) -> None:
    shuffled = list(fleet)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert _pay(pool_wei, shuffled) == _pay(pool_wei, fleet)


@given(pools, fleets(), st.integers(0, 8), st.integers(1, 30), st.integers(0, 9), st.randoms(use_true_random=False))
def test_more_identities_at_one_vantage_pay_their_operator_nothing_and_cost_nobody(
    pool_wei: Wei, fleet: list[Candidate], at: int, identities: int, since_block: int, chance: object
) -> None:
    assume(at < len(fleet))
    honest = fleet[at]
    choose = chance.sample  # type: ignore[attr-defined]
    slots = sorted(honest.slots)
    sybils = [
        Candidate(_key(1_000 + n), honest.vantage, frozenset(choose(slots, 1 + n % len(slots))), since_block)
        for n in range(identities)
    ]
    before, after = _pay(pool_wei, fleet), _pay(pool_wei, [*fleet, *sybils])
    group = {one.device for one in [*fleet, *sybils] if one.vantage == honest.vantage}
    for device in before.keys() - group:
        assert after[device] == before[device]
    # Division floors per payee, so the group's own sum may lose a wei for each further payee; it never gains one.
    assert sum(after[device] for device in group) <= sum(before[device] for device in group & before.keys())


@given(pools, fleets(), st.integers(1, 30))
def test_identities_that_came_later_do_not_even_take_the_senior_ones_place(
    pool_wei: Wei, fleet: list[Candidate], identities: int
) -> None:
    sybils = [Candidate(_key(1_000 + n), fleet[0].vantage, fleet[0].slots, 6) for n in range(identities)]
    before, after = _pay(pool_wei, fleet), _pay(pool_wei, [*fleet, *sybils])
    assert {device: after[device] for device in before} == dict(before)
    assert all(after[sybil.device] == 0 for sybil in sybils)


@given(pools, fleets(), st.integers(0, 8), slot_sets)
def test_being_active_in_more_slots_never_lowers_ones_own_pay(
    pool_wei: Wei, fleet: list[Candidate], at: int, more: frozenset[int]
) -> None:
    assume(at < len(fleet))
    one = fleet[at]
    busier = [
        *fleet[:at],
        Candidate(one.device, one.vantage, one.slots | more, one.bonded_since_block),
        *fleet[at + 1 :],
    ]
    assert _pay(pool_wei, busier)[one.device] >= _pay(pool_wei, fleet)[one.device]


@given(fleets())
def test_no_slot_of_a_cell_weighs_more_than_one(fleet: list[Candidate]) -> None:
    for members in weigh(fleet, redundancy=REDUNDANCY).values():
        assert sum(members.values()) <= SLOTS * PPM_ONE


@given(fleets())
def test_one_vantage_alone_never_takes_more_than_its_part_of_a_cell(fleet: list[Candidate]) -> None:
    by_vantage = {one.device: one.vantage for one in fleet}
    weights: dict[Vantage, int] = {}
    for members in weigh(fleet, redundancy=REDUNDANCY).values():
        for device, weight_ppm in members.items():
            weights[by_vantage[device]] = weights.get(by_vantage[device], 0) + weight_ppm
    assert all(weight_ppm <= SLOTS * PPM_ONE // REDUNDANCY for weight_ppm in weights.values())
