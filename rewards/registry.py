"""The chain as pay sees it: bonds, their seniority and the funds at one block, and which block that is.

The registry block of an epoch is the last block made before the epoch ended, by the block's own time. It is known for
good once a later block exists. So every hub and every auditor picks the same one without asking anybody.
"""

from collections.abc import Iterable

from protocol.units import UnixMs, Wei
from rewards.chain.bonds import bond_key
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import ChainError
from rewards.chain.logs import read_logs
from rewards.chain.node import connect
from rewards.deployment import Deployment
from rewards.domain.report import DeviceBond, Ledger
from rewards.domain.settle import Registry, bonds_by_device


class ChainRegistry:
    """Reads one contract."""

    def __init__(self, contract: RewardsContract, *, chain_id: int, epoch_cap_wei: Wei) -> None:
        """Read ``contract``, whose cap never changes."""
        self.contract = contract
        self.chain_id = chain_id
        self._epoch_cap_wei = epoch_cap_wei

    @property
    def address(self) -> bytes:
        """The contract's 20 bytes."""
        return bytes.fromhex(self.contract.address[2:])

    def block_before(self, ended_at_ms: UnixMs) -> int | None:
        """Return the registry block of an epoch that ended then; None while the chain has not passed its end.

        Raises:
            ChainError: the node failed.
        """
        high, _, latest_s = self.contract.block()
        if latest_s * 1_000 < ended_at_ms:
            return None
        low = 0  # the first block stands in where all are later
        while high - low > 1:
            middle = (low + high) // 2
            if self.contract.block(middle)[2] * 1_000 < ended_at_ms:
                low = middle
            else:
                high = middle
        return low

    def at(self, block_number: int, *, min_bond_wei: Wei) -> Registry:
        """Return the registry at the end of ``block_number``.

        Args:
            block_number: must exist.
            min_bond_wei: seniority counts from when a bond last rose to this.

        Raises:
            ChainError: the node does not show every event, or failed.
        """
        since = self._since(block_number, min_bond_wei)
        bonds = [
            DeviceBond(bond.device_key, bond.owner, bond.amount_wei, since[bond.device_key, bond.owner])
            for bond in self.contract.bonds_at(block_number)
        ]
        return Registry(
            ledger=Ledger(self.chain_id, self.address, block_number),
            bonds=bonds_by_device(bonds),
            funded_wei=self._funded_wei(block_number),
            epoch_cap_wei=self._epoch_cap_wei,
        )

    def _since(self, block_number: int, min_bond_wei: Wei) -> dict[tuple[bytes, bytes], int]:
        """Return by (device key, owner) the block in which that bond rose to the minimum for good, or last changed."""
        events = self.contract.calls.events
        first = self.contract.first_block
        changes = [
            (log["blockNumber"], log["logIndex"], bond_key(log), int(log["args"]["bondWei"]))
            for event in (events.Bonded(), events.Unbonding(), events.Withdrawn())
            for log in read_logs(event, first=first, last=block_number)
        ]
        since: dict[tuple[bytes, bytes], int] = {}
        standing: set[tuple[bytes, bytes]] = set()
        for number, _, key, bond_wei in sorted(changes):
            if bond_wei < min_bond_wei:
                standing.discard(key)
            if key not in standing:
                since[key] = number
            if bond_wei >= min_bond_wei:
                standing.add(key)
        return since

    def _funded_wei(self, block_number: int) -> Wei:
        """Return what had ever been funded, from events: a node may have forgotten the state of an old block."""
        latest = self.contract.block()[0]
        logs = list(read_logs(self.contract.calls.events.Funded(), first=self.contract.first_block, last=latest))
        if _last_funded_wei(logs, latest) != self.contract.purses(latest).funded_wei:
            raise ChainError("The node does not show every funding of the contract: ask one that keeps all events.")
        return _last_funded_wei(logs, block_number)


def open_contract(rpc_url: str, deployment: Deployment) -> RewardsContract:
    """Return the contract of ``deployment``, after a look whether it is there.

    Raises:
        ChainError: the node does not answer, serves another chain, or has another contract there.
    """
    web3 = connect(rpc_url, chain_id=deployment.chain_id)
    contract = RewardsContract(web3, deployment.contract, first_block=deployment.deployed_block)
    contract.require_code()
    return contract


def open_registry(contract: RewardsContract, deployment: Deployment) -> ChainRegistry:
    """Return the registry of ``contract``.

    Raises:
        ChainError: the node failed.
    """
    cap_wei = contract.terms().epoch_cap_wei
    return ChainRegistry(contract, chain_id=deployment.chain_id, epoch_cap_wei=cap_wei)


def _last_funded_wei(logs: Iterable[object], block_number: int) -> Wei:
    funded_wei = 0
    for log in logs:
        if log["blockNumber"] <= block_number:  # type: ignore[index]
            funded_wei = log["args"]["fundedWei"]  # type: ignore[index]
    return Wei(funded_wei)
