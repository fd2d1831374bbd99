"""The epoch report: who earned what and why, with everything it was computed from, as DAG-CBOR blocks.

A root block links pages of at most ``ROWS_PER_PAGE`` rows:

* ``lines``: one a device that was heard: ``[device, owner, vantage, slots, envelopes, observations, weight_ppm,
  share_wei, reason]``; ``slots`` lists the active slots, ``vantage`` is ``[lat_grid, lon_grid, octant]``;
* ``bonds``: the bonds that the lines' reasons rest on: ``[device_key, owner, amount_wei, since_block]``. That is the
  bond of the owner a device names; where that owner has none, those of other accounts that would have been enough;
* ``enrollments``: the enrollment in force of every device so far: ``[device, owner, created_at_ms, digest]``;
* ``accounts``: what every account has earned since epoch 1: ``[account, cumulative_wei]``. They are the tree's leaves.

Rows are in ascending order of their first member, bonds of their first two. Amounts are decimal text, because an
integer of DAG-CBOR ends at 64 bits. So report N is a function of report N-1, the hub's bytes of epoch N and the chain
at one block.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from protocol.cid import Cid
from protocol.claim import Claim
from protocol.identity import PublicKey
from protocol.merkle import Leaf, StandardTree
from protocol.units import Wei
from rewards.domain.errors import ReportError
from rewards.domain.evidence import Enrolled
from rewards.domain.vantage import Vantage

NOBODY = Claim(bytes(20), Wei(0))  # the sole leaf while nobody has earned anything: a tree cannot be empty


class Reason(StrEnum):
    """Why a line's share is what it is. Published words: add, never rename."""

    PAID = "paid"
    INACTIVE = "inactive"  # heard, but with no observation
    NOT_ENROLLED = "not_enrolled"
    NOT_BONDED = "not_bonded"
    BOND_OF_ANOTHER = "bond_of_another"  # the owner the device names has none, but another account has enough
    BOND_TOO_SMALL = "bond_too_small"
    SAME_VANTAGE = "same_vantage"  # another device with an older bond stands for this vantage in every slot
    POOL_TOO_SMALL = "pool_too_small"  # less than a wei


@dataclass(frozen=True, slots=True, order=True)
class DeviceBond:
    """One account's bond on one device, as it stood at the registry block.

    ``since_block`` is the block since which ``amount_wei`` has never been below the ruleset's minimum; where it is
    below now, the block of its latest change.
    """

    device_key: bytes
    owner: bytes
    amount_wei: Wei
    since_block: int

    def __post_init__(self) -> None:
        if len(self.device_key) != 32 or len(self.owner) != 20 or self.since_block < 0:
            raise ReportError("a bond has a key of 32 bytes, an owner of 20 and a block")


@dataclass(frozen=True, slots=True)
class Line:
    """One device in one epoch."""

    device: PublicKey
    owner: bytes | None
    vantage: Vantage | None
    slots: tuple[int, ...]
    envelopes: int
    observations: int
    weight_ppm: int
    share_wei: Wei
    reason: Reason

    def __post_init__(self) -> None:
        if (self.share_wei > 0) != (self.reason is Reason.PAID) or self.share_wei < 0:
            raise ReportError(f"{self.device.name}: a share of {self.share_wei} wei does not go with {self.reason}")
        if self.share_wei and self.owner is None:
            raise ReportError(f"{self.device.name} has a share but no owner")
        if self.owner is not None and len(self.owner) != 20:
            raise ReportError(f"the owner of {self.device.name} has {len(self.owner)} bytes, not 20")
        if min(self.envelopes, self.observations, self.weight_ppm, *self.slots) < 0:
            raise ReportError(f"{self.device.name}: nothing can be counted below zero")


@dataclass(frozen=True, slots=True)
class Ledger:
    """The contract that pays, and the state of it that the epoch was computed from."""

    chain_id: int
    contract: bytes
    registry_block: int

    def __post_init__(self) -> None:
        if len(self.contract) != 20 or self.chain_id < 1 or self.registry_block < 0:
            raise ReportError("a contract has 20 bytes, on a numbered chain, read at a block")


@dataclass(frozen=True, slots=True)
class EpochReport:
    """One epoch's report. Rows must be sorted and amounts must add up, or it cannot be built."""

    network: str
    epoch: int
    ruleset: str
    manifest: Cid
    previous: Cid | None
    ledger: Ledger
    pool_wei: Wei
    unallocated_wei: Wei
    lines: tuple[Line, ...]
    bonds: tuple[DeviceBond, ...]
    enrollments: tuple[Enrolled, ...]
    accounts: tuple[Claim, ...]

    def __post_init__(self) -> None:
        if self.epoch < 1:
            raise ReportError("epochs begin at 1")
        _require_ascending("lines", [line.device.key_id for line in self.lines])
        _require_ascending("bonds", [bond.device_key + bond.owner for bond in self.bonds])
        _require_ascending("enrollments", [enrolled.device.key_id for enrolled in self.enrollments])
        _require_ascending("accounts", [claim.account for claim in self.accounts])
        if sum(line.share_wei for line in self.lines) + self.unallocated_wei != self.pool_wei:
            raise ReportError(f"epoch {self.epoch}: shares and remainder do not add up to the pool")
        if any(len(claim.account) != 20 for claim in self.accounts):
            raise ReportError(f"epoch {self.epoch}: an account has 20 bytes")
        if self.unallocated_wei < 0 or any(claim.cumulative_wei <= 0 for claim in self.accounts):
            raise ReportError(f"epoch {self.epoch}: an amount is not positive")

    @property
    def cumulative_total_wei(self) -> Wei:
        """What all accounts together have earned since epoch 1."""
        return Wei(sum(claim.cumulative_wei for claim in self.accounts))

    @property
    def merkle_root(self) -> bytes:
        """The 32 bytes that are attested."""
        return self.tree().root

    @property
    def earned_wei(self) -> Mapping[bytes, Wei]:
        """Everything an account ever earned, by account."""
        return {claim.account: claim.cumulative_wei for claim in self.accounts}

    def claims(self) -> tuple[Claim, ...]:
        """Return the leaves in the order `tree` numbers them."""
        return self.accounts or (NOBODY,)

    def leaf(self, claim: Claim) -> Leaf:
        """Return the leaf of ``claim`` on this report's chain and contract."""
        return claim.leaf(chain_id=self.ledger.chain_id, contract=self.ledger.contract)

    def tree(self) -> StandardTree:
        """Return the Merkle tree over `claims`."""
        return StandardTree([self.leaf(claim) for claim in self.claims()])


def _require_ascending(name: str, keys: list[bytes]) -> None:
    if any(one >= other for one, other in itertools.pairwise(keys)):
        raise ReportError(f"{name} are not in strictly ascending order")
