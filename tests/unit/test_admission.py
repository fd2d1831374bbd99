"""Every verdict by a message that earns it, and every rule's place in the order."""

from dataclasses import replace

import pytest

from hub.domain.admission import Message, Opened, admit, open_block, open_message, parse_block
from hub.domain.standing import MemoryStanding
from protocol.beacon import NO_BEACON, Beacon
from protocol.cose import sign1
from protocol.envelope import MAX_ENVELOPE_BYTES, NO_PREVIOUS
from protocol.observation import Quantity, Reading, Track
from protocol.topics import enrollment_topic, envelope_topic, receipt_topic
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import NETWORK, POLICY, START_MS, StoryDevice, relayed, track


def opened(message: Message) -> Opened:
    return open_message(message, NETWORK)


def verdict_on(message: Message, standing: MemoryStanding, at_ms: int = START_MS) -> Verdict:
    """Admit and learn, as a log would."""
    seen = opened(message)
    verdict = admit(seen, standing, POLICY, received_at_ms=UnixMs(at_ms))
    standing.learn(seen, verdict)
    return verdict


@pytest.fixture
def device() -> StoryDevice:
    return StoryDevice(1)


@pytest.fixture
def standing(device: StoryDevice) -> MemoryStanding:
    standing = relayed(MemoryStanding())
    assert verdict_on(device.enrollment(), standing) is Verdict.ACCEPTED
    return standing


def test_a_chain_of_good_envelopes_is_accepted(device: StoryDevice, standing: MemoryStanding) -> None:
    assert [verdict_on(device.envelope(), standing) for _ in range(5)] == [Verdict.ACCEPTED] * 5


def test_opening_tells_what_came_from_whom(device: StoryDevice) -> None:
    seen = opened(device.envelope(observations=[track(1), track(2)]))
    assert (seen.kind, seen.key, seen.sequence, seen.observations) == ("envelope", device.keys.public_key, 1, 2)
    assert seen.claims is not None
    enrolling = opened(device.enrollment())
    assert (enrolling.kind, enrolling.sequence, enrolling.observations, enrolling.claims) == ("enroll", 0, 0, None)


# Refusals of the bytes alone


def test_one_byte_too_many_is_oversize(device: StoryDevice) -> None:
    message = device.envelope()
    assert opened(replace(message, block=bytes(MAX_ENVELOPE_BYTES + 1))).refusal is Verdict.OVERSIZE
    assert opened(replace(message, block=bytes(MAX_ENVELOPE_BYTES))).refusal is Verdict.MALFORMED


@pytest.mark.parametrize(
    "block", [b"", b"\x84", b"hello", bytes(300), b"\x9f" * 300], ids=["empty", "head", "text", "zeros", "indefinite"]
)
def test_garbage_is_malformed(device: StoryDevice, block: bytes) -> None:
    assert opened(replace(device.envelope(), block=block)).refusal is Verdict.MALFORMED


def test_a_signed_block_of_another_kind_is_malformed(device: StoryDevice) -> None:
    for payload in (b"", b"\x81", b"\x82\x03\x01", b"\x81\x01", b"\xa1\x01\x01"):
        message = replace(device.envelope(), block=sign1(payload, device.keys))
        assert opened(message).refusal is Verdict.MALFORMED


def test_another_networks_envelope_is_refused_under_either_topic() -> None:
    stray = StoryDevice(1, network="other-net")
    message = stray.envelope()
    assert opened(message).refusal is Verdict.WRONG_NETWORK
    here = envelope_topic(NETWORK, stray.keys.public_key)
    assert opened(replace(message, topic=here)).refusal is Verdict.WRONG_NETWORK


@pytest.mark.parametrize(
    "topic",
    [
        envelope_topic(NETWORK, StoryDevice(2).keys.public_key),
        enrollment_topic(NETWORK, StoryDevice(1).keys.public_key),
        receipt_topic(NETWORK, StoryDevice(1).keys.public_key),
        envelope_topic("other-net", StoryDevice(1).keys.public_key),
        "cairn/v1/test-net/envelope/",
        "cairn/v1/test-net/envelope/zzz",
        "",
        "#",
    ],
)
def test_a_good_envelope_under_a_wrong_topic_is_refused(device: StoryDevice, topic: str) -> None:
    assert opened(replace(device.envelope(), topic=topic)).refusal is Verdict.WRONG_TOPIC


def test_a_flipped_bit_in_the_signature_is_a_bad_signature(device: StoryDevice) -> None:
    message = device.envelope()
    flipped = message.block[:-1] + bytes([message.block[-1] ^ 1])
    assert opened(replace(message, block=flipped)).refusal is Verdict.BAD_SIGNATURE
    assert open_block(flipped, NETWORK).refusal is Verdict.BAD_SIGNATURE
    assert parse_block(flipped, NETWORK).refusal is None  # it leaves exactly this check out


def test_nothing_is_believed_of_a_refused_block(device: StoryDevice) -> None:
    message = device.envelope()
    for refused in (
        opened(replace(message, block=message.block[:-1] + b"\x00")),
        opened(replace(message, topic="elsewhere")),
    ):
        assert (refused.kind, refused.key, refused.envelope, refused.claims) == (None, None, None, None)


