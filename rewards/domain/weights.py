"""Weights of ruleset cairn-1: the vantage-capped part of VCWS, in integers.

In every slot of the epoch the devices of a cell that share a vantage form one group, whoever owns them, and the group
has one payee: the device on which its enrolled owner's bond has stood longest, then the lowest key. Seniority, not size
of the bond: otherwise a newcomer could outbid a stranger at the place that stranger published. Bonds of other accounts
on a device give it no seniority and take none away. With n groups active in a slot, every payee
gets ``PPM_ONE // max(redundancy, n)``; a device's weight is the sum over its slots.

So the weights of one slot of one cell never exceed ``PPM_ONE``, and a lone vantage reaches half of it: what one witness
says is worth less than what two say, and the other half stays in the reserve.

Not in this ruleset yet: tiers, probation for unwitnessed identities, demand weights for cells.

Invariants, in tests/property/test_reward_weights_properties.py: identities added at one vantage in slots already active
there change no stranger's weight and not the sum of the group; more own slots never lower one's own weight.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from protocol.identity import PublicKey
from protocol.units import PPM_ONE
from rewards.domain.vantage import Cell, Vantage

CellWeights = Mapping[Cell, Mapping[PublicKey, int]]  # weight in ppm of a slot, summed over the slots


@dataclass(frozen=True, slots=True)
class Candidate:
    """A device that may be paid: active, enrolled, and bonded by the very owner it names since that block."""

    device: PublicKey
    vantage: Vantage
    slots: frozenset[int]
    bonded_since_block: int

    @property
    def seniority(self) -> tuple[int, PublicKey]:
        """The order among devices at one vantage: the smallest is paid."""
        return self.bonded_since_block, self.device


def weigh(candidates: Iterable[Candidate], *, redundancy: int) -> CellWeights:
    """Return the weight of every candidate by cell; those that are nowhere a payee weigh zero.

    Args:
        candidates: every device at most once, in any order.
        redundancy: how many vantages a cell wants (K in VCWS), at least 1.
    """
    payees: dict[Cell, dict[int, dict[Vantage, Candidate]]] = {}
    weights: dict[Cell, dict[PublicKey, int]] = {}
    for candidate in sorted(candidates, key=lambda one: one.seniority):
        cell = candidate.vantage.cell
        weights.setdefault(cell, {})[candidate.device] = 0
        for slot in candidate.slots:
            payees.setdefault(cell, {}).setdefault(slot, {}).setdefault(candidate.vantage, candidate)
    for cell, slots in payees.items():
        for groups in slots.values():
            share_ppm = PPM_ONE // max(redundancy, len(groups))
            for payee in groups.values():
                weights[cell][payee.device] += share_ppm
    return weights
