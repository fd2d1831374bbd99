"""MQTT topics. One level a word, nothing a broker or its ACL has to unescape."""

from typing import Final

from protocol.errors import MalformedError
from protocol.identity import PublicKey

_ROOT: Final = "cairn/v1"


def envelope_topic(network: str, device: PublicKey) -> str:
    """Where a device publishes its envelopes."""
    return f"{_ROOT}/{network}/envelope/{device.name}"


def enrollment_topic(network: str, device: PublicKey) -> str:
    """Where a device publishes its enrollment."""
    return f"{_ROOT}/{network}/enroll/{device.name}"


def receipt_topic(network: str, device: PublicKey) -> str:
    """Where a device hears its receipts."""
    return f"{_ROOT}/{network}/receipt/{device.name}"


def beacon_topic(network: str) -> str:
    """Where hubs relay the beacon, retained."""
    return f"{_ROOT}/{network}/beacon"


def model_topic(network: str) -> str:
    """Where a hub offers its devices a model, retained."""
    return f"{_ROOT}/{network}/model"


def adoption_topic(network: str, device: PublicKey) -> str:
    """Where a device without an owner hears who adopts it, retained."""
    return f"{_ROOT}/{network}/adopt/{device.name}"


def intake_filters(network: str) -> tuple[str, str]:
    """What a hub subscribes to: all envelopes, all enrollments."""
    return f"{_ROOT}/{network}/envelope/+", f"{_ROOT}/{network}/enroll/+"


def parse_intake_topic(topic: str, network: str) -> tuple[str, PublicKey]:
    """Return ``("envelope" | "enroll", device)`` for a topic a hub subscribes to.

    Raises:
        MalformedError: another network, another purpose, or not a device's name.
    """
    prefix = f"{_ROOT}/{network}/"
    purpose, _, name = topic.removeprefix(prefix).partition("/")
    if not topic.startswith(prefix) or purpose not in {"envelope", "enroll"}:
        raise MalformedError(f"not an intake topic: {topic[:120]!r}")
    device = PublicKey.parse(name)
    if device.name != name:  # the long form did:key:z... would be a second topic of one device
        raise MalformedError(f"not a device's name: {name[:80]!r}")
    return purpose, device