def test_the_cheap_refusals_come_first(device: StoryDevice) -> None:
    stray = StoryDevice(1, network="other-net").envelope()
    broken = stray.block[:-1] + bytes([stray.block[-1] ^ 1])
    assert opened(Message("#", bytes(MAX_ENVELOPE_BYTES + 1))).refusal is Verdict.OVERSIZE
    assert opened(Message("#", b"garbage")).refusal is Verdict.MALFORMED
    assert opened(Message("#", broken)).refusal is Verdict.WRONG_NETWORK
    good = device.envelope().block
    assert opened(Message("#", good[:-1] + bytes([good[-1] ^ 1]))).refusal is Verdict.WRONG_TOPIC


# What the log knows


def test_the_same_bytes_again_are_a_duplicate(device: StoryDevice, standing: MemoryStanding) -> None:
    message = device.envelope()
    assert verdict_on(message, standing) is Verdict.ACCEPTED
    assert verdict_on(message, standing) is Verdict.DUPLICATE


def test_a_duplicate_is_one_however_late_it_comes(device: StoryDevice, standing: MemoryStanding) -> None:
    message = device.envelope()
    verdict_on(message, standing)
    assert verdict_on(message, standing, START_MS + 10 * POLICY.max_lateness_ms) is Verdict.DUPLICATE


def test_an_enrollment_twice_is_a_duplicate_and_a_later_one_is_accepted(
    device: StoryDevice, standing: MemoryStanding
) -> None:
    assert verdict_on(device.enrollment(), standing) is Verdict.DUPLICATE
    assert verdict_on(device.enrollment(START_MS + 1, owner=b"\x22" * 20), standing) is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("offset_ms", "expected"),
    [
        (-POLICY.max_lateness_ms, Verdict.ACCEPTED),
        (-POLICY.max_lateness_ms - 1, Verdict.CLOCK_SKEW),
        (POLICY.max_clock_skew_ms, Verdict.ACCEPTED),
        (POLICY.max_clock_skew_ms + 1, Verdict.CLOCK_SKEW),
    ],
)
def test_an_enrollment_must_be_made_in_time(offset_ms: int, expected: Verdict) -> None:
    standing = MemoryStanding()
    device = StoryDevice(3)
    assert verdict_on(device.enrollment(START_MS + offset_ms), standing) is expected
    assert standing.is_enrolled(device.keys.public_key) == (expected is Verdict.ACCEPTED)


def test_a_key_that_never_enrolled_is_unknown_and_may_come_back(standing: MemoryStanding) -> None:
    stranger = StoryDevice(2)
    message = stranger.envelope()
    assert verdict_on(message, standing) is Verdict.UNKNOWN_DEVICE
    assert verdict_on(message, standing) is Verdict.UNKNOWN_DEVICE  # not kept, so no duplicate
    verdict_on(stranger.enrollment(), standing)
    assert verdict_on(message, standing) is Verdict.ACCEPTED


def test_a_second_envelope_with_one_sequence_is_equivocation(device: StoryDevice, standing: MemoryStanding) -> None:
    verdict_on(device.envelope(), standing)
    second = device.envelope(sequence=1, previous=NO_PREVIOUS)
    assert verdict_on(second, standing) is Verdict.EQUIVOCATION
    assert verdict_on(second, standing) is Verdict.DUPLICATE  # the proof is kept


def test_observations_that_another_device_claimed_are_a_replay(device: StoryDevice, standing: MemoryStanding) -> None:
    thief = StoryDevice(2)
    verdict_on(thief.enrollment(), standing)
    seen: list[Track | Reading] = [track(41), Reading(Quantity.PRESSURE_PA, START_MS, 101_325, 20)]
    assert verdict_on(device.envelope(observations=seen), standing) is Verdict.ACCEPTED
    assert verdict_on(thief.envelope(observations=seen), standing) is Verdict.REPLAY


def test_envelopes_without_observations_are_no_replays_of_each_other(
    device: StoryDevice, standing: MemoryStanding
) -> None:
    assert verdict_on(device.envelope(observations=[]), standing) is Verdict.ACCEPTED
    assert verdict_on(device.envelope(observations=[]), standing) is Verdict.ACCEPTED


def test_a_wrong_predecessor_is_a_broken_chain(device: StoryDevice, standing: MemoryStanding) -> None:
    verdict_on(device.envelope(), standing)
    assert verdict_on(device.envelope(sequence=2, previous=b"\x01" * 32), standing) is Verdict.BROKEN_CHAIN


def test_a_missing_predecessor_is_a_gap_and_allowed(device: StoryDevice, standing: MemoryStanding) -> None:
    first, second, third = device.envelope(), device.envelope(), device.envelope()
    assert [verdict_on(message, standing) for message in (third, first, second)] == [Verdict.ACCEPTED] * 3


