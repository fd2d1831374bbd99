"""A disk that is full or read-only: a sentence, observations wait in memory, nothing stored is lost, it mends itself.

On a real small file system where mounting is allowed (root, as in CI); elsewhere the kernel's limit on the size of
files stands in for the full disk, and says so.
"""

import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.keeping.builder import BatchLimits, DraftBuilder
from edge.keeping.outbox import Outbox, OutboxError, OutboxLimits
from edge.keeping.scribe import Scribe
from edge.keeping.sequence import BLOCK, SequenceError, SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from protocol.envelope import open_envelope
from protocol.observation import Gap, GapReason, Track
from protocol.units import UnixMs
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair, person

DISK_BYTES = 8 << 20
MEMORY = 500
_NOBODY = 65_534


@dataclass
class SmallDisk:
    """A file system of its own, or a folder where the process may not let files grow."""

    folder: Path
    is_real: bool

    @contextmanager
    def full(self) -> Iterator[None]:
        """No byte is left within."""
        if not self.is_real:
            before = resource.getrlimit(resource.RLIMIT_FSIZE)
            handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, before)
                signal.signal(signal.SIGXFSZ, handler)
            return
        filler = self.folder / "filler"
        with filler.open("wb", buffering=0) as file:
            while _wrote(file.fileno()):
                pass
        try:
            yield
        finally:
            filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Nothing may be written within. Nobody may have a file open for writing."""
        if self.is_real:
            subprocess.run(["mount", "-o", "remount,ro", str(self.folder)], check=True)
        else:
            self.folder.chmod(0o500)
        before = os.geteuid()
        if not self.is_real and before == 0:
            os.seteuid(_NOBODY)  # whom, other than root, the folder's mode concerns
        try:
            yield
        finally:
            os.seteuid(before)
            if self.is_real:
                subprocess.run(["mount", "-o", "remount,rw", str(self.folder)], check=True)
            else:
                self.folder.chmod(0o700)


def _wrote(descriptor: int) -> bool:
    for size_bytes in (4_096, 1):
        try:
            os.write(descriptor, bytes(size_bytes))
        except OSError:
            continue
        return True
    return False


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    is_real = mount is not None and os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
    print("a real small disk" if is_real else "no mount is allowed: a limit on the size of files stands in")
    try:
        yield SmallDisk(folder, is_real)
    finally:
        if is_real:
            subprocess.run(["umount", str(folder)], check=True)


@dataclass
class Clock:
    """A clock that the test turns."""

    seconds: float = 0.0

    def now_ms(self) -> UnixMs:
        return UnixMs(NOW_MS + int(self.seconds * 1000))

    def monotonic_s(self) -> float:
        return self.seconds


@dataclass
class Writer:
    """A scribe on a disk, and a clock that the test turns."""

    scribe: Scribe
    outbox: Outbox
    clock: Clock

    def note(self, *track_ids: int) -> None:
        self.scribe.note([person(track_id) for track_id in track_ids])

    def write(self) -> None:
        self.clock.seconds += 60  # longer than any pause between tries
        self.scribe.write(beacon=BEACON)

    def stored(self) -> list[int]:
        """The tracks in the outbox."""
        opened = [open_envelope(each.block)[1] for each in self.outbox.every_one()]
        return [each.track_id for envelope in opened for each in envelope.observations if isinstance(each, Track)]


@contextmanager
def writer_in(folder: Path) -> Iterator[Writer]:
    path = folder / "sequence.json"
    if not path.exists():
        SequenceLedger.create(path)
    ledger = SequenceLedger.open(path)
    outbox = Outbox.open(folder / "outbox.db", limits=OutboxLimits())
    signer = EnvelopeSigner(
        key_pair("device"), network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=bytes(32)
    )
    limits = BatchLimits(max_observations=1, max_waiting=MEMORY)
    builder = DraftBuilder(model_digest=None, agent_release="1", position=PLACE, limits=limits)
    clock = Clock()
    writer = Writer(Scribe(builder, signer, now_ms=clock.now_ms, monotonic_s=clock.monotonic_s), outbox, clock)
    try:
        yield writer
    finally:
        outbox.close()
        ledger.close()


def test_a_full_disk_is_a_sentence_and_mends_itself(disk: SmallDisk) -> None:
    with writer_in(disk.folder) as writer:
        writer.note(*range(10))
        writer.write()
        with disk.full():
            # What SQLite and the sequence file have room for already may still succeed.
            for track_id in range(10, 400):
                writer.note(track_id)
                writer.write()
                if writer.scribe.trouble:
                    break
            assert writer.scribe.trouble is not None
            assert "full" in writer.scribe.trouble or "space" in writer.scribe.trouble or not disk.is_real
            before = writer.stored()
            writer.write()
            assert writer.stored() == before == list(range(len(before)))
            assert len(before) >= 10
            assert writer.scribe.waiting == track_id + 1 - len(before)
        writer.write()
        assert not writer.scribe.trouble
        assert writer.scribe.waiting == 0
        assert writer.stored() == list(range(track_id + 1))
        assert writer.outbox.file.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_start_on_a_full_disk_is_a_sentence_and_the_next_one_finds_everything(disk: SmallDisk) -> None:
    with writer_in(disk.folder) as writer:
        writer.note(1, 2)
        writer.write()
    with disk.full():
        with pytest.raises(OutboxError, match=r"full|check the disk"):
            Outbox.open(disk.folder / "outbox.db", limits=OutboxLimits())
        with pytest.raises(SequenceError, match="free or unlock the disk"):
            SequenceLedger.open(disk.folder / "sequence.json")
    with writer_in(disk.folder) as writer:
        assert writer.stored() == [1, 2]


def test_what_a_full_disk_costs_in_the_end_is_told(disk: SmallDisk) -> None:
    with writer_in(disk.folder) as writer:
        writer.note(0)
        writer.write()
        with disk.full():
            for _ in range(400):  # until no number can be reserved and no envelope stored
                writer.note(0)
                writer.write()
            writer.note(*range(1, 2 * MEMORY))
            assert writer.scribe.trouble
            assert writer.scribe.waiting <= MEMORY
        lost = writer.scribe.refused
        assert lost > 0
        writer.write()
        writer.write()
        assert writer.scribe.waiting == 0
        record = next(writer.outbox.every_one())
        (gap,) = open_envelope(record.block)[1].observations
        assert isinstance(gap, Gap)
        assert (gap.reason, gap.observations, gap.envelopes) == (GapReason.MEMORY, lost, 0)


def test_the_sequence_file_on_a_full_disk_hands_out_nothing_twice(disk: SmallDisk) -> None:
    path = disk.folder / "sequence.json"
    SequenceLedger.create(path)
    ledger = SequenceLedger.open(path)
    numbers = [ledger.take()]
    with disk.full():
        numbers += [ledger.take() for _ in range(BLOCK - 1)]  # reserved before
        for _ in range(3):
            with pytest.raises(SequenceError, match="free or unlock the disk"):
                ledger.take()
    numbers += [ledger.take() for _ in range(100)]
    assert numbers == list(range(1, len(numbers) + 1))
    os.close(ledger._lock)  # a crash
    again = SequenceLedger.open(path)
    assert again.take() > numbers[-1]
    again.close()


def test_a_disk_that_is_read_only_stops_the_start_with_a_sentence_and_costs_nothing(disk: SmallDisk) -> None:
    with writer_in(disk.folder) as writer:
        writer.note(1, 2)
        writer.write()
    with disk.read_only():
        with pytest.raises(OutboxError, match="read-only"):
            Outbox.open(disk.folder / "outbox.db", limits=OutboxLimits())
        with pytest.raises(SequenceError, match="free or unlock the disk"):
            SequenceLedger.open(disk.folder / "sequence.json")
    with writer_in(disk.folder) as writer:
        writer.note(3)
        writer.write()
        assert writer.stored() == [1, 2, 3]
