"""Whatever arrives, admission answers with a verdict; and what was touched after signing is never accepted."""

import random
from collections import Counter
from dataclasses import replace

import cbor2
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.admission import Message, admit, open_block, open_message, parse_block
from hub.domain.standing import MemoryStanding
from protocol.cose import parse_sign1, sign1
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.identity import KeyPair
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import NETWORK, POLICY, START_MS, StoryDevice, relayed, track

MUTATIONS = 10_000
REFUSED_BY_BYTES = {
    Verdict.MALFORMED,
    Verdict.OVERSIZE,
    Verdict.WRONG_NETWORK,
    Verdict.WRONG_TOPIC,
    Verdict.BAD_SIGNATURE,
}


def ready_standing(*devices: StoryDevice) -> MemoryStanding:
    """What a hub knows that would accept the devices' next envelopes."""
    standing = relayed(MemoryStanding())
    for device in devices:
        opened = open_message(device.enrollment(), NETWORK)
        verdict = admit(opened, standing, POLICY, received_at_ms=START_MS)
        assert verdict is Verdict.ACCEPTED
        standing.learn(opened, verdict)
    return standing


def verdict_on(message: Message, standing: MemoryStanding) -> Verdict:
    return admit(open_message(message, NETWORK), standing, POLICY, received_at_ms=START_MS)


DEVICES = [StoryDevice(1), StoryDevice(2)]
STANDING = ready_standing(*DEVICES)
ENVELOPES = [
    device.envelope(observations=[track(1_000 * number + 100 * count + n) for n in range(count)])
    for number, device in enumerate(DEVICES)
    for count in (0, 1, 20)
]
GOOD = [*ENVELOPES, *(StoryDevice(n).enrollment() for n in (3, 4))]
STRAYS = [StoryDevice(1, network="other-net").envelope(), StoryDevice(1, network="other-net").enrollment()]
STARTING = [*GOOD, *STRAYS]


def wound(block: bytes, chance: random.Random) -> bytes:
    """``block`` with one wound, of the kinds that lines, disks and attackers make."""
    at = chance.randrange(len(block))
    kind = chance.choice(["flip", "replace", "delete", "insert", "grow", "splice"])
    taken, put = 0, b""
    if kind == "flip":
        taken, put = 1, bytes([block[at] ^ (1 << chance.randrange(8))])
    elif kind == "splice":
        other = chance.choice(STARTING).block
        taken, put = len(block), other[chance.randrange(len(other)) :]
    elif kind == "grow":
        taken, put = len(block), block[at:] + bytes(chance.choice([1, 100, MAX_ENVELOPE_BYTES]))
    else:
        taken = 0 if kind == "insert" else chance.choice([chance.randint(1, 40), len(block)])
        put = b"" if kind == "delete" else chance.randbytes(chance.randint(1, 40))
    return block[:at] + put + block[at + taken :]


def under_another_key(block: bytes, chance: random.Random) -> bytes:
    """``block`` under another name, the signature as it was."""
    key = KeyPair(chance.randbytes(32)).public_key.key_id
    return block.replace(parse_sign1(block).key.key_id, key)


def mutated_message(chance: random.Random) -> Message:
    """A signed message whose topic, or bytes, or both, are not the ones its device published."""
    good = chance.choice(STARTING)
    touched = chance.choice(["block", "block", "block", "topic", "both"])
    block = good.block if touched == "topic" else chance.choice([wound, under_another_key])(good.block, chance)
    topic = good.topic
    if touched != "block":
        letters = "".join(chr(chance.choice([chance.randrange(128), chance.randrange(0xD800)])) for _ in range(60))
        cut = chance.randrange(len(topic))
        other = chance.choice(STARTING).topic
        topic = chance.choice([other, letters[: chance.randrange(61)], topic[:cut], topic + "/x"])
    return Message(topic, block)


def test_unharmed_messages_are_accepted() -> None:
    """Without this, the property below would be true of a hub that refuses everything."""
    standing = ready_standing(*DEVICES)
    for message in GOOD:
        opened = open_message(message, NETWORK)
        verdict = admit(opened, standing, POLICY, received_at_ms=START_MS)
        standing.learn(opened, verdict)
        assert verdict is Verdict.ACCEPTED


