"""The local node's state on the disk: written atomically, read back whole, used by one node at a time."""

import fcntl
import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rewards.chain.errors import NodeFailedError

_ORPHAN_WITHIN_S = 5.0
_POLL_S = 0.05


def write_state(state_file: Path, packed: bytes) -> None:
    """Put ``packed`` (gzip, as ``anvil_dumpState`` gives it) in place of ``state_file``, or leave that as it was.

    Raises:
        NodeFailedError: the disk did not take it.
    """
    fresh = state_file.with_name(state_file.name + ".new")
    try:
        with fresh.open("wb") as stream:
            stream.write(packed)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(state_file)
        folder = os.open(state_file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name too must survive a power cut
        finally:
            os.close(folder)
    except OSError as error:
        raise NodeFailedError(f"The chain's state cannot be written to {state_file}: {error}.") from error


def unpack_state(state_file: Path) -> Path:
    """Write the plain JSON of ``state_file`` beside it, as anvil wants to load it, and return where.

    Raises:
        NodeFailedError: the file is not a whole state.
    """
    plain = state_file.with_name(state_file.name + ".loading.json")
    try:
        text = gzip.decompress(state_file.read_bytes())
        json.loads(text)
        plain.write_bytes(text)
    except (OSError, EOFError, ValueError) as error:
        raise NodeFailedError(
            f"The chain's state in {state_file} cannot be read: move the file away to begin a new chain."
        ) from error
    return plain


@contextmanager
def state_lock(state_file: Path) -> Iterator[int]:
    """Give the descriptor of a lock that says "this state has its node".

    The node inherits the descriptor, and a lock ends with its last holder: so it is held exactly as long as the node or
    its keeper lives, however they end. A node whose keeper was killed would serve a chain that nobody saves any more;
    it is stopped here.

    Raises:
        NodeFailedError: another keeper uses the state.
    """
    lock = os.open(state_file.with_name(state_file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _take(lock):
            _stop_orphan(lock, state_file)
        yield lock
    finally:
        os.close(lock)


def sign_lock(lock: int, *, keeper_pid: int, node_pid: int) -> None:
    """Write into the lock whose it is."""
    os.ftruncate(lock, 0)
    os.pwrite(lock, json.dumps({"keeper": keeper_pid, "node": node_pid}).encode(), 0)


def _take(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _stop_orphan(lock: int, state_file: Path) -> None:
    in_use = f"The chain's state in {state_file} is in use by another node: stop that one first."
    try:
        holder = json.loads(os.pread(lock, 200, 0))
        keeper, node = int(holder["keeper"]), int(holder["node"])
    except (ValueError, KeyError, TypeError) as error:
        raise NodeFailedError(in_use) from error
    if _is_alive(keeper):
        raise NodeFailedError(in_use)
    # The lock is held and its keeper is gone: only the node itself can be holding it.
    with suppress(ProcessLookupError):
        os.kill(node, signal.SIGKILL)
    deadline_s = time.monotonic() + _ORPHAN_WITHIN_S
    while time.monotonic() < deadline_s:
        if _take(lock):
            return
        time.sleep(_POLL_S)
    raise NodeFailedError(in_use)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
