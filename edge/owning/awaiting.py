"""A device without an owner: connected, listening for its adoption, signing nothing."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.log import get_logger
from edge.owning.adoption import Adoption, AdoptionError
from edge.sending.connection import Connection, UplinkError
from protocol.identity import PublicKey
from protocol.topics import adoption_topic

_POLL_S: Final = 0.2
_FIRST_WAIT_S: Final = 0.5
_WAIT_MAX_S: Final = 30.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where a device hears of its adoption."""

    host: str
    port: int
    network: str
    device: PublicKey
    keepalive_s: int = 30


def await_owner(
    meeting: Meeting,
    adoption: Adoption,
    stop: threading.Event,
    *,
    monotonic_s: Callable[[], float],
    told: Callable[[], bytes | None],
) -> bytes | None:
    """Return the owner as soon as there is one; None if ``stop`` came first. Reconnects for ever, ever more slowly.

    Args:
        meeting: the broker and the topic.
        adoption: what the device believes of what it hears.
        stop: set to give up.
        monotonic_s: a clock for the connection.
        told: the owner by any other way, like the console beside the device; asked again and again.

    Raises:
        AdoptionError: what ``told`` raises.
    """
    log.info("awaiting_owner", device=meeting.device.did)
    wait_s = _FIRST_WAIT_S
    while not stop.is_set():
        owner = told()
        if owner is not None:
            return owner
        try:
            owner = _listen(meeting, adoption, stop, monotonic_s=monotonic_s, told=told)
            if owner is not None:
                return owner
            wait_s = _FIRST_WAIT_S
        except (UplinkError, AdoptionError) as error:
            log.warning("adoption_not_heard", reason=str(error), retry_in_ms=int(wait_s * 1000))
            owner = _pause(wait_s, stop, monotonic_s=monotonic_s, told=told)
            if owner is not None:
                return owner
            wait_s = min(wait_s * 2, _WAIT_MAX_S)
    return None


def _pause(
    wait_s: float, stop: threading.Event, *, monotonic_s: Callable[[], float], told: Callable[[], bytes | None]
) -> bytes | None:
    """Wait for the broker to come back; the console may tell the owner meanwhile, and others want to see us alive."""
    until_s = monotonic_s() + wait_s
    while (left_s := until_s - monotonic_s()) > 0:
        if stop.wait(min(left_s, _POLL_S)):
            return None
        owner = told()
        if owner is not None:
            return owner
    return None


def _listen(
    meeting: Meeting,
    adoption: Adoption,
    stop: threading.Event,
    *,
    monotonic_s: Callable[[], float],
    told: Callable[[], bytes | None],
) -> bytes | None:
    connection = Connection(
        client_id=meeting.device.name, keepalive_s=meeting.keepalive_s, monotonic_s=monotonic_s, is_persistent=False
    )
    topic = adoption_topic(meeting.network, meeting.device)
    try:
        connection.open(meeting.host, meeting.port, topics=(topic,))
        while not stop.is_set():
            for heard_on, message in connection.pump(_POLL_S):
                owner = adoption.hear(message) if heard_on == topic and message else None
                if owner is not None:
                    return owner
            owner = told()
            if owner is not None:
                return owner
    finally:
        connection.close()
    return None
