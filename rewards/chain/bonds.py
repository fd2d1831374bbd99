"""All bonds at one block: replay the contract's events, then hold the result against the contract's own books."""

from collections.abc import Iterable, Mapping
from typing import Any

from eth_utils.address import to_canonical_address
from web3.contract import Contract
from web3.exceptions import Web3RPCError
from web3.types import EventData

from protocol.units import Wei
from rewards.chain.errors import ChainError
from rewards.chain.logs import read_logs
from rewards.chain.node import translated
from rewards.chain.values import Bond

_BATCH = 100
_NO_OWNER = bytes(20)


class _StateForgottenError(Exception):
    """The node no longer keeps the state of the block that was asked for."""


def read_bonds(contract: Contract, *, first_block: int, block_number: int) -> tuple[Bond, ...]:
    """Return all bonds at the end of ``block_number``, by device key. See ``RewardsContract.bonds_at``.

    Raises:
        ChainError: events and books differ, the block is not there yet, or the node failed.
    """
    with translated():
        latest = int(contract.w3.eth.block_number)
    if block_number > latest:
        raise ChainError(f"Block {block_number} does not exist yet, the latest is {latest}: wait for it.")
    events = _events(contract, first_block, latest)
    bonds = replay(event for event in events if event["blockNumber"] <= block_number)
    keys = sorted({bytes(event["args"]["deviceKey"]) for event in events if event["blockNumber"] <= block_number})
    try:
        _compare(bonds, _books(contract, keys, block_number))
    except _StateForgottenError:
        # Events up to the block are a prefix of all events, so a complete whole means a complete prefix.
        every_key = sorted({bytes(event["args"]["deviceKey"]) for event in events})
        _compare(replay(events), _books(contract, every_key, latest))
    return tuple(sorted(bonds.values()))


def replay(events: Iterable[EventData]) -> dict[bytes, Bond]:
    """Return the bonds by device key that ``events``, in chain order, leave behind."""
    bonds: dict[bytes, Bond] = {}
    for event in events:
        said: Mapping[str, Any] = event["args"]
        key = bytes(said["deviceKey"])
        before = bonds.get(key, Bond(key, _NO_OWNER, Wei(0), Wei(0), 0))
        owner = bytes(to_canonical_address(said["owner"]))
        amount_wei = Wei(said["bondWei"])
        match event["event"]:
            case "Bonded":
                after = Bond(key, owner, amount_wei, before.unbonding_wei, before.unbond_at_s)
            case "Unbonding":
                after = Bond(key, owner, amount_wei, Wei(said["unbondingWei"]), said["unbondAtSeconds"])
            case _:
                after = Bond(key, owner, amount_wei, Wei(0), 0)
        bonds[key] = after
        if after.amount_wei == 0 and after.unbonding_wei == 0:
            del bonds[key]
    return bonds


def _events(contract: Contract, first: int, last: int) -> list[EventData]:
    kinds = (contract.events.Bonded(), contract.events.Unbonding(), contract.events.Withdrawn())
    found = [log for kind in kinds for log in read_logs(kind, first=first, last=last)]
    return sorted(found, key=lambda log: (log["blockNumber"], log["logIndex"]))


def _books(contract: Contract, keys: list[bytes], block_number: int) -> dict[bytes, Bond]:
    books: dict[bytes, Bond] = {}
    with translated():
        for start in range(0, len(keys), _BATCH):
            some = keys[start : start + _BATCH]
            for key, answer in zip(some, _ask(contract, some, block_number), strict=True):
                owner, amount_wei, unbonding_wei, unbond_at_s = answer
                if amount_wei or unbonding_wei:
                    books[key] = Bond(
                        key, to_canonical_address(owner), Wei(amount_wei), Wei(unbonding_wei), unbond_at_s
                    )
    return books


def _ask(contract: Contract, keys: list[bytes], block_number: int) -> list[Any]:
    try:
        with contract.w3.batch_requests() as batch:
            for key in keys:
                batch.add(contract.functions.bondOf(key).call(block_identifier=block_number))
            return list(batch.execute())
    except Web3RPCError as error:
        said = str(error).lower()
        if any(word in said for word in ("blockoutofrange", "missing trie node", "state not available", "pruned")):
            raise _StateForgottenError from error
        raise


def _compare(replayed: dict[bytes, Bond], books: dict[bytes, Bond]) -> None:
    if replayed != books:
        differing = sorted(key.hex() for key in replayed.keys() | books.keys() if replayed.get(key) != books.get(key))
        raise ChainError(
            f"The node's events do not add up to the contract's books for {len(differing)} devices"
            f" (first: {differing[0]}): ask a node that keeps all events."
        )
