"""Passing adoptions on to devices: bounded, rate limited, and nothing more than a messenger.

A hub cannot tell a right tag from a wrong one, and cannot make one either. So whoever posts may fill the waiting room
or overwrite another's adoption for a while, never take a device: the limits say for how long and how much.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from protocol.adoption import Adoption, encode_adoption
from protocol.identity import PublicKey
from protocol.topics import adoption_topic

MOST_WAITING: Final = 4_096  # adoptions kept at the broker; the oldest makes room
_PER_DEVICE: Final = 6  # in a minute
_ALTOGETHER: Final = 240
_MINUTE_S: Final = 60.0


class TooManyAdoptionsError(Exception):
    """Wait: too many adoptions in a minute, of one device or altogether."""


class Retainer(Protocol):
    """Where a message can be left for whoever comes later."""

    def retain(self, topic: str, block: bytes) -> None:
        """Leave ``block`` at ``topic``, in place of what was there; empty: leave nothing."""
        ...


class AdoptionRelay:
    """Hands adoptions of one network to the broker. May be used from several threads."""

    def __init__(
        self, outbox: Retainer, *, network: str, monotonic_s: Callable[[], float], most_waiting: int = MOST_WAITING
    ) -> None:
        self._outbox = outbox
        self._network = network
        self._monotonic_s = monotonic_s
        self._most_waiting = most_waiting
        self._lock = threading.Lock()
        self._posted: OrderedDict[PublicKey, list[float]] = OrderedDict()  # times within the last minute or so
        self._all_posted: list[float] = []

    def relay(self, adoption: Adoption) -> None:
        """Leave ``adoption`` for its device, in place of an earlier one.

        Raises:
            TooManyAdoptionsError: not now.
        """
        device = PublicKey(adoption.device)
        with self._lock:
            now_s = self._monotonic_s()
            self._all_posted = _recent(self._all_posted, now_s)
            mine = _recent(self._posted.get(device, []), now_s)
            if len(mine) >= _PER_DEVICE or len(self._all_posted) >= _ALTOGETHER:
                raise TooManyAdoptionsError
            self._all_posted.append(now_s)
            self._posted[device] = [*mine, now_s]
            self._posted.move_to_end(device)
            forgotten = None
            if len(self._posted) > self._most_waiting:
                forgotten, _ = self._posted.popitem(last=False)
        if forgotten is not None:
            self._outbox.retain(adoption_topic(self._network, forgotten), b"")
        self._outbox.retain(adoption_topic(self._network, device), encode_adoption(adoption))


def _recent(times_s: list[float], now_s: float) -> list[float]:
    return [each for each in times_s if now_s - each < _MINUTE_S]
