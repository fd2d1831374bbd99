"""The bounded queue between the broker's thread and the writer's."""

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from hub.domain.admission import Message

_MOST_BYTES: Final = 64 << 20  # brokers other than the embedded one may deliver messages of any size
CAPACITY: Final = 8_192  # above any broker's limit of unacknowledged messages, so confirmed deliveries always fit


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message from the broker, and what acknowledges it."""

    message: Message
    qos: int
    packet_id: int
    connection: int  # packet ids mean nothing on another connection
    arrived_s: float  # monotonic


class Inbox:
    """Deliveries in order of arrival."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._bytes = 0
        self._waiting: deque[Delivery] = deque()
        self._changed = threading.Condition()

    def put(self, delivery: Delivery, *, wait_s: float) -> bool:
        """Append ``delivery``; return False if there was no room within ``wait_s``."""
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout=wait_s):
                return False
            self._waiting.append(delivery)
            self._bytes += len(delivery.message.block)
            self._changed.notify_all()
            return True

    def take(self, most: int, *, wait_s: float, linger_s: float) -> list[Delivery]:
        """Return up to ``most``: none after ``wait_s``, else those that came within ``linger_s`` of the first."""
        with self._changed:
            if not self._changed.wait_for(lambda: bool(self._waiting), timeout=wait_s):
                return []
            self._changed.wait_for(lambda: len(self._waiting) >= most, timeout=linger_s)
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._bytes -= sum(len(delivery.message.block) for delivery in taken)
            self._changed.notify_all()
            return taken

    def _has_room(self) -> bool:
        return len(self._waiting) < self._capacity and self._bytes < _MOST_BYTES

    def depth(self) -> int:
        """How many are waiting."""
        return len(self._waiting)

    def oldest_waits_s(self) -> float:
        """How long the first one has been waiting; 0 if none is."""
        with self._changed:
            return time.monotonic() - self._waiting[0].arrived_s if self._waiting else 0.0
