"""The leaf of the reward tree: what an account has earned since the beginning, on one contract of one chain.

Amounts are cumulative: a claim pays the difference to what was paid before, so an old proof can never pay twice.
"""

from dataclasses import dataclass
from typing import Final

from protocol.units import Wei

LEAF_TYPES: Final = ("uint256", "address", "address", "uint256")


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """One leaf. Addresses are 20 raw bytes."""

    account: bytes
    cumulative_wei: Wei

    def leaf(self, *, chain_id: int, contract: bytes) -> tuple[int, bytes, bytes, int]:
        """Return the ABI values of the leaf, in the order of ``LEAF_TYPES``."""
        return chain_id, contract, self.account, self.cumulative_wei
