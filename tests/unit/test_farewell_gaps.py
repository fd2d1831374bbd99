"""The last envelope of a key tells every gap that nobody could tell after it."""

from pathlib import Path

import pytest

from edge.keeping.outbox import OutboxLimits
from edge.owning.farewell import Speaker, open_chain, say_farewell
from edge.sending.uplink import Route, UplinkLimits
from protocol.envelope import open_envelope
from protocol.observation import Gap, GapReason, Succession, succession_words
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair
from tests.support.outbox_story import HUB, SMALL, Desk

DEVICE, NEXT = key_pair("device"), key_pair("next")
ROOM = OutboxLimits(max_bytes=2 * SMALL.max_bytes)


@pytest.mark.parametrize("is_abandoning", [False, True])
def test_a_farewell_tells_what_was_lost_and_what_is_given_up(tmp_path: Path, *, is_abandoning: bool) -> None:
    desk = Desk.open(tmp_path)
    desk.sign(count=80)
    (lost,) = desk.outbox.book.gaps
    waiting = desk.waiting()
    desk.close()
    me, you = DEVICE.public_key, NEXT.public_key
    succession = Succession(you.key_id, NEXT.sign(succession_words(NETWORK, me.key_id, you.key_id)))
    speaker = Speaker(
        DEVICE,
        bytes(20),
        PLACE,
        "1.0",
        Route("127.0.0.1", 9, NETWORK, me, HUB),
        UplinkLimits(),
        lambda: NOW_MS,
    )
    with open_chain(tmp_path, limits=ROOM, used_until=80) as chain:
        mark = say_farewell(speaker, chain, succession, is_abandoning=is_abandoning, beacon=BEACON)
        (said,) = [each for each in chain.outbox.every_one() if each.sequence == mark.sequence]
        abandoned = Gap(
            GapReason.ABANDONED, len(waiting), len(waiting), min(waiting), max(waiting), lost.from_ms, lost.until_ms
        )
        expected = (lost, abandoned, succession) if is_abandoning else (lost, succession)
        assert open_envelope(said.block)[1].observations == expected
        book = chain.outbox.book
        assert (book.gaps, book.waiting) == ((), 1 if is_abandoning else len(waiting) + 1)
        assert book.signed == book.waiting + book.given_up
        again = say_farewell(speaker, chain, succession, is_abandoning=is_abandoning, beacon=BEACON)
        assert again == mark  # said once, whatever happens