@pytest.mark.parametrize(
    ("offset_ms", "expected"),
    [
        (POLICY.max_clock_skew_ms, Verdict.ACCEPTED),
        (POLICY.max_clock_skew_ms + 1, Verdict.CLOCK_SKEW),
    ],
)
def test_an_envelope_from_the_future_is_clock_skew(
    device: StoryDevice, standing: MemoryStanding, offset_ms: int, expected: Verdict
) -> None:
    assert verdict_on(device.envelope(START_MS + offset_ms), standing) is expected


@pytest.mark.parametrize(
    ("late_ms", "expected"),
    [(POLICY.max_lateness_ms, Verdict.ACCEPTED), (POLICY.max_lateness_ms + 1, Verdict.CLOCK_SKEW)],
)
def test_store_and_forward_may_be_this_late(
    device: StoryDevice, standing: MemoryStanding, late_ms: int, expected: Verdict
) -> None:
    assert verdict_on(device.envelope(), standing, START_MS + late_ms) is expected


@pytest.mark.parametrize(
    ("before_ms", "expected"),
    [(POLICY.max_clock_skew_ms, Verdict.ACCEPTED), (POLICY.max_clock_skew_ms + 1, Verdict.CLOCK_SKEW)],
)
def test_an_envelope_made_before_its_own_beacon_is_clock_skew(
    device: StoryDevice, standing: MemoryStanding, before_ms: int, expected: Verdict
) -> None:
    assert verdict_on(device.envelope(START_MS - before_ms), standing) is expected


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [(POLICY.beacon_window_ms, Verdict.ACCEPTED), (POLICY.beacon_window_ms + 1, Verdict.STALE_BEACON)],
)
def test_a_beacon_may_be_this_old(
    device: StoryDevice, standing: MemoryStanding, after_ms: int, expected: Verdict
) -> None:
    made_at_ms = START_MS + after_ms
    assert verdict_on(device.envelope(made_at_ms), standing, made_at_ms) is expected


@pytest.mark.parametrize("beacon", [NO_BEACON, Beacon(7, b"\x09" * 32), Beacon(8, bytes(32))])
def test_a_beacon_this_hub_never_relayed_is_stale(
    device: StoryDevice, standing: MemoryStanding, beacon: Beacon
) -> None:
    assert verdict_on(device.envelope(beacon=beacon), standing) is Verdict.STALE_BEACON


# The order of the rules: one message that breaks many, mended rule by rule


def test_the_first_rule_broken_is_the_one_that_is_named(device: StoryDevice, standing: MemoryStanding) -> None:
    seen = [track(77)]
    other = StoryDevice(2)
    verdict_on(other.enrollment(), standing)
    verdict_on(other.envelope(observations=seen), standing)
    verdict_on(device.envelope(), standing)
    late_ms = START_MS + POLICY.max_lateness_ms + 1
    wrong = b"\x01" * 32

    equivocates = device.envelope(sequence=1, previous=NO_PREVIOUS, observations=seen, beacon=NO_BEACON)
    replays = device.envelope(sequence=2, previous=wrong, observations=seen, beacon=NO_BEACON)
    breaks = device.envelope(sequence=2, previous=wrong, observations=[track(78)], beacon=NO_BEACON)
    skews = device.envelope(sequence=9, previous=wrong, observations=[track(79)], beacon=NO_BEACON)
    stales = device.envelope(late_ms, sequence=12, previous=wrong, observations=[track(80)], beacon=NO_BEACON)

    def alone(message: Message) -> Verdict:
        return admit(opened(message), standing, POLICY, received_at_ms=UnixMs(late_ms))

    assert alone(StoryDevice(5).envelope(observations=seen, beacon=NO_BEACON)) is Verdict.UNKNOWN_DEVICE
    assert alone(equivocates) is Verdict.EQUIVOCATION
    assert alone(replays) is Verdict.REPLAY
    assert alone(breaks) is Verdict.BROKEN_CHAIN
    assert alone(skews) is Verdict.CLOCK_SKEW
    assert alone(stales) is Verdict.STALE_BEACON


def test_what_is_kept_counts_even_if_it_was_not_accepted(device: StoryDevice, standing: MemoryStanding) -> None:
    stale = device.envelope(beacon=NO_BEACON)
    assert verdict_on(stale, standing) is Verdict.STALE_BEACON
    again = device.envelope(sequence=1, previous=NO_PREVIOUS)
    assert verdict_on(again, standing) is Verdict.EQUIVOCATION
    assert verdict_on(device.envelope(), standing) is Verdict.ACCEPTED  # its predecessor is the first one kept


def test_a_standing_on_top_of_another_sees_both_and_changes_only_itself(device: StoryDevice) -> None:
    base = relayed(MemoryStanding())
    verdict_on(device.enrollment(), base)
    first = device.envelope()
    verdict_on(first, base)
    top = MemoryStanding(base)
    second = device.envelope()
    assert verdict_on(second, top) is Verdict.ACCEPTED
    assert verdict_on(first, top) is Verdict.DUPLICATE
    assert verdict_on(second, top) is Verdict.DUPLICATE
    assert not base.holds(opened(second).digest)
    assert verdict_on(device.envelope(sequence=1, previous=NO_PREVIOUS), top) is Verdict.EQUIVOCATION
    assert top.digest_at(device.keys.public_key, 1) == opened(first).digest
