"""A nursery for commands: one process imports a program once, and every start of the program is a fork of it.

What comes out is a process like any other: a pid, an environment, streams and an exit status of its own, and kill -9
ends it. It only begins after the imports, which take longer than most commands do (web3 alone well over a second).
That the installed commands start from nothing is shown elsewhere: by the demo, and by the tests that say so.
"""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NoReturn, Self

from tests.conftest import ROOT

_NUMBER = struct.Struct("i")
_OWN_STREAMS = 3
_EXECUTABLE = Path(sys.executable)


class Child:
    """A command that was started in a nursery; its waiter says by a pipe when and how it ended."""

    def __init__(self, words: Sequence[str], told: int) -> None:
        self._words = words
        self._told = told
        self.returncode: int | None = None
        self.pid = self._next_number()

    def poll(self) -> int | None:
        """Return the exit status, or minus the signal that ended it; None while it runs."""
        return self._outcome(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return as `poll` does.

        Raises:
            subprocess.TimeoutExpired: it runs on.
        """
        outcome = self._outcome(timeout)
        if outcome is None:
            raise subprocess.TimeoutExpired(self._words, timeout or 0)
        return outcome

    def send_signal(self, number: int) -> None:
        """Send it a signal if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without asking."""
        self.send_signal(signal.SIGKILL)

    def _outcome(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._told], [], [], timeout_s)[0]:
            self.returncode = self._next_number()
            os.close(self._told)
        return self.returncode

    def _next_number(self) -> int:
        (number,) = _NUMBER.unpack(os.read(self._told, _NUMBER.size))
        return int(number)


class Nursery:
    """Starts the command ``name``, which is the function ``main`` of ``module``."""

    def __init__(self, name: str, module: str) -> None:
        self.name = name
        self._one_at_a_time = threading.Lock()
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            command = [sys.executable, "-m", "tests.support.nursery", name, module, str(theirs.fileno())]
            self._server = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # a process with threads is not to be forked
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._door.close()
        assert self._server.wait(30) == 0

    def start(
        self,
        words: Sequence[str],
        *,
        stdout: IO[Any] | None = None,
        stderr: IO[Any] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Child:
        """Start it with no input; its output goes nowhere unless it is said where."""
        told, telling = os.pipe()
        message = json.dumps({"words": list(words), "environment": dict(os.environ if env is None else env)}).encode()
        with Path(os.devnull).open("r+b") as nothing, self._one_at_a_time:
            streams = [nothing.fileno(), *((stream or nothing).fileno() for stream in (stdout, stderr))]
            socket.send_fds(self._door, [_NUMBER.pack(len(message))], [*streams, telling])
            self._door.sendall(message)
        os.close(telling)
        return Child([self.name, *words], told)

    def run(
        self, words: Sequence[str], *, timeout_s: float = 120, env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run it to its end and return what it said."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            child = self.start(words, stdout=out, stderr=err, env=env)
            try:
                status = child.wait(timeout_s)
            finally:
                child.kill()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess([self.name, *words], status, out.read(), err.read())


def _await_order(door: socket.socket) -> dict[str, Any]:
    """Fork a waiter for every order, and the waiter the command: return in the command, with its streams in place."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # waiters are missed by nobody
    while True:
        head, received, _, _ = socket.recv_fds(door, _NUMBER.size, _OWN_STREAMS + 1)
        if not head:
            raise SystemExit(0)
        message = door.recv(_NUMBER.unpack(head)[0], socket.MSG_WAITALL)
        if os.fork() == 0:
            break
        for one in received:
            os.close(one)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    door.close()
    *streams, telling = received
    child = os.fork()
    if child != 0:
        for one in streams:
            os.close(one)
        _tell_end(child, telling)
    os.close(telling)
    for place, one in enumerate(streams):
        os.dup2(one, place)
        os.close(one)
    order: dict[str, Any] = json.loads(message)
    return order


def _tell_end(child: int, telling: int) -> NoReturn:
    os.write(telling, _NUMBER.pack(child))
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        os.write(telling, _NUMBER.pack(ended))
    finally:
        os._exit(0)


def _main() -> int:
    name, module, door = sys.argv[1:]
    entry: Callable[[], int] = import_module(module).main
    order = _await_order(socket.socket(fileno=int(door)))
    sys.argv = [str(_EXECUTABLE.with_name(name)), *order["words"]]
    os.environ.clear()
    os.environ.update(order["environment"])
    return entry()


if __name__ == "__main__":
    sys.exit(_main())
