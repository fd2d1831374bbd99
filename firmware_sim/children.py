"""Child processes of the demo: started with a log file each, watched, and always stopped again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_STOP_GRACE_S: Final = 8.0
_LOG_TAIL_LINES: Final = 15


class ChildError(RuntimeError):
    """A child did not start, died, or failed; the message ends with the tail of its log."""


@dataclass(slots=True)
class Child:
    """One running process and where its talk goes."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    may_end: bool

    def tail(self) -> str:
        """Return the last lines of the child's log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines)


def program(name: str) -> str:
    """Return the path of one of Cairn's commands, installed beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


@dataclass(slots=True)
class Children:
    """All children of one demo. Leaving the context stops them, the last started first."""

    logs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    running: list[Child] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self.running):
            if child.popen.poll() is None:
                child.popen.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_GRACE_S
        for child in reversed(self.running):
            try:
                child.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.popen.kill()
                child.popen.wait()

    def start(self, name: str, command: Sequence[str], *, may_end: bool = False) -> Child:
        """Start ``command`` in its own session, so that Ctrl-C reaches only us and we stop children in order."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as sink:
            popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.environment},
                start_new_session=True,
            )
        child = Child(name, popen, log, may_end)
        self.running.append(child)
        return child

    def check(self, *, within_s: float = 0.0) -> None:
        """Raise if a child that should be running is not, or one that may end ended badly, now or ``within_s``.

        Raises:
            ChildError: with the tail of the log of the first such child.
        """
        deadline_s = time.monotonic() + within_s
        while True:
            for child in self.running:
                status = child.popen.poll()
                if status is not None and (status != 0 or not child.may_end):
                    raise ChildError(f"{child.name} stopped with status {status}; its log ends:\n{child.tail()}")
            if time.monotonic() >= deadline_s:
                return
            time.sleep(0.05)

    def wait_for_file(self, path: Path, *, timeout_s: float) -> dict[str, object]:
        """Return the JSON object that a child writes to ``path`` once it is ready.

        Raises:
            ChildError: a child died first, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check()
            if path.is_file():
                loaded: dict[str, object] = json.loads(path.read_text())
                return loaded
            time.sleep(0.05)
        raise ChildError(f"nothing wrote {path.name} within {timeout_s:.0f} s; logs are in {self.logs}")

    def call(self, name: str, command: Sequence[str], *, timeout_s: float = 60.0) -> dict[str, object]:
        """Run ``command`` to its end and return the JSON object it printed.

        Raises:
            ChildError: it failed; the message holds what it said.
        """
        answer: dict[str, object] = json.loads(self.output(name, command, timeout_s=timeout_s) or "{}")
        return answer

    def output(self, name: str, command: Sequence[str], *, timeout_s: float = 60.0) -> str:
        """Run ``command`` to its end and return what it printed on stdout.

        Raises:
            ChildError: it failed; the message holds what it said.
        """
        outcome = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env={**os.environ, **self.environment},
        )
        with (self.logs / f"{name}.log").open("a") as log:
            log.write(outcome.stderr)
        if outcome.returncode != 0:
            raise ChildError(f"{name} failed with status {outcome.returncode}: {outcome.stderr.strip()[-2000:]}")
        return outcome.stdout.strip()

    def watch(self) -> None:
        """Return never, unless a child that should be running stops.

        Raises:
            ChildError: it did.
        """
        while True:
            self.check()
            time.sleep(0.5)
