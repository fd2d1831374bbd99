"""Many short lives of one outbox, each ended by kill -9 at a random moment. A program of its own, because it forks.

A life signs, settles, thins and tells gaps as fast as it can. On a pipe it says which numbers it is about to use, then
that they are durable, and which envelopes a hub has before it settles them. That is all that anybody outside can know
of it when it is killed, and what the next life must not contradict.
"""

import json
import os
import random
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from edge.keeping.outbox import Outbox
from edge.keeping.sequence import SequenceLedger
from protocol.observation import Gap
from tests.support.edge_story import person
from tests.support.outbox_story import SMALL, Desk, draft, gaps_in, reading, some

_OPENING = "opening"


class Word(msgspec.Struct):
    """What a life says."""

    says: str
    sequences: list[int] = []
    gaps: dict[int, list[Gap]] = {}  # by the sequence of the record


class TellingLedger(SequenceLedger):
    """Says which number it hands out."""

    pipe = -1

    def take(self) -> int:
        number = super().take()
        say(self.pipe, Word("taken", [number]))
        return number


def say(pipe: int, word: Word) -> None:
    os.write(pipe, msgspec.json.encode(word) + b"\n")


def live(folder: Path, dice: random.Random, pipe: int) -> None:
    """Work until killed."""
    TellingLedger.pipe = pipe
    desk = Desk.open(folder, ledger_kind=TellingLedger)
    say(pipe, Word("open"))
    while True:
        chance = dice.random()
        if chance < 0.7:
            say(pipe, Word("signing"))
            numbers = [dice.randrange(10**9) for _ in range(dice.randint(1, 3))]
            signed = desk.signer.sign(*(draft(reading(n) if dice.random() < 0.3 else person(n)) for n in numbers))
            say(pipe, Word("durable", [each.sequence for each in signed]))
        elif chance < 0.8:
            say(pipe, Word("telling"))
            desk.tell_gaps()
            say(pipe, Word("told"))
        else:
            heard = some(dice, desk.lanes[0].waiting(at_most=9))
            told = {each.sequence: gaps for each in heard if (gaps := gaps_in(each))}
            say(pipe, Word("settling", [each.sequence for each in heard], told))
            desk.settle(heard)
            say(pipe, Word("settled"))


@dataclass
class Known:
    """What the world knows of the device, all lives together."""

    taken: set[int] = field(default_factory=set)  # numbers that may have been used
    durable: set[int] = field(default_factory=set)  # numbers that were said to be stored
    delivered: set[int] = field(default_factory=set)  # numbers that a hub has
    told: dict[int, list[Gap]] = field(default_factory=dict)  # gaps in records that a hub has
    killed_while: dict[str, int] = field(default_factory=dict)

    def hear(self, lines: list[bytes]) -> None:
        """Take in what one life said."""
        says = _OPENING
        for line in lines:
            word = msgspec.json.decode(line, type=Word)
            says = word.says
            if says == "taken":
                assert word.sequences[0] > max(self.taken, default=0), f"{word.sequences} used twice"
                self.taken |= set(word.sequences)
            elif says == "durable":
                self.durable |= set(word.sequences)
            elif says == "settling":
                self.delivered |= set(word.sequences)
                self.told |= word.gaps
        self.killed_while[says] = self.killed_while.get(says, 0) + 1

    def check(self, folder: Path) -> int:
        """Compare with what is on the disk; return how many envelopes are in gaps."""
        outbox = Outbox.open(folder / "outbox.db", limits=SMALL)
        book, envelopes = outbox.book, list(outbox.every_one())
        waiting = {each.sequence for each in envelopes}
        outbox.close()
        assert waiting <= self.taken
        assert len(self.durable) <= book.signed <= len(self.taken)
        assert book.signed == book.released + book.waiting + book.given_up
        assert book.waiting == len(waiting)
        told = {**self.told, **{each.sequence: gaps_in(each) for each in envelopes}}
        gaps = [*(gap for each in told.values() for gap in each), *book.gaps]
        assert book.given_up == sum(gap.envelopes for gap in gaps)
        missing = self.durable - waiting - self.delivered
        lost = [n for n in missing if not any(gap.first_sequence <= n <= gap.last_sequence for gap in gaps)]
        assert not lost, f"{lost} are nowhere"
        assert len(missing) <= book.given_up
        return book.given_up


def end_lives(folder: Path, *, kills: int, seed: int) -> dict[str, object]:
    """Let ``kills`` lives end, check after each, and return what happened."""
    dice, known, given_up = random.Random(seed), Known(), 0
    for _ in range(kills):
        reading_end, writing_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                live(folder, random.Random(dice.random()), writing_end)
            finally:
                os._exit(1)  # a life ends by a kill, or something is wrong
        os.close(writing_end)
        if dice.random() < 0.9:
            select.select([reading_end], [], [], 30)  # until it is open
        time.sleep(dice.uniform(0, 0.012))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), "a life ended by itself: see its traceback"
        with os.fdopen(reading_end, "rb") as said:
            lines = said.read().split(b"\n")
        known.hear(lines[:-1])  # the last one is empty, or half said
        given_up = known.check(folder)
    return {
        "kills": kills,
        "taken": len(known.taken),
        "durable": len(known.durable),
        "delivered": len(known.delivered),
        "given_up": given_up,
        "records_heard": len(known.told),
        "killed_while": known.killed_while,
    }


if __name__ == "__main__":
    print(json.dumps(end_lives(Path(sys.argv[1]), kills=int(sys.argv[2]), seed=int(sys.argv[3]))))
