"""A device goes on under another key, and at every point in between exactly one of the two is whole.

1. *prepared*: ``next/`` holds the new key, a fresh sequence file and the new key's consent. The old device is whole.
2. *farewell*: the old key has signed its last envelope, which names its successor (edge/owning/farewell.py). Still
   the old device.
3. *switching*, once the hub has receipted that: ``next`` becomes ``next.leaving`` in one renaming, and from then on
   only the way forward is left. The old files move to ``retired/``, the sequence file first; ``next.leaving`` becomes
   ``next.arriving``; the new ones move in, the sequence file last. Nothing signs without one, so no half is ever used.

Whoever opens a device calls `finish_rotation` first. Tested by killing it after every step.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from edge.errors import EdgeError
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.sequence import SequenceLedger
from edge.owning.identity import sync_directory, write_private
from edge.place import BOOTS_FILE, KEY_FILE, KEY_LABEL_FILE, OUTBOX_FILE, RETIRED_FOLDER, SEQUENCE_FILE
from protocol.identity import PublicKey, Signer
from protocol.observation import Succession, succession_words
from protocol.receipt import open_receipt

_DRAFT: Final = "next.draft"
NEXT_FOLDER: Final = "next"  # where the next key and all that belongs to it is prepared
_LEAVING: Final = "next.leaving"
_ARRIVING: Final = "next.arriving"
_PLAN: Final = "plan.json"
_FAREWELL: Final = "farewell.json"
# What belongs to a key, in the order in which it leaves, and what it is called among the retired.
_BELONGINGS: Final = {
    SEQUENCE_FILE: "sequence.json",
    KEY_FILE: "key",
    KEY_LABEL_FILE: "label",
    OUTBOX_FILE: "outbox.db",
    f"{OUTBOX_FILE}-wal": "outbox.db-wal",
    f"{OUTBOX_FILE}-shm": "outbox.db-shm",
    BOOTS_FILE: "boots.json",
}

Step = Callable[[], object]
T = TypeVar("T", bound=msgspec.Struct)


class RotationError(EdgeError):
    """The key cannot be changed, or not yet; the message says what to do."""


class RotationPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is prepared. Key ids and signature in hexadecimal."""

    retires: str
    successor: str
    consent: str

    @property
    def succession(self) -> Succession:
        """What the old key has to say."""
        return Succession(bytes.fromhex(self.successor), bytes.fromhex(self.consent))

    @property
    def retiring(self) -> PublicKey:
        """The key that goes."""
        return PublicKey(bytes.fromhex(self.retires))

    @property
    def next_key(self) -> PublicKey:
        """The key that comes."""
        return PublicKey(bytes.fromhex(self.successor))


class FarewellMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which envelope is the last one."""

    sequence: int
    digest: str


def _nothing() -> None:
    pass


def plan_of(directory: Path) -> RotationPlan | None:
    """Return what is prepared; None: nothing. While it is, the agent delivers and signs nothing new.

    Raises:
        RotationError: something is prepared and cannot be read.
    """
    return _read(directory / NEXT_FOLDER / _PLAN, RotationPlan)


def farewell_of(directory: Path) -> FarewellMark | None:
    """Return which envelope says farewell; None: none is signed yet.

    Raises:
        RotationError: it cannot be read.
    """
    return _read(directory / NEXT_FOLDER / _FAREWELL, FarewellMark)


def prepare(
    directory: Path, *, network: str, device: PublicKey, make_key: Callable[[Path], Signer], after_step: Step = _nothing
) -> RotationPlan:
    """Make the next key and all that belongs to it; durable on return. What was prepared before is kept.

    Args:
        directory: the device's.
        network: its network.
        device: its present key.
        make_key: makes the next key in the folder it is given, or takes what it made there before a crash.
        after_step: for tests.

    Raises:
        RotationError: it cannot be written.
        IdentityError: what ``make_key`` raises.
    """
    before = plan_of(directory)
    if before is not None:
        return before
    draft = directory / _DRAFT
    try:
        draft.mkdir(mode=0o700, exist_ok=True)
        after_step()
        successor = make_key(draft)
        after_step()
        if not (draft / SEQUENCE_FILE).exists():
            SequenceLedger.create(draft / SEQUENCE_FILE)
        after_step()
        words = succession_words(network, device.key_id, successor.public_key.key_id)
        plan = RotationPlan(device.key_id.hex(), successor.public_key.key_id.hex(), successor.sign(words).hex())
        (draft / _PLAN).unlink(missing_ok=True)
        write_private(draft / _PLAN, msgspec.json.encode(plan) + b"\n")
        after_step()
        _rename(draft, directory / NEXT_FOLDER)
        after_step()
    except OSError as error:
        raise RotationError(f"{directory} cannot be written: {error.strerror}; free or unlock the disk") from error
    return plan


def mark_farewell(directory: Path, mark: FarewellMark) -> None:
    """Remember which envelope is the last.

    Raises:
        RotationError: it cannot be written.
    """
    try:
        write_private(directory / NEXT_FOLDER / _FAREWELL, msgspec.json.encode(mark) + b"\n")
    except OSError as error:
        raise RotationError(f"{directory} cannot be written: {error.strerror}; free or unlock the disk") from error


def is_delivered(outbox: Outbox, mark: FarewellMark) -> bool:
    """Whether a receipt says that the hub keeps the last envelope.

    Raises:
        OutboxError: the receipts cannot be read.
    """
    digest = bytes.fromhex(mark.digest)
    for block in reversed(outbox.receipts()):
        _, receipt = open_receipt(block)
        for line in receipt.lines:
            if (line.sequence, line.digest) == (mark.sequence, digest) and line.verdict.is_final:
                return True
    return False


def finish_rotation(directory: Path, *, limits: OutboxLimits, after_step: Step = _nothing) -> PublicKey | None:
    """Go forward as far as it goes: what is switching arrives, and what the hub has receipted switches.

    Call it before the key and the sequence file are opened. It locks the device where there is something to do.

    Returns:
        The key that is now the device's, if it changed; else None.

    Raises:
        RotationError: an agent is running, or the disk refuses.
        OutboxError: the receipts cannot be read.
    """
    under_way = [name for name in (_LEAVING, _ARRIVING) if (directory / name).exists()]
    mark = farewell_of(directory)
    if not under_way and mark is None:
        return None
    with _locked(directory):
        if not under_way and mark is not None:
            outbox = Outbox.open(directory / OUTBOX_FILE, limits=limits)
            try:
                # Whatever waits behind the farewell would be lost in silence with the outbox.
                if not is_delivered(outbox, mark) or outbox.depth().envelopes:
                    return None
            finally:
                outbox.close()
        return _switch(directory, after_step)


def switch_unheard(directory: Path, *, after_step: Step = _nothing) -> PublicKey | None:
    """Switch to what is prepared without a farewell: only for a key that has never signed an envelope.

    Raises:
        RotationError: an agent is running, nothing is prepared, or the disk refuses.
    """
    with _locked(directory):
        return _switch(directory, after_step)


def _switch(directory: Path, after_step: Step) -> PublicKey | None:
    leaving, arriving, retired = directory / _LEAVING, directory / _ARRIVING, directory / RETIRED_FOLDER
    try:
        if (directory / NEXT_FOLDER).exists() and not leaving.exists() and not arriving.exists():
            _rename(directory / NEXT_FOLDER, leaving)  # the one moment at which the new device takes over
            after_step()
        if leaving.exists():
            name = _required(leaving).retiring.name
            retired.mkdir(mode=0o700, exist_ok=True)
            sync_directory(directory)
            for present, ending in _BELONGINGS.items():
                if (directory / present).exists():
                    _rename(directory / present, retired / f"{name}.{ending}")
                    after_step()
            _rename(leaving, arriving)
            after_step()
        plan = _read(arriving / _PLAN, RotationPlan)
        for present in reversed(_BELONGINGS):
            if (arriving / present).exists():
                _rename(arriving / present, directory / present)
                after_step()
        shutil.rmtree(arriving)  # a crash in it leaves no plan and nothing that is needed
        sync_directory(directory)
        after_step()
    except OSError as error:
        raise RotationError(
            f"the change of the key cannot go on: {error.strerror} ({error.filename}); free or unlock the disk, then "
            f"start again: nothing is lost"
        ) from error
    return None if plan is None else plan.next_key


def _required(folder: Path) -> RotationPlan:
    plan = _read(folder / _PLAN, RotationPlan)
    if plan is None:
        raise RotationError(f"{folder} holds no plan: run `cairn-edge rotate-key` first, or restore it from your copy")
    return plan


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise RotationError(f"{path} cannot be read ({error}): restore it from your copy") from error


def _rename(old: Path, new: Path) -> None:
    old.rename(new)
    sync_directory(new.parent)
    if old.parent != new.parent:
        sync_directory(old.parent)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the lock that an agent holds while it runs; see edge/keeping/sequence.py."""
    try:
        lock = os.open(directory / f"{SEQUENCE_FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RotationError(f"{directory} cannot be written: {error.strerror}; free or unlock the disk") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise RotationError(f"an agent is running on {directory}: stop it first") from error
    finally:
        os.close(lock)
