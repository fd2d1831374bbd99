"""The connection to one node, and the one place where its failures become ``ChainError``."""

from collections.abc import Iterator
from contextlib import contextmanager

from eth_utils.address import to_checksum_address
from web3 import HTTPProvider, Web3
from web3.exceptions import (
    ContractLogicError,
    Web3Exception,
    Web3RPCError,
)
from web3.types import RPCEndpoint

from rewards.chain.errors import ChainError, ChainUnreachableError
from rewards.chain.refusal import refusal_from


def connect(url: str, *, chain_id: int, timeout_s: float = 20.0) -> Web3:
    """Return a connection to the node at ``url`` after it has said that it serves ``chain_id``.

    Raises:
        ChainUnreachableError: nobody answers, or the node serves another chain.
    """
    # web3 asks for the chain's id before every call; it cannot change under one URL we have checked.
    provider = HTTPProvider(
        url,
        request_kwargs={"timeout": timeout_s},
        cache_allowed_requests=True,
        cacheable_requests={RPCEndpoint("eth_chainId")},
    )
    web3 = Web3(provider)
    with translated():
        found = web3.eth.chain_id
    if found != chain_id:
        # Without the URL: providers put their key into it, and this sentence goes to logs and pages.
        raise ChainUnreachableError(f"The node serves chain {found}, not {chain_id}: check the chain's URL.")
    return web3


@contextmanager
def translated() -> Iterator[None]:
    """Raise whatever web3 raises inside as a ``ChainError``, with the cause kept."""
    try:
        yield
    except ContractLogicError as error:
        data = error.data if isinstance(error.data, str) and error.data.startswith("0x") else "0x"
        raise refusal_from(bytes.fromhex(data[2:]), fallback=str(error.message)) from error
    except Web3RPCError as error:
        raise ChainError(_rpc_sentence(error)) from error
    except Web3Exception as error:
        raise ChainError(f"The node's answer makes no sense: {error}") from error
    except OSError as error:  # every failure of requests is one
        raise ChainUnreachableError("The chain's node does not answer: check its URL and that it runs.") from error
    except (ValueError, TypeError, AttributeError) as error:  # what web3 makes of a web page, a list, a broken number
        raise ChainUnreachableError("What answers is not a chain's node: check the chain's URL.") from error


def _rpc_sentence(error: Web3RPCError) -> str:
    said = str(error.rpc_response["error"].get("message")) if error.rpc_response else str(error)
    if "insufficient funds" in said.lower():
        return "The sending account cannot pay the chain's fee: send it some of the chain's coin."
    return f"The node refused the call: {said}"


def checksum(account: bytes) -> str:
    """Return 20 raw bytes as people write an address."""
    return str(to_checksum_address(account))
