"""The allocation: every wei of the pool is paid or returned, whatever the weights."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.identity import PublicKey
from protocol.units import PPM_ONE, Wei
from rewards.domain.allocate import Allocation, allocate, cell_budgets
from rewards.domain.errors import AllocationError
from rewards.domain.vantage import Cell

SLOTS = 12

pools = st.integers(0, 10**27).map(Wei)
cells = st.builds(Cell, st.integers(-3, 3), st.integers(-3, 3))


def _key(number: int) -> PublicKey:
    return PublicKey.of_raw(hashlib.sha256(number.to_bytes(4)).digest())


@st.composite
def weightings(draw: st.DrawFn) -> dict[Cell, dict[PublicKey, int]]:
    """Weights that fill their cells up to any part, the whole included."""
    out: dict[Cell, dict[PublicKey, int]] = {}
    number = 0
    for cell in draw(st.lists(cells, unique=True, max_size=5)):
        room = SLOTS * PPM_ONE
        out[cell] = {}
        for _ in range(draw(st.integers(1, 4))):
            weight_ppm = draw(st.integers(0, room))
            room -= weight_ppm
            out[cell][_key(number)] = weight_ppm
            number += 1
    return out


@given(pools, weightings())
def test_every_wei_of_the_pool_is_paid_or_returned(pool_wei: Wei, weights: dict[Cell, dict[PublicKey, int]]) -> None:
    allocation = allocate(pool_wei, weights, slots=SLOTS)
    assert sum(allocation.shares_wei.values()) + allocation.unallocated_wei == pool_wei
    assert set(allocation.shares_wei) == {device for members in weights.values() for device in members}


@given(pools, weightings())
def test_no_cell_pays_more_than_its_budget(pool_wei: Wei, weights: dict[Cell, dict[PublicKey, int]]) -> None:
    shares_wei = allocate(pool_wei, weights, slots=SLOTS).shares_wei
    for cell, budget_wei in cell_budgets(pool_wei, weights).items():
        assert sum(shares_wei[device] for device in weights[cell]) <= budget_wei


@given(pools, st.sets(cells, min_size=1))
def test_cells_get_equal_budgets_to_the_wei_and_all_of_the_pool(pool_wei: Wei, some: set[Cell]) -> None:
    budgets = cell_budgets(pool_wei, dict.fromkeys(some))
    assert sum(budgets.values()) == pool_wei
    assert max(budgets.values()) - min(budgets.values()) <= 1


@given(pools, weightings(), st.integers(1, 10**9))
def test_a_larger_pool_never_pays_anybody_less(
    pool_wei: Wei, weights: dict[Cell, dict[PublicKey, int]], more_wei: int
) -> None:
    before = allocate(pool_wei, weights, slots=SLOTS).shares_wei
    after = allocate(Wei(pool_wei + more_wei), weights, slots=SLOTS).shares_wei
    assert all(after[device] >= before[device] for device in before)


@given(pools, st.integers(1, 10**9))
def test_an_allocation_that_does_not_add_up_cannot_be_built(pool_wei: Wei, off_by: int) -> None:
    with pytest.raises(AllocationError, match="do not add up"):
        Allocation(pool_wei, {_key(1): Wei(off_by)}, pool_wei)


def test_weights_that_overfill_their_cell_are_refused() -> None:
    with pytest.raises(AllocationError, match="exceed the cell"):
        allocate(Wei(100), {Cell(0, 0): {_key(1): SLOTS * PPM_ONE, _key(2): 1}}, slots=SLOTS)


def test_a_device_in_two_cells_is_refused() -> None:
    with pytest.raises(AllocationError, match="two cells"):
        allocate(Wei(100), {Cell(0, 0): {_key(1): 1}, Cell(0, 1): {_key(1): 1}}, slots=SLOTS)


def test_a_negative_pool_is_refused() -> None:
    with pytest.raises(AllocationError, match="cannot be divided"):
        allocate(Wei(-1), {}, slots=SLOTS)
