"""The policy: what is given up, in what order, how evenly, and that nothing is given up in silence."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from edge.keeping.outbox import OutboxLimits
from edge.keeping.priority import Priority
from protocol.observation import Gap, GapReason
from tests.support.edge_story import NOW_MS
from tests.support.outbox_story import SMALL, Desk, gaps_in

ROOM = 66


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk.open(tmp_path)
    yield desk
    desk.close()


def test_a_full_outbox_is_thinned_evenly_and_covers_the_whole_outage(desk: Desk) -> None:
    signed = 0
    for _ in range(8):
        desk.sign(count=ROOM)
        signed += ROOM
        waiting = desk.waiting()
        assert len(waiting) <= ROOM
        holes = [after - before for before, after in pairwise(waiting)]
        # What is left stands at most twice as far apart as an even spread would have it, but for the last step.
        assert max([waiting[0], *holes, signed - waiting[-1] + 1]) <= 4 * signed / ROOM + 1
    assert desk.outbox.book.given_up == signed - len(desk.waiting())


def test_higher_classes_are_given_up_only_when_the_lower_ones_are_used_up(desk: Desk) -> None:
    readings = desk.sign(2, count=20)
    crossings = desk.sign(1, count=20)
    desk.sign(0, count=ROOM - 20)  # in the place of the readings
    left = {each.priority for each in desk.outbox.every_one()}
    assert left == {Priority.TRACK, Priority.EVENT}
    gap = desk.pending(GapReason.BYTES)
    assert gap is not None
    assert (gap.envelopes, gap.first_sequence, gap.last_sequence) == (20, 1, readings[-1].sequence)
    desk.sign(0, count=10)
    assert [len([each for each in desk.outbox.every_one() if each.priority is kind]) for kind in Priority] == [
        0,
        ROOM - 10,
        10,
        0,
        0,
    ]
    gap = desk.pending(GapReason.BYTES)
    assert gap is not None
    assert gap.last_sequence == crossings[-2].sequence  # every second of the crossings


def test_an_outbox_full_of_higher_classes_gives_up_the_newcomer_and_says_so(desk: Desk) -> None:
    desk.sign(0, count=ROOM)
    (late,) = desk.sign(2)
    assert late.sequence not in desk.waiting()
    gap = desk.pending(GapReason.BYTES)
    assert gap == Gap(GapReason.BYTES, 1, 1, late.sequence, late.sequence, NOW_MS, NOW_MS)
    last = desk.outbox.last()
    assert last is not None
    assert last.digest == late.digest  # the chain goes on from what was signed, not from what is left


def test_the_record_of_a_gap_is_never_thinned_and_tells_what_is_missing(desk: Desk) -> None:
    signed = desk.sign(0, count=3 * ROOM, at_ms=NOW_MS + 5)
    missing = sorted({each.sequence for each in signed} - set(desk.waiting()))
    (told,) = desk.tell_gaps()
    assert (told.reason, told.envelopes, told.observations) == (GapReason.BYTES, len(missing), len(missing))
    assert (told.first_sequence, told.last_sequence) == (missing[0], missing[-1])
    assert (told.from_ms, told.until_ms) == (NOW_MS + 5, NOW_MS + 5)
    desk.sign(0, count=3 * ROOM)
    record = next(desk.outbox.every_one())
    assert record.priority is Priority.RECORD
    assert gaps_in(record) == [told]


def test_one_record_of_gaps_is_under_way_at_a_time(desk: Desk) -> None:
    desk.sign(0, count=2 * ROOM)
    assert desk.tell_gaps()
    desk.sign(0, count=2 * ROOM)
    assert desk.outbox.book.gaps
    assert desk.tell_gaps() == ()
    desk.settle([next(desk.outbox.every_one())])
    assert desk.tell_gaps()


def test_what_is_too_old_is_given_up_slowly_and_told_as_age(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path, limits=OutboxLimits(max_age_ms=1_000))
    desk.sign(0, count=10)
    desk.sign(0, at_ms=NOW_MS + 1_000)
    assert len(desk.waiting()) == 11
    # A clock that is wrong for one envelope does not empty the outbox.
    desk.sign(0, at_ms=NOW_MS + 10**12)
    assert desk.waiting() == [9, 10, 11, 12]
    desk.sign(0, at_ms=NOW_MS + 1_001)
    assert desk.waiting() == [11, 12, 13]
    assert desk.pending(GapReason.AGE) == Gap(GapReason.AGE, 10, 10, 1, 10, NOW_MS, NOW_MS)
    desk.close()


def test_gaps_survive_reopening_and_are_told_once(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path)
    desk.sign(0, count=2 * ROOM)
    before = desk.outbox.book
    assert desk.outbox.lost == (before.given_up, before.given_up_observations) == (ROOM, ROOM)
    desk.close()
    again = Desk.open(tmp_path)
    assert (again.outbox.book, again.outbox.lost) == (before, (0, 0))
    assert again.tell_gaps() == before.gaps
    assert again.tell_gaps() == ()
    again.close()


def test_envelopes_that_some_hub_has_go_first_and_are_no_gap(tmp_path: Path) -> None:
    desk = Desk.open(tmp_path, limits=OutboxLimits(max_bytes=SMALL.max_bytes, receipts_required=2), hubs=2)
    signed = desk.sign(0, count=ROOM)
    desk.settle(signed[20:40])
    desk.sign(0, count=20)
    assert not set(desk.waiting()) & {each.sequence for each in signed[20:40]}
    assert (desk.outbox.book.released_early, desk.outbox.book.gaps) == (20, ())
    desk.sign(0)
    assert desk.outbox.book.given_up == 1
    desk.close()
