"""Signed = receipted + waiting + in gaps, whatever happens and in whatever order.

The other invariants: the books say what the tables say; every envelope ever signed is delivered, waiting, or within a
gap that was told or is to be told; the outbox keeps its limit; records of gaps are never given up.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.keeping.book import cost_bytes, lost_in_memory
from edge.keeping.outbox import OutboxLimits
from edge.keeping.priority import Priority
from protocol.observation import Gap, GapReason
from protocol.verdict import Verdict
from tests.support.edge_story import NOW_MS
from tests.support.outbox_story import SMALL, Desk, gaps_in

DAY_MS = 86_400_000


class OutboxHistory(RuleBasedStateMachine):
    """The outbox against a simple memory of what was signed and what hubs have."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="outbox-books-", dir=_quick_folder()))
        self.signed: set[int] = set()
        self.delivered: set[int] = set()  # some hub said something final
        self.told: list[Gap] = []
        self.lost_in_memory = 0
        self.now_ms = int(NOW_MS)

    @initialize(required=st.integers(1, 2))
    def begin(self, required: int) -> None:
        self.limits = OutboxLimits(SMALL.max_bytes, max_age_ms=DAY_MS, receipts=2, receipts_required=required)
        self.desk = Desk.open(self.home, limits=self.limits, hubs=2)

    @rule(kind=st.integers(0, 2), count=st.integers(1, 30))
    def sign(self, kind: int, count: int) -> None:
        self.now_ms += 1
        self.signed |= {each.sequence for each in self.desk.sign(kind, count=count, at_ms=self.now_ms)}

    @rule()
    def tell_gaps(self) -> None:
        self.told += self.desk.tell_gaps()
        last = self.desk.outbox.last()
        if last is not None:
            self.signed.add(last.sequence)

    @rule(
        lane=st.integers(0, 1),
        skipped=st.integers(0, 10),
        at_most=st.integers(1, 20),
        verdict=st.sampled_from([Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.MALFORMED, Verdict.UNKNOWN_DEVICE]),
    )
    def hear_receipt(self, lane: int, skipped: int, at_most: int, verdict: Verdict) -> None:
        envelopes = self.desk.lanes[lane].waiting(at_most=at_most)[skipped:]
        self.desk.settle(envelopes, lane=lane, verdict=verdict)
        if verdict.is_final:
            self.delivered |= {each.sequence for each in envelopes}

    @rule(observations=st.integers(1, 9))
    def lose_in_memory(self, observations: int) -> None:
        self.desk.outbox.append([], lost=lost_in_memory(observations, from_ms=NOW_MS, until_ms=NOW_MS))
        self.lost_in_memory += observations

    @rule(hours=st.sampled_from([1, 23, 25]))
    def time_passes(self, hours: int) -> None:
        self.now_ms += hours * 3_600_000

    @rule(required=st.integers(1, 2))
    def start_again(self, required: int) -> None:
        self.desk.close()
        self.limits = OutboxLimits(SMALL.max_bytes, max_age_ms=DAY_MS, receipts=2, receipts_required=required)
        self.desk = Desk.open(self.home, limits=self.limits, hubs=2)

    @invariant()
    def signed_is_receipted_and_waiting_and_in_gaps(self) -> None:
        if not hasattr(self, "desk"):
            return
        book, waiting = self.desk.outbox.book, set(self.desk.waiting())
        assert book.signed == len(self.signed)
        assert book.signed == book.released + book.waiting + book.given_up
        assert waiting <= self.signed
        gaps = [*self.told, *book.gaps]
        assert book.given_up == sum(gap.envelopes for gap in gaps)
        missing = self.signed - waiting - self.delivered
        assert len(missing) == book.given_up
        assert all(any(gap.first_sequence <= each <= gap.last_sequence for gap in gaps) for each in missing)

    @invariant()
    def what_memory_lost_is_told_too(self) -> None:
        if hasattr(self, "desk"):
            gaps = [*self.told, *self.desk.outbox.book.gaps]
            lost = sum(gap.observations for gap in gaps if gap.reason is GapReason.MEMORY)
            assert lost == self.lost_in_memory

    @invariant()
    def the_books_say_what_the_tables_say(self) -> None:
        if not hasattr(self, "desk"):
            return
        outbox = self.desk.outbox
        envelopes = list(outbox.every_one())
        for priority in Priority:
            mine = [each for each in envelopes if each.priority is priority]
            book = outbox.book.classes[priority]
            assert (book.waiting, book.waiting_bytes) == (len(mine), sum(cost_bytes(len(e.block)) for e in mine))
        records = [gap for each in envelopes if each.priority is Priority.RECORD for gap in gaps_in(each)]
        assert all(gap in self.told for gap in records)
        assert outbox.book.waiting_bytes <= self.limits.max_bytes

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.close()
        shutil.rmtree(self.home)


def _quick_folder() -> str | None:
    """Memory where there is such a folder: nothing here depends on what an fsync does."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made in it


OutboxHistory.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestOutboxHistory = OutboxHistory.TestCase
