"""Where beacons come from: the settlement chain, or the hub itself where a network has no chain.

A beacon of the chain is checked by anyone against the chain. A self-made one proves freshness only to who trusts this
hub: good for a test network, and named so that nobody mistakes it.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from protocol.beacon import Beacon
from protocol.units import UnixMs

_TIMEOUT_S: Final = 5.0


class BeaconError(Exception):
    """The source did not answer, or not with a block."""


@dataclass(frozen=True, slots=True)
class MadeBeacon:
    """A beacon and when its source says it was made."""

    beacon: Beacon
    made_at_ms: UnixMs


class BeaconSource(Protocol):
    """Something that makes public randomness from time to time."""

    def latest(self) -> MadeBeacon:
        """Return the newest beacon; the same one again if there is none newer.

        Raises:
            BeaconError: no answer, or not a beacon.
        """
        ...


class ChainBeacons:
    """Blocks of an EVM chain, over JSON-RPC (`eth_getBlockByNumber`)."""

    def __init__(self, rpc_url: str, client: httpx.Client | None = None) -> None:
        """Ask the node at ``rpc_url``; ``client`` is closed by `close`."""
        self._url = rpc_url
        self._client = client or httpx.Client(timeout=_TIMEOUT_S)

    def latest(self) -> MadeBeacon:
        """See `BeaconSource`."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}
        try:
            answer = self._client.post(self._url, json=request)
            answer.raise_for_status()
            block = answer.json()["result"]
            number, moment_s = int(block["number"], 16), int(block["timestamp"], 16)
            block_hash = bytes.fromhex(block["hash"].removeprefix("0x"))
        except httpx.HTTPStatusError as error:  # its own sentence quotes the address, which may hold an access key
            raise BeaconError(f"the chain gave no block: it answered {error.response.status_code}") from error
        except httpx.InvalidURL as error:
            raise BeaconError("the chain's address is not a URL: correct --chain-rpc") from error
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BeaconError(f"the chain gave no block: {type(error).__name__}: {error}"[:300]) from error
        if len(block_hash) != 32 or not 0 <= number < 1 << 53 or not 0 <= moment_s < 1 << 40:
            raise BeaconError(f"the chain gave block {number} with impossible fields")
        return MadeBeacon(Beacon(number, block_hash), UnixMs(moment_s * 1_000))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class SelfMadeBeacons:
    """Random hashes that this hub draws itself, a fresh one every ``every_ms``."""

    def __init__(self, clock: Callable[[], UnixMs], every_ms: int) -> None:
        self._clock = clock
        self._every_ms = every_ms
        self._last: MadeBeacon | None = None

    def latest(self) -> MadeBeacon:
        """See `BeaconSource`. Rounds count ``every_ms`` since 1970, so they grow across restarts."""
        now_ms = self._clock()
        round_number = now_ms // self._every_ms
        if self._last is None or self._last.beacon.round < round_number:
            self._last = MadeBeacon(Beacon(round_number, secrets.token_bytes(32)), now_ms)
        return self._last

    def close(self) -> None:
        """Nothing is open."""
