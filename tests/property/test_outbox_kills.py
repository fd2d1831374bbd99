"""Kill -9 and torn writes at random points: nothing durable is lost, no number comes twice, what is missing is told.

A torn write is what a power cut leaves: of all that was written since the last fsync, each sector may be there, not yet
there, or garbage, the file may have grown or not, and the shared-memory index may be anything. As SQLite does by
default ("powersafe overwrite"), it is taken for granted that a disk does not harm bytes beside those it writes; without
that each envelope would cost two and a half times the bytes.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.keeping.book import Book
from edge.keeping.outbox import Outbox
from protocol.envelope import block_digest
from tests.conftest import ROOT
from tests.support.outbox_story import SMALL, Desk, some

KILLS = 200
TEARS = 200
SEED = 20_261_128
_SECTOR_BYTES = 512
_HEAD_BYTES = 32  # of SQLite's log


@pytest.fixture
def folder() -> Iterator[Path]:
    # In memory where that is possible: neither a kill nor a torn write that we make ourselves needs a real disk.
    home = Path(tempfile.mkdtemp(prefix="outbox-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))  # noqa: S108
    yield home
    shutil.rmtree(home)


def test_two_hundred_kills_lose_nothing_durable_and_leave_no_loss_untold(folder: Path) -> None:
    program = [sys.executable, "-m", "tests.support.outbox_lives", str(folder), str(KILLS), str(SEED)]
    outcome = subprocess.run(program, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr[-4_000:]
    happened = json.loads(outcome.stdout)
    print(happened)
    # That something was put to the test at all.
    assert min(happened["durable"], happened["delivered"], happened["given_up"]) > KILLS
    assert happened["records_heard"] > 5
    assert {"signing", "taken", "durable", "settling"} <= happened["killed_while"].keys()


@dataclass(frozen=True)
class Disk:
    """The bytes of the outbox's files at one moment."""

    database: bytes
    log: bytes
    index: bytes

    @classmethod
    def of(cls, folder: Path) -> "Disk":
        names = ("outbox.db", "outbox.db-wal", "outbox.db-shm")
        return cls(*((folder / name).read_bytes() if (folder / name).exists() else b"" for name in names))


def torn(dice: random.Random, before: bytes, after: bytes) -> bytes:
    """What may be there when the power goes while ``before`` becomes ``after``."""
    length = dice.choice((len(before), len(after), dice.randint(*sorted((len(before), len(after))))))
    cut = bytearray(after[:length].ljust(length, b"\0"))
    habit = dice.choice(("in order", "any order"))
    arrived = dice.randint(0, len(cut) // _SECTOR_BYTES + 1) * _SECTOR_BYTES
    for at in range(0, len(cut), _SECTOR_BYTES):
        old, new = before[at : at + _SECTOR_BYTES], bytes(cut[at : at + _SECTOR_BYTES])
        if old == new:
            continue
        is_there = at < arrived if habit == "in order" else dice.random() < 0.5
        if not is_there:
            # A disk leaves alone what is written over with the same.
            same = next((n for n, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))
            noise = new[:same] + dice.randbytes(len(new) - same)
            cut[at : at + _SECTOR_BYTES] = noise if dice.random() < 0.3 else old.ljust(len(new), b"\0")[: len(new)]
    return bytes(cut)


def tear(dice: random.Random, before: Disk, after: Disk) -> Disk:
    """A power cut somewhere between two moments between which nothing was flushed but at the end."""
    if before.database != after.database and dice.random() < 0.5:
        # SQLite writes back into the file only what it has flushed to the log.
        database, log = torn(dice, before.database, after.database), after.log
    elif before.log[:_HEAD_BYTES] == after.log[:_HEAD_BYTES]:
        database, log = before.database, torn(dice, before.log, after.log)
    else:
        # The log begins anew. Its head is flushed before anything that follows it.
        head = after.log[:_HEAD_BYTES]
        database, log = before.database, head + torn(dice, before.log, after.log)[_HEAD_BYTES:]
    index = dice.choice((b"", before.index, after.index, torn(dice, before.index, after.index)))
    return Disk(database, log, index)


def one_step(dice: random.Random, desk: Desk) -> bool:
    """Do something; say whether it was flushed."""
    chance = dice.random()
    if chance < 0.6:
        desk.sign(dice.randint(0, 2))
        return True
    if chance < 0.7:
        return bool(desk.tell_gaps())
    desk.settle(some(dice, desk.lanes[0].waiting(at_most=9)))
    return False


def revived(folder: Path, disk: Disk) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in (("", disk.database), ("-wal", disk.log), ("-shm", disk.index)):
        if content:
            (folder / f"outbox.db{name}").write_bytes(content)
    return folder


def check_revived(folder: Path, possible: list[Book]) -> None:
    outbox = Outbox.open(folder / "outbox.db", limits=SMALL)
    envelopes = list(outbox.every_one())
    assert outbox.file.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert outbox.book in possible
    assert outbox.book.waiting == len(envelopes)
    assert outbox.book.signed == outbox.book.released + outbox.book.waiting + outbox.book.given_up
    assert all(block_digest(each.block) == each.digest for each in envelopes)
    outbox.close()


def test_two_hundred_torn_writes_leave_a_state_that_there_was_and_nothing_flushed_is_undone(folder: Path) -> None:
    dice = random.Random(SEED)
    (folder / "whole").mkdir()
    desk = Desk.open(folder / "whole")
    desk.outbox.file.connection.execute("PRAGMA wal_autocheckpoint=40")  # so that many a step writes back into the file
    desk.sign(count=60)
    flushed, possible, undone = Disk.of(folder / "whole"), [desk.outbox.book], 0
    for _ in range(TEARS):
        is_flushed = one_step(dice, desk)
        now = Disk.of(folder / "whole")
        possible.append(desk.outbox.book)
        home = revived(folder / "torn", tear(dice, flushed, now))
        check_revived(home, possible)
        shutil.copy(folder / "whole" / "sequence.json", home)
        again = Desk.open(home)
        undone += again.outbox.book != desk.outbox.book
        (next_one,) = again.sign()
        assert next_one.sequence > possible[-1].last_sequence
        again.close()
        if is_flushed or now.database != flushed.database:
            flushed, possible = now, [desk.outbox.book]
    desk.close()
    assert TEARS // 10 < undone < TEARS  # some were lost, as they may be before they are flushed, and some were not
