"""Where bytes come from: a serial port or a TCP connection, opened again with growing pauses whenever it goes away.

The standard library alone: pyserial's last release is of 2020, and all that is needed of it here are forty lines.
"""

import errno
import os
import select
import socket
import termios
import tty
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from edge.sensors.sensor import SensorError

_CHUNK_BYTES: Final = 4_096
_FORGET_CHUNKS_MAX: Final = 2_048
_PAUSE_MIN_S: Final = 1.0
_PAUSE_MAX_S: Final = 30.0
_CONNECT_S: Final = 3.0


class Port(Protocol):
    """An open source of bytes. One error family: OSError."""

    def receive(self, wait_s: float) -> bytes:
        """Return what has arrived, waiting at most ``wait_s`` for the first byte; empty if nothing came.

        Raises:
            OSError: it is gone.
        """
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class _Descriptor:
    """A port behind a file descriptor that never blocks."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def receive(self, wait_s: float) -> bytes:
        if not select.select([self._descriptor], [], [], wait_s)[0]:
            return b""
        chunk = os.read(self._descriptor, _CHUNK_BYTES)
        if not chunk:  # readable and empty: the other end has gone
            raise OSError(errno.ENODEV, "it was unplugged or hung up")
        return chunk

    def close(self) -> None:
        os.close(self._descriptor)


def open_serial(path: Path, *, baud: int) -> Port:
    """Open a serial port: raw, eight bits, no parity, no flow control.

    Raises:
        OSError: absent, not ours to read, or no terminal.
    """
    speed: int = getattr(termios, f"B{baud}")
    descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        tty.setraw(descriptor, termios.TCSANOW)  # not the default, which throws away what has arrived
        mode = termios.tcgetattr(descriptor)
        mode[2] = mode[2] & ~(termios.CSTOPB | termios.CRTSCTS) | termios.CLOCAL | termios.CREAD
        mode[4] = mode[5] = speed
        termios.tcsetattr(descriptor, termios.TCSANOW, mode)
    except termios.error as error:
        os.close(descriptor)
        raise OSError(*error.args) from error
    return _Descriptor(descriptor)


def open_tcp(host: str, port: int, *, greeting: bytes) -> Port:
    """Connect and send ``greeting``.

    Raises:
        OSError: nobody answers.
    """
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_S)
    except UnicodeError as error:  # what no name of a host can be
        raise OSError(errno.EINVAL, "that is no name of a host") from error
    with connection:
        connection.sendall(greeting)
        connection.setblocking(False)  # noqa: FBT003  # the standard library's own signature
        return _Descriptor(connection.detach())


class SteadyLine:
    """A port that is opened when it is needed and again after it went away, never in a hurry."""

    def __init__(self, opened: Callable[[], Port], *, name: str, monotonic_s: Callable[[], float]) -> None:
        """Open nothing yet; ``name`` is for people."""
        self._opened = opened
        self._name = name
        self._monotonic_s = monotonic_s
        self._port: Port | None = None
        self._pause_s = _PAUSE_MIN_S
        self._not_before_s = 0.0

    def receive(self, wait_s: float) -> bytes:
        """Return what has arrived; see ``Port.receive``.

        Raises:
            SensorError: it is away. Until the pause is over it is not even tried.
        """
        wait_left_s = self._not_before_s - self._monotonic_s()
        if self._port is None and wait_left_s > 0:
            raise SensorError(f"{self._name} is away; it is tried again in {wait_left_s:.0f} s")
        try:
            if self._port is None:
                self._port = self._opened()
            chunk = self._port.receive(wait_s)
        except OSError as error:
            self.close()
            self._not_before_s = self._monotonic_s() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _PAUSE_MAX_S)
            raise SensorError(f"{self._name} cannot be read ({error.strerror or error}): {_advice(error)}") from error
        if chunk:
            self._pause_s = _PAUSE_MIN_S
        return chunk

    def forget(self) -> None:
        """Throw away what has arrived and was not received; who hung up on a bad listener is called again at once."""
        try:
            for _ in range(_FORGET_CHUNKS_MAX):
                if self._port is None or not self._port.receive(0):
                    return
        except OSError:
            self.close()

    def close(self) -> None:
        """Close the port if it is open."""
        if self._port is not None:
            port, self._port = self._port, None
            port.close()


def _advice(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "let the agent's user read it, often by adding it to the group dialout"
    if error.errno == errno.ECONNREFUSED:
        return "start that service, or mend the address"
    if error.errno == errno.EBUSY:
        return "another program has it open, end that one"
    return "check that it is plugged in and what it is called now"
