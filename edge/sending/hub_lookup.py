"""Two words with a hub over HTTP: who it is (``GET /v1/network``), and whose a device is (``POST /v1/adoptions``)."""

import urllib.error
import urllib.request
from http.client import HTTPException
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import msgspec

from edge.errors import EdgeError
from protocol.adoption import Adoption
from protocol.identity import PublicKey

_TIMEOUT_S: Final = 10.0
_ANSWER_MAX_BYTES: Final = 65_536


class HubLookupError(EdgeError):
    """The hub's page cannot be had or is not a hub's; the message says what to do."""


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where the hub listens for devices."""

    host: str
    port: int


class HubNetwork(msgspec.Struct, frozen=True):
    """What a device needs to know of a hub; the page says more."""

    network: str
    hub: str  # did:key
    broker: BrokerAddress


def ask_hub(url: str) -> HubNetwork:
    """Return what the hub at ``url`` says of itself.

    Raises:
        HubLookupError: not an http address, unreachable, or the answer is not a hub's.
    """
    address = url.rstrip("/") + "/v1/network"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise HubLookupError(f"{url!r} is not the address of a hub: write http://HOST:PORT or https://HOST")
    request = urllib.request.Request(address, headers={"Accept": "application/json"})  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            return msgspec.json.decode(answer.read(_ANSWER_MAX_BYTES), type=HubNetwork)
    except (OSError, HTTPException, ValueError, RecursionError) as error:
        raise HubLookupError(
            f"{address} gives no answer of a hub ({error}): check the address and try again"
        ) from error


class _Problem(msgspec.Struct, frozen=True):
    detail: str


def post_adoption(url: str, adoption: Adoption) -> None:
    """Ask the hub at ``url`` to pass ``adoption`` on to its device.

    Raises:
        HubLookupError: not an http address, unreachable, or the hub refuses.
    """
    address = url.rstrip("/") + "/v1/adoptions"
    if urlsplit(url).scheme not in {"http", "https"}:
        raise HubLookupError(f"{url!r} is not the address of a hub: write http://HOST:PORT or https://HOST")
    said = {
        "device": PublicKey(adoption.device).did,
        "owner": "0x" + adoption.owner.hex(),
        "tag": adoption.tag.hex(),
    }
    request = urllib.request.Request(  # noqa: S310 - checked above
        address, data=msgspec.json.encode(said), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - checked above
            answer.read(_ANSWER_MAX_BYTES)
    except urllib.error.HTTPError as error:
        raise HubLookupError(f"{address} refuses: {_refusal(error)}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise HubLookupError(f"{address} gives no answer ({error}): check the address and try again") from error


def _refusal(error: urllib.error.HTTPError) -> str:
    try:
        return msgspec.json.decode(error.read(_ANSWER_MAX_BYTES), type=_Problem).detail
    except (OSError, HTTPException, msgspec.MsgspecError):
        return f"{error.code} {error.reason}"


def is_private_line(url: str) -> bool:
    """Whether nobody between here and the hub can change its answer: https, or this very machine."""
    parts = urlsplit(url)
    try:
        is_here = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_here = False
    return parts.scheme == "https" or is_here
