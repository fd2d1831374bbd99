"""What a hub makes of an outbox that was thinned: a gap in the chain is allowed, and a record tells it."""

from pathlib import Path

from hub.domain.admission import Message, admit, open_message
from hub.domain.standing import MemoryStanding
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.payload import VERSION
from protocol.topics import enrollment_topic, envelope_topic
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import NETWORK, NOW_MS, key_pair
from tests.support.hub_story import POLICY, relayed
from tests.support.outbox_story import Desk, gaps_in

KEYS = key_pair("device")
DEVICE = KEYS.public_key


def test_a_hub_finds_no_broken_chain_in_a_thinned_backlog(tmp_path: Path) -> None:
    standing = relayed(MemoryStanding())

    def verdict_on(topic: str, block: bytes) -> Verdict:
        seen = open_message(Message(topic, block), NETWORK)
        verdict = admit(seen, standing, POLICY, received_at_ms=UnixMs(NOW_MS + 100))
        standing.learn(seen, verdict)
        return verdict

    enrollment = seal_enrollment(Enrollment(VERSION, NETWORK, bytes(20), NOW_MS), KEYS)
    assert verdict_on(enrollment_topic(NETWORK, DEVICE), enrollment) is Verdict.ACCEPTED
    desk = Desk.open(tmp_path)
    desk.sign(0, count=200)
    desk.tell_gaps()
    desk.sign(0, count=5)
    backlog = list(desk.outbox.every_one())  # in the order of sending: the record of the gap comes first
    desk.close()
    assert len(backlog) < 70
    assert gaps_in(backlog[0])
    assert {verdict_on(envelope_topic(NETWORK, DEVICE), each.block) for each in backlog} == {Verdict.ACCEPTED}