def test_nothing_that_was_touched_after_signing_is_accepted() -> None:
    """Plain chance with a fixed seed: there is nothing to shrink in one wound, and many are tried."""
    refusals: Counter[Verdict] = Counter()
    chance = random.Random(20_261_123)
    for _ in range(MUTATIONS):
        message = mutated_message(chance)
        if message in GOOD:  # a wound that healed, or a topic drawn that is the right one
            continue
        verdict = verdict_on(message, STANDING)
        assert verdict in REFUSED_BY_BYTES, message
        refusals[verdict] += 1
    print("refused:", {verdict.slug: count for verdict, count in sorted(refusals.items())})
    assert set(refusals) == REFUSED_BY_BYTES
    assert sum(refusals.values()) > MUTATIONS * 9 // 10


@settings(max_examples=1_500, deadline=None)
@given(good=st.sampled_from(GOOD), chance=st.randoms(use_true_random=True))
def test_a_signature_excuses_no_payload(good: Message, chance: random.Random) -> None:
    """An enrolled device may sign anything: it still gets a verdict, and only the one encoding gets further."""
    device = DEVICES[0]
    payload = wound(parse_sign1(good.block).payload, chance)
    message = replace(ENVELOPES[0], block=sign1(payload, device.keys))
    opened = open_message(message, NETWORK)
    assert opened.refusal in REFUSED_BY_BYTES | {None}
    if opened.refusal is None:
        assert opened.key == device.keys.public_key
    admit(opened, STANDING, POLICY, received_at_ms=START_MS)


leaves = st.sampled_from(
    [None, True, 0, -1, 2**63, -(2**70), 1.5, float("nan"), b"", bytes(32), "", "test-net", cbor2.undefined]
)
branches = st.lists(leaves, max_size=4) | st.dictionaries(st.sampled_from(["", 1, b"k"]), leaves, max_size=2)
tags = st.sampled_from([0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 42, 256, 258, 260, 261, 1004, 43_000, 55_799])
tagged = st.builds(cbor2.CBORTag, tags, leaves | branches)


@settings(max_examples=1_000, deadline=None)
@given(members=st.lists(leaves | branches | tagged, max_size=13), tag=st.integers(0, 8))
def test_any_cbor_that_a_device_signs_gets_a_verdict(members: list[object], tag: int) -> None:
    block = sign1(cbor2.dumps([tag, *members]), DEVICES[0].keys)
    assert open_message(replace(ENVELOPES[0], block=block), NETWORK).refusal is not None


@settings(max_examples=1_000, deadline=None)
@given(block=st.binary(max_size=600), topic=st.text(max_size=80), at_ms=st.integers(0, 2**53 - 1))
def test_any_bytes_under_any_topic_get_a_verdict(block: bytes, topic: str, at_ms: int) -> None:
    opened = open_message(Message(topic, block), NETWORK)
    assert opened.refusal is Verdict.MALFORMED
    assert admit(opened, STANDING, POLICY, received_at_ms=UnixMs(at_ms)) is Verdict.MALFORMED
    assert open_block(block, NETWORK) == parse_block(block, NETWORK) == opened


@settings(max_examples=300, deadline=None)
@given(
    created_at_ms=st.integers(0, 2**53 - 1_000) | st.integers(START_MS - 700_000, START_MS + 70_000),
    received_at_ms=st.integers(0, 2**53 - 1_000) | st.integers(START_MS - 70_000, START_MS + 700_000),
)
def test_what_is_accepted_was_made_between_its_beacon_and_its_arrival(created_at_ms: int, received_at_ms: int) -> None:
    message = StoryDevice(1).envelope(created_at_ms)
    verdict = admit(open_message(message, NETWORK), STANDING, POLICY, received_at_ms=UnixMs(received_at_ms))
    in_time = (
        START_MS - POLICY.max_clock_skew_ms <= created_at_ms <= START_MS + POLICY.beacon_window_ms
        and received_at_ms - POLICY.max_lateness_ms <= created_at_ms <= received_at_ms + POLICY.max_clock_skew_ms
    )
    assert (verdict is Verdict.ACCEPTED) == in_time
    assert in_time or verdict in {Verdict.CLOCK_SKEW, Verdict.STALE_BEACON}
