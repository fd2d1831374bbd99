"""Sequence numbers that are never used twice, not after a kill, a power cut, or a lost or restored outbox.

A small file of its own says up to which number any envelope may ever have been signed. It is raised and fsynced a
block ahead, *before* a number of that block is handed out, and lowered to the truth only at a clean stop. So whoever
starts after a crash goes on above everything that may have been published, and leaves a gap, which a hub allows; one
number on two envelopes would be a proof of cloning. The same file counts the starts (``boot``).

Invariant: numbers taken over the life of a file strictly increase (tests/property/test_outbox_crashes.py).
"""

import fcntl
import os
from pathlib import Path
from typing import Annotated, Final, Self

import msgspec

from edge.errors import EdgeError
from edge.owning.identity import sync_directory

# Numbers reserved at once, which takes two fsyncs (the file, its directory), and the largest gap that a crash leaves.
BLOCK: Final = 64
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class SequenceError(EdgeError):
    """The sequence file cannot be read, written or trusted; the message says what to do."""


class _State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    boot: _Count
    used_until: _Count  # no envelope has ever been signed with a number above this


class SequenceLedger:
    """Hands out the numbers of one device. Holds a lock on its file: one agent a device."""

    def __init__(self, path: Path, lock: int, state: _State) -> None:
        """Use `create` once and `open` at each start."""
        self._path = path
        self._lock = lock
        self._state = state
        self._next = state.used_until + 1

    @classmethod
    def create(cls, path: Path) -> None:
        """Write the file of a device that has never signed anything.

        Raises:
            SequenceError: it exists already, or cannot be written.
        """
        if path.exists():
            raise SequenceError(f"{path} already exists; it belongs to the key beside it and must stay with it")
        _write(path, _State(boot=0, used_until=0))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Lock the file that `create` made, count one more boot, and go on above everything that may have been used.

        Raises:
            SequenceError: missing, damaged, not writable, or another agent holds it.
        """
        lock = _lock(path)
        try:
            state = _read(path)
            state = _State(boot=state.boot + 1, used_until=state.used_until)
            _write(path, state)
        except SequenceError:
            os.close(lock)
            raise
        return cls(path, lock, state)

    @property
    def boot(self) -> int:
        """How many times this device has started, this time included."""
        return self._state.boot

    def never_below(self, last_used: int) -> None:
        """Go on above ``last_used``, the highest number the outbox knows of: this file may be an old copy."""
        self._next = max(self._next, last_used + 1)

    def go_on_after_copy(self, *, boot: int, skipped: int) -> None:
        """This file is an old copy: go on at ``boot`` and ``skipped`` numbers further, durable on return.

        Raises:
            SequenceError: it cannot be made durable.
        """
        self._next += skipped
        self._state = _State(boot=max(boot, self._state.boot), used_until=self._next - 1)
        _write(self._path, self._state)

    def take(self) -> int:
        """Return the next number; it is spent, whatever becomes of the envelope.

        Raises:
            SequenceError: the reservation cannot be made durable (disk full, read-only).
        """
        if self._next > self._state.used_until:
            reserved = _State(boot=self._state.boot, used_until=self._next - 1 + BLOCK)
            _write(self._path, reserved)
            self._state = reserved
        number = self._next
        self._next += 1
        return number

    def close(self) -> None:
        """Give back what was reserved and not taken, and let the file go. A failure here costs a gap, no more."""
        try:
            _write(self._path, _State(boot=self._state.boot, used_until=self._next - 1))
        finally:
            os.close(self._lock)


def read_ledger(path: Path) -> tuple[int, int]:
    """Return the boots counted and the number up to which numbers are reserved, for people; locks nothing.

    Raises:
        SequenceError: missing or damaged.
    """
    state = _read(path)
    return state.boot, state.used_until


def _lock(path: Path) -> int:
    # The lock sits on a file that is never replaced: a lock on the ledger itself would go with the old inode.
    lock_path = path.with_name(path.name + ".lock")
    try:
        descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SequenceError(f"cannot write beside {path}: {error.strerror}; free or unlock the disk") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SequenceError(f"another agent is running on {path.parent}; stop it, or give this one its own") from error
    return descriptor


def _read(path: Path) -> _State:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_State)
    except FileNotFoundError as error:
        raise SequenceError(
            f"{path} is missing; without it a number could be used twice, which looks like a cloned key: restore it, "
            f"or start over as a new device with `cairn-edge init` in an empty directory"
        ) from error
    except (OSError, msgspec.MsgspecError) as error:
        raise SequenceError(f"{path} cannot be read ({error}); restore it from your copy") from error


def _write(path: Path, state: _State) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(state) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise SequenceError(f"cannot write {path}: {error.strerror}; free or unlock the disk") from error
