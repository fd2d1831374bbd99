"""Several hubs at one outbox: who gets what, whose receipts count, and that a hub that is away holds nothing up."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.keeping.outbox import OutboxLimits
from edge.keeping.outbox_lane import Lane
from protocol.observation import Gap
from protocol.verdict import Verdict
from tests.support.outbox_story import HUB, Desk, gaps_in


def open_desk(folder: Path, *, required: int) -> Desk:
    return Desk.open(folder, limits=OutboxLimits(receipts_required=required), hubs=2)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = open_desk(tmp_path, required=2)
    yield desk
    desk.close()


def offered(desk: Desk, lane: int) -> list[int]:
    return [each.sequence for each in desk.lanes[lane].waiting(at_most=99)]


def test_an_envelope_leaves_when_enough_different_hubs_have_it(desk: Desk) -> None:
    signed = desk.sign(count=3)
    desk.settle(signed[:2], lane=0)
    desk.settle(signed[:2], lane=0)  # the same hub twice is one hub
    assert desk.waiting() == [1, 2, 3]
    assert (offered(desk, 0), offered(desk, 1)) == ([3], [1, 2, 3])
    desk.settle(signed[1:], lane=1, verdict=Verdict.DUPLICATE)
    assert desk.waiting() == [1, 3]
    assert (offered(desk, 0), offered(desk, 1)) == ([3], [1])
    assert desk.lanes[0].tally() == {Verdict.ACCEPTED: 2}
    assert desk.outbox.tally() == {Verdict.ACCEPTED: 2, Verdict.DUPLICATE: 2}


def test_one_receipt_is_enough_where_one_is_asked_for(tmp_path: Path) -> None:
    desk = open_desk(tmp_path, required=1)
    signed = desk.sign(count=2)
    desk.settle(signed[:1], lane=1)
    assert (offered(desk, 0), offered(desk, 1)) == ([2], [2])
    assert desk.outbox.book.released == 1
    desk.close()


def test_what_one_hub_refuses_is_still_offered_to_the_other(desk: Desk) -> None:
    signed = desk.sign(count=2)
    desk.settle(signed[:1], lane=0, verdict=Verdict.MALFORMED)
    assert (offered(desk, 0), offered(desk, 1)) == ([2], [1, 2])
    assert desk.outbox.depth().refused == 1
    desk.settle(signed[:1], lane=0, verdict=Verdict.DUPLICATE)  # it thought better of it
    assert desk.outbox.depth().refused == 0


def test_answers_survive_reopening_and_fewer_may_be_asked_for_then(desk: Desk, tmp_path: Path) -> None:
    signed = desk.sign(count=2)
    desk.settle(signed[:1], lane=0)
    desk.outbox.close()
    desk.ledger.close()
    again = open_desk(tmp_path, required=2)
    assert (offered(again, 0), offered(again, 1)) == ([2], [1, 2])
    again.outbox.close()
    again.ledger.close()
    fewer = open_desk(tmp_path, required=1)
    assert fewer.waiting() == [2]
    assert fewer.outbox.book.released == 1
    desk.outbox, desk.ledger = fewer.outbox, fewer.ledger  # to be closed


def test_what_was_answered_is_not_walked_over_again(desk: Desk) -> None:
    signed = desk.sign(count=5)
    desk.settle(signed[:4], lane=0)
    assert offered(desk, 0) == [5]
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    desk.outbox.file.connection.set_progress_handler(count, 1)
    assert offered(desk, 0) == [5]
    few, steps = steps, 0
    fresh = Lane(desk.outbox, HUB)
    assert [each.sequence for each in fresh.waiting(at_most=99)] == [5]
    assert few < steps
    desk.outbox.file.connection.set_progress_handler(None, 0)


def test_higher_classes_are_sent_first(desk: Desk) -> None:
    (reading,) = desk.sign(2)
    (crossing,) = desk.sign(1)
    (track,) = desk.sign(0)
    assert offered(desk, 0) == [track.sequence, crossing.sequence, reading.sequence]
    assert [each.sequence for each in desk.lanes[0].waiting(at_most=2)] == [track.sequence, crossing.sequence]


def test_a_hub_that_is_away_for_ever_does_not_silence_the_records_of_gaps(tmp_path: Path) -> None:
    limits = OutboxLimits(max_bytes=66 * 1_024, receipts_required=2)
    desk = Desk.open(tmp_path, limits=limits, hubs=2)
    heard: list[Gap] = []
    for _ in range(4):
        desk.sign(count=99)
        desk.tell_gaps()
        envelopes = desk.lanes[0].waiting(at_most=99)
        heard += [gap for each in envelopes for gap in gaps_in(each)]
        desk.settle(envelopes, lane=0)
    book = desk.outbox.book
    assert book.given_up == sum(gap.envelopes for gap in [*heard, *book.gaps])
    assert len(heard) == 4
    desk.close()
