"""Divide the pool of an epoch, to the wei.

Every cell with a candidate gets the same budget; the wei that do not divide go one each to the first cells in
order (largest remainder with equal weights). Within a cell a device gets ``budget * weight // (slots * PPM_ONE)``.
Division floors, so nothing is ever minted; what remains is returned by name and stays in the contract's funds.

Invariant: the shares and ``unallocated_wei`` add up to the pool; checked here and in
tests/property/test_reward_allocation_properties.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.identity import PublicKey
from protocol.units import PPM_ONE, Wei
from rewards.domain.errors import AllocationError
from rewards.domain.vantage import Cell
from rewards.domain.weights import CellWeights


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets what of a pool. ``shares_wei`` has every weighed device, zeros included."""

    pool_wei: Wei
    shares_wei: Mapping[PublicKey, Wei]
    unallocated_wei: Wei

    def __post_init__(self) -> None:
        if self.unallocated_wei < 0 or any(share < 0 for share in self.shares_wei.values()):
            raise AllocationError("an allocation is never negative")
        if sum(self.shares_wei.values()) + self.unallocated_wei != self.pool_wei:
            raise AllocationError(f"shares and remainder do not add up to the pool of {self.pool_wei} wei")


def allocate(pool_wei: Wei, weights: CellWeights, *, slots: int) -> Allocation:
    """Return the division of ``pool_wei``.

    Args:
        pool_wei: what the epoch may pay, at least 0.
        weights: by cell and device, in ppm of a slot; those of one cell add up to at most ``slots * PPM_ONE``.
        slots: into how many slots the epoch is cut.

    Raises:
        AllocationError: weights exceed their cell, a device stands in two cells, or the pool is negative.
    """
    if pool_wei < 0:
        raise AllocationError(f"a pool of {pool_wei} wei cannot be divided")
    shares_wei: dict[PublicKey, Wei] = {}
    for cell, budget_wei in cell_budgets(pool_wei, weights).items():
        if sum(weights[cell].values()) > slots * PPM_ONE:
            raise AllocationError(f"the weights of {cell} exceed the cell")
        for device, weight_ppm in weights[cell].items():
            if device in shares_wei:
                raise AllocationError(f"device {device.name} stands in two cells")
            # Floor, never round: rounding up anywhere would mint.
            shares_wei[device] = Wei(budget_wei * weight_ppm // (slots * PPM_ONE))
    return Allocation(pool_wei, shares_wei, Wei(pool_wei - sum(shares_wei.values())))


def cell_budgets(pool_wei: Wei, cells: Mapping[Cell, object]) -> dict[Cell, Wei]:
    """Return the equal budget of every cell, in the order of cells; they add up to the pool if there is a cell."""
    if not cells:
        return {}
    each_wei, left_over = divmod(pool_wei, len(cells))
    return {cell: Wei(each_wei + (rank < left_over)) for rank, cell in enumerate(sorted(cells))}
