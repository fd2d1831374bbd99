"""systemd's readiness and watchdog protocol (sd_notify(3)): a few words to a local datagram socket."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_EVERY: Final = 3  # tell three times as often as the watchdog asks


class Notifier:
    """Tells systemd how the agent is. Says nothing where nobody listens."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` as systemd sets them."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        interval_us = environment.get("WATCHDOG_USEC", "")
        self._pause_s = int(interval_us) / 1_000_000 / _EVERY if interval_us.isascii() and interval_us.isdigit() else 0
        self._due_s = 0.0

    def ready(self, words: str) -> None:
        """The agent has begun its work."""
        self._send(f"READY=1\nSTATUS={words}")

    def alive(self, words: str, *, now_s: float) -> None:
        """Keep the watchdog quiet; call it often, it speaks as seldom as it may."""
        if self._pause_s and now_s >= self._due_s:
            self._due_s = now_s + self._pause_s
            self._send(f"WATCHDOG=1\nSTATUS={words}")

    def stopping(self) -> None:
        """The agent is on its way out, on purpose."""
        self._send("STOPPING=1")

    def _send(self, words: str) -> None:
        if not self._address:
            return
        # An abstract socket's name begins with a zero byte, which the variable writes as @.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaking:
            speaking.sendto(words.replace("\0", "").encode(), address)


def own_notifier() -> Notifier:
    """Return the notifier for the surroundings that systemd gave this process; children shall not speak for it."""
    notifier = Notifier(os.environ)
    os.environ.pop("NOTIFY_SOCKET", None)
    return notifier
