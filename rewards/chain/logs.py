"""Read events in ranges small enough for any node, halving a range the node finds too large."""

from collections.abc import Iterator
from typing import Any

from web3.contract.contract import ContractEvent
from web3.exceptions import Web3RPCError
from web3.types import EventData

from rewards.chain.node import translated

_RANGE_BLOCKS = 5_000


def read_logs(
    event: ContractEvent, *, first: int, last: int, argument_filters: dict[str, Any] | None = None
) -> Iterator[EventData]:
    """Yield the decoded logs of ``event`` in blocks ``first``..``last``, both inclusive, in order.

    Raises:
        ChainError: the node refuses even a single block, or does not answer.
    """
    span = _RANGE_BLOCKS
    start = first
    while start <= last:
        end = min(start + span - 1, last)
        try:
            with translated():
                found = _ask(event, start, end, argument_filters)
        except _TooLargeError:
            span = max(1, span // 2)
            continue
        yield from found
        start = end + 1


class _TooLargeError(Exception):
    """The node refused a range of more than one block."""


def _ask(event: ContractEvent, first: int, last: int, argument_filters: dict[str, Any] | None) -> list[EventData]:
    try:
        return list(event.get_logs(from_block=first, to_block=last, argument_filters=argument_filters))
    except Web3RPCError as error:
        if last > first:
            raise _TooLargeError from error
        raise
