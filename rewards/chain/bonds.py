"""All bonds at one block: replay the contract's events, then hold the result against the contract's own books.

A bond belongs to a pair: the device key (32 bytes) and the account that put it up (20 bytes). Every bond that the
replay leaves standing is asked for, and all together must come to the contract's sum. So a node that lost events is
found out, and bonds that came and went again cost a reader nothing but their events.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from eth_utils.address import to_canonical_address
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.exceptions import Web3RPCError
from web3.types import EventData

from protocol.units import Wei
from rewards.chain.errors import ChainError
from rewards.chain.logs import read_logs
from rewards.chain.node import checksum, translated
from rewards.chain.values import Bond

_BATCH = 100

BondKey = tuple[bytes, bytes]  # device key, owner


class _StateForgottenError(Exception):
    """The node no longer keeps the state of the block that was asked for."""


def read_bonds(contract: Contract, *, first_block: int, block_number: int) -> tuple[Bond, ...]:
    """Return all bonds at the end of ``block_number``, by device key and owner. See ``RewardsContract.bonds_at``.

    Raises:
        ChainError: events and books differ, the block is not there yet, or the node failed.
    """
    with translated():
        latest = int(contract.w3.eth.block_number)
    if block_number > latest:
        raise ChainError(f"Block {block_number} does not exist yet, the latest is {latest}: wait for it.")
    events = _events(contract, first_block, latest)
    before = [event for event in events if event["blockNumber"] <= block_number]
    bonds = replay(before)
    # Where the block has no books, the latest must do: events up to the block are a prefix of all events. Before the
    # first event there may have been no contract yet.
    is_compared = bool(before) and _compare(contract, bonds, block_number)
    if not is_compared and not _compare(contract, replay(events), latest):
        raise ChainError(f"The node has no state even of block {latest}, its latest: ask another node.")
    return tuple(sorted(bonds.values()))


def bond_key(event: EventData) -> BondKey:
    """Return whose bond on which device ``event`` (Bonded, Unbonding or Withdrawn) is about."""
    said: Mapping[str, Any] = event["args"]
    return bytes(said["deviceKey"]), bytes(to_canonical_address(said["owner"]))


def replay(events: Iterable[EventData]) -> dict[BondKey, Bond]:
    """Return the bonds that ``events``, in chain order, leave behind."""
    bonds: dict[BondKey, Bond] = {}
    for event in events:
        said: Mapping[str, Any] = event["args"]
        key = bond_key(event)
        before = bonds.get(key, Bond(*key, Wei(0), Wei(0), 0))
        amount_wei = Wei(said["bondWei"])
        match event["event"]:
            case "Bonded":
                after = Bond(*key, amount_wei, before.unbonding_wei, before.unbond_at_s)
            case "Unbonding":
                after = Bond(*key, amount_wei, Wei(said["unbondingWei"]), said["unbondAtSeconds"])
            case _:
                after = Bond(*key, amount_wei, Wei(0), 0)
        bonds[key] = after
        if after.amount_wei == 0 and after.unbonding_wei == 0:
            del bonds[key]
    return bonds


def _events(contract: Contract, first: int, last: int) -> list[EventData]:
    kinds = (contract.events.Bonded(), contract.events.Unbonding(), contract.events.Withdrawn())
    found = [log for kind in kinds for log in read_logs(kind, first=first, last=last)]
    return sorted(found, key=lambda log: (log["blockNumber"], log["logIndex"]))


def _compare(contract: Contract, replayed: Mapping[BondKey, Bond], block_number: int) -> bool:
    """Hold ``replayed`` against the books at the end of ``block_number``; False where the node forgot them.

    Raises:
        ChainError: they differ.
    """
    try:
        with translated():
            held_wei, booked = _books(contract, sorted(replayed), block_number)
    except _StateForgottenError:
        return False
    bonded_wei = sum(bond.amount_wei + bond.unbonding_wei for bond in replayed.values())
    differing = [
        device_key.hex() for (device_key, owner), bond in booked.items() if replayed[device_key, owner] != bond
    ]
    if differing or bonded_wei != held_wei:
        first = f", the first on device {differing[0]}" if differing else ""
        raise ChainError(
            f"The node's events do not add up to the contract's books: they show {bonded_wei} of {held_wei} wei,"
            f" and {len(differing)} bonds differ{first}. Ask a node that keeps all events."
        )
    return True


def _books(contract: Contract, keys: list[BondKey], block_number: int) -> tuple[int, dict[BondKey, Bond]]:
    """Return the sum of all bonds, and the bonds of ``keys``."""
    booked: dict[BondKey, Bond] = {}
    held_wei = int(_ask([contract.functions.bondedWei()], contract, block_number)[0])
    for start in range(0, len(keys), _BATCH):
        some = keys[start : start + _BATCH]
        calls = [contract.functions.bondOf(device_key, checksum(owner)) for device_key, owner in some]
        for key, answer in zip(some, _ask(calls, contract, block_number), strict=True):
            amount_wei, unbonding_wei, unbond_at_s = answer
            booked[key] = Bond(*key, Wei(amount_wei), Wei(unbonding_wei), unbond_at_s)
    return held_wei, booked


def _ask(calls: list[ContractFunction], contract: Contract, block_number: int) -> list[Any]:
    try:
        with contract.w3.batch_requests() as batch:
            for call in calls:
                batch.add(call.call(block_identifier=block_number))
            return list(batch.execute())
    except Web3RPCError as error:
        said = str(error).lower()
        if any(word in said for word in ("blockoutofrange", "missing trie node", "state not available", "pruned")):
            raise _StateForgottenError from error
        raise
