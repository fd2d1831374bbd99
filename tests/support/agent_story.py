"""A whole agent, looked at from outside: in a thread of the test, or as `cairn-edge run` in a process of its own."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge.agent import Agent
from edge.care.host import Host
from edge.glance import VisionProgram
from edge.settings import load_settings
from edge.status import AgentStatus, read_status
from protocol.identity import PublicKey
from protocol.observation import Observation
from tests.support.edge_story import ListeningHub, wait_until

COMMAND = str(Path(sys.executable).with_name("cairn-edge"))


@contextmanager
def running_agent(
    home: Path, seeing: VisionProgram | None = None, *, host: Host | None = None
) -> Iterator[threading.Thread]:
    """The agent of the device in ``home`` at work; at the end it is stopped, and must stop."""
    stop = threading.Event()
    agent = Agent(load_settings(home, {}), home, program=seeing, host=host)
    thread = threading.Thread(target=agent.run, args=(stop,))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive()


@contextmanager
def running_process(home: Path, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """`cairn-edge run`, leader of a process group of its own; killed at the end if it still runs."""
    command = [COMMAND, "run", "--dir", str(home)]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **variables},
    )
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):  # with what it may have left behind
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=20)


def cairn_edge(*words: str | Path, status: int | None = 0) -> "subprocess.CompletedProcess[str]":
    """Run a command beside the agent; ``status`` is what it must end with, None: anything."""
    outcome = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert status in {None, outcome.returncode}, (outcome.returncode, outcome.stdout, outcome.stderr)
    assert "Traceback" not in outcome.stderr
    return outcome


def told(home: Path, is_so: Callable[[AgentStatus], bool], *, what: str, at_most_s: float = 30) -> AgentStatus:
    """Wait until the agent says so of itself; return what it says."""
    said: list[AgentStatus] = []

    def is_told() -> bool:
        status = read_status(home)
        if status is None or not is_so(status):
            return False
        said.append(status)
        return True

    wait_until(is_told, at_most_s=at_most_s, what=what)
    return said[-1]


def observed(listening: ListeningHub, device: PublicKey, kind: type[Observation]) -> list[Observation]:
    """Everything of one kind that the hub has from the device, in the device's order."""
    kept = dict(listening.hub.kept.get(device, {}))
    return [each for number in sorted(kept) for each in kept[number].observations if isinstance(each, kind)]


def pid_in(status: AgentStatus, name: str) -> int:
    """The process of one part."""
    return next(each.pid for each in status.processes if each.name == name and each.pid is not None)


def children_of(pid: int) -> set[int]:
    """All processes below ``pid``, theirs included."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if words[0] != "Z":
            below.setdefault(int(words[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    open_ends = [pid]
    while open_ends:
        for each in below.get(open_ends.pop(), ()):
            found.add(each)
            open_ends.append(each)
    return found


def words_of(pid: int) -> str:
    """The command line of a process; empty where it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def is_gone(pid: int) -> bool:
    """Whether the process has ended; one that nobody has waited for counts as gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
