"""Observations of every kind: closed, bounded, one encoding, and small enough for an envelope."""

from collections.abc import Iterator
from typing import Any

import cbor2
import msgspec
import pytest

from protocol.beacon import NO_BEACON
from protocol.classes import COCO_CLASSES
from protocol.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_OBSERVATIONS,
    NO_MODEL,
    NO_PREVIOUS,
    Envelope,
    open_envelope,
    seal,
)
from protocol.errors import MalformedError, SignatureError
from protocol.identity import KeyPair
from protocol.observation import (
    ClockSource,
    Crossing,
    Gap,
    GapReason,
    Health,
    Observation,
    Position,
    Provider,
    Stay,
    Succession,
    Track,
    count_rewardable,
    succession_words,
)
from protocol.payload import decode_payload, encode_payload
from protocol.succession import verify_succession
from protocol.units import Ppm, Udeg, UnixMs
from tests.support.own_words import ALL_KINDS, CROSSING, GAP, HEALTH, STAY, STUCK, TRACK, succession

DEVICE, HEIR, THIEF = (KeyPair(bytes([number]) * 32) for number in (7, 8, 9))
NETWORK = "test"
MOST = 2**53 - 1
MOST_MS = UnixMs(MOST)
LARGEST_HEALTH = Health(
    MOST_MS, MOST, MOST, MOST, MOST, MOST, MOST, 10**6, Provider.OTHER, MOST, MOST, MOST, MOST, MOST, MOST, MOST, MOST,
    MOST, MOST, 10**7, 10**6, 2**32 - 1, ClockSource.FREE, -MOST, MOST, 3, 255, 10**6, MOST, MOST,
)  # fmt: skip
LARGEST: tuple[Observation, ...] = (
    Track(MOST, 79, MOST_MS, MOST_MS, Ppm(10**6), 2**32 - 1, continues=True, sketch=b"\xff" * 32),
    msgspec.structs.replace(STUCK, measured_at_ms=MOST_MS, value=-MOST, uncertainty=MOST),
    Crossing(MOST, 79, 31, is_forward=True, crossed_at_ms=MOST_MS, confidence_ppm=Ppm(10**6)),
    Stay(MOST, 79, 31, MOST_MS, MOST_MS, Ppm(10**6)),
    Gap(GapReason.ABANDONED, MOST - 1, MOST, 2, MOST, MOST_MS, MOST_MS),
    succession(DEVICE, HEIR, NETWORK),
)
by_kind = pytest.mark.parametrize("observation", ALL_KINDS, ids=lambda each: type(each).__name__)


def envelope_of(*observations: Observation) -> Envelope:
    return Envelope(
        version=1,
        network=NETWORK,
        boot=3,
        sequence=1,
        previous=NO_PREVIOUS,
        beacon=NO_BEACON,
        model_digest=NO_MODEL,
        agent_release="1.0.0",
        position=Position(Udeg(0), Udeg(0), 0, -1),
        created_at_ms=UnixMs(1_000),
        observations=observations,
    )


def members_of(observation: Observation) -> list[Any]:
    members: list[Any] = cbor2.loads(encode_payload(observation))
    return members


def is_refused(observation: Observation, members: list[Any]) -> bool:
    """Whether an envelope with ``members`` in place of ``observation`` is malformed, and so is the record alone."""
    envelope = cbor2.loads(encode_payload(envelope_of(observation)))
    envelope[-1] = [members]
    outcomes = []
    for raw, kind in ((cbor2.dumps(envelope), Envelope), (cbor2.dumps(members), type(observation))):
        try:
            decode_payload(raw, kind)
        except MalformedError:
            outcomes.append(True)
        else:
            outcomes.append(False)
    assert outcomes[0] == outcomes[1]
    return outcomes[0]


@by_kind
def test_an_observation_of_every_kind_comes_back_from_a_signed_envelope(observation: Observation) -> None:
    assert open_envelope(seal(envelope_of(observation), DEVICE))[1].observations == (observation,)
    assert decode_payload(encode_payload(observation), type(observation)) == observation


def _bounds(observation: Observation) -> Iterator[tuple[str, int, list[object], list[object]]]:
    """Yield (field, place on the wire, values that are allowed, values that are not) as the class declares it."""
    for place, field in enumerate(msgspec.structs.fields(observation), start=1):
        inner: Any = msgspec.inspect.type_info(field.type)
        members = inner.types if isinstance(inner, msgspec.inspect.UnionType) else (inner,)
        allowed: list[object] = []
        refused: list[object] = ["text", 1.5, []]
        for member in members:
            kind = member.type if isinstance(member, msgspec.inspect.Metadata) else member
            if isinstance(kind, msgspec.inspect.IntType):
                assert kind.ge is not None, f"{field.name} has no lower bound"
                most = kind.le if kind.le is not None else kind.lt - 1  # type: ignore[operator] # one of the two
                allowed += [kind.ge, most]
                refused += [kind.ge - 1, most + 1, True]
            elif isinstance(kind, msgspec.inspect.EnumType):
                allowed += [each.value for each in kind.cls]
                refused += [min(each.value for each in kind.cls) - 1, max(each.value for each in kind.cls) + 1]
            elif isinstance(kind, msgspec.inspect.BoolType):
                allowed += [True, False]
                refused += [0, 1]
            elif isinstance(kind, msgspec.inspect.BytesType):
                assert kind.max_length is not None, f"{field.name} has no longest length"
                refused += [bytes(kind.max_length + 1)]
            else:
                assert isinstance(kind, msgspec.inspect.NoneType), kind
                allowed.append(None)
        yield field.name, place, allowed, refused if None in allowed else [*refused, None]


# Fields that only make sense together with others: tested by name below.
TIED = {"first_seen_ms", "last_seen_ms", "entered_at_ms", "left_at_ms", "from_ms", "until_ms", "successor"}
TIED |= {"envelopes", "first_sequence", "last_sequence"}


@by_kind
def test_every_field_of_every_kind_is_bounded_and_has_one_type(observation: Observation) -> None:
    members = members_of(observation)
    for name, place, allowed, refused in _bounds(observation):
        for value in refused:
            assert is_refused(observation, [*members[:place], value, *members[place + 1 :]]), (name, value)
        for value in () if name in TIED else allowed:
            # A reading that has nothing odd has one member less.
            tail = [] if (name, value) == ("flags", 0) else [value, *members[place + 1 :]]
            assert not is_refused(observation, [*members[:place], *tail]), (name, value)


@by_kind
def test_a_member_more_or_less_is_refused(observation: Observation) -> None:
    members = members_of(observation)
    assert is_refused(observation, [*members, 0])
    assert is_refused(observation, [*members, None])
    if observation is not STUCK:  # without its flag it is a reading with none, see below
        assert is_refused(observation, members[:-1])
    assert is_refused(observation, [8, *members[1:]])


def test_a_reading_without_flags_has_the_bytes_it_had_before_there_were_any() -> None:
    plain = msgspec.structs.replace(STUCK, flags=0)
    assert members_of(plain) == [2, 1, plain.measured_at_ms, 21_300, 200]
    assert members_of(STUCK) == [*members_of(plain), 1]
    assert not is_refused(plain, members_of(plain))
    assert is_refused(plain, [*members_of(plain), 0])
    mixed = envelope_of(plain, STUCK, TRACK, plain)
    assert open_envelope(seal(mixed, DEVICE))[1] == mixed


@pytest.mark.parametrize(
    ("observation", "changes"),
    [
        (STAY, {"left_at_ms": STAY.entered_at_ms - 1}),
        (GAP, {"until_ms": GAP.from_ms - 1}),
        (GAP, {"last_sequence": 10}),
        (GAP, {"envelopes": 0}),
        (GAP, {"first_sequence": 0}),
        (GAP, {"envelopes": 0, "first_sequence": 0}),
        (GAP, {"first_sequence": 0, "last_sequence": 0}),
        (GAP, {"envelopes": 10}),
        (GAP, {"envelopes": 0, "first_sequence": 0, "last_sequence": 0, "observations": 0}),
        (succession(DEVICE, HEIR, NETWORK), {"successor": b"\xec\x01" + bytes(32)}),
    ],
)
def test_what_contradicts_itself_cannot_be_built_nor_read(observation: Observation, changes: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        msgspec.structs.replace(observation, **changes)
    fields = [field.name for field in msgspec.structs.fields(observation)]
    members = members_of(observation)
    for name, value in changes.items():
        members[fields.index(name) + 1] = value
    assert is_refused(observation, members)


def test_observations_lost_before_they_were_in_an_envelope_name_no_sequences() -> None:
    lost = Gap(GapReason.MEMORY, 0, 12, 0, 0, UnixMs(1), UnixMs(2))
    assert decode_payload(encode_payload(lost), Gap) == lost
    assert msgspec.structs.replace(GAP, envelopes=9, observations=0).envelopes == 9  # all of 11 to 19


@pytest.mark.parametrize("largest", LARGEST, ids=lambda each: type(each).__name__)
def test_an_envelope_holds_256_of_the_largest_of_every_kind_but_health(largest: Observation) -> None:
    full = envelope_of(*(largest,) * MAX_OBSERVATIONS)
    assert open_envelope(seal(full, DEVICE))[1] == full


def test_a_health_record_is_small() -> None:
    assert (len(encode_payload(HEALTH)), len(encode_payload(LARGEST_HEALTH))) == (70, 222)
    seal(envelope_of(*(HEALTH,) * MAX_OBSERVATIONS), DEVICE)
    block = seal(envelope_of(*(LARGEST_HEALTH,) * 146), DEVICE)
    assert MAX_ENVELOPE_BYTES - 222 < len(block) <= MAX_ENVELOPE_BYTES
    with pytest.raises(MalformedError, match="are allowed"):
        seal(envelope_of(*(LARGEST_HEALTH,) * MAX_OBSERVATIONS), DEVICE)


def test_only_tracks_and_readings_may_be_paid() -> None:
    assert count_rewardable(ALL_KINDS) == 2
    assert count_rewardable((CROSSING, STAY, GAP, HEALTH)) == 0


def test_the_vocabulary_of_crossings_and_stays_is_that_of_tracks() -> None:
    for observation in (TRACK, CROSSING, STAY):
        members = members_of(observation)
        assert is_refused(observation, [*members[:2], len(COCO_CLASSES), *members[3:]])


def test_a_succession_is_believed_if_the_successor_agreed_and_nothing_follows() -> None:
    last = succession(DEVICE, HEIR, NETWORK)
    verify_succession(envelope_of(TRACK, last), DEVICE.public_key)
    verify_succession(envelope_of(TRACK), DEVICE.public_key)
    verify_succession(envelope_of(), DEVICE.public_key)


def test_nobody_follows_without_having_agreed() -> None:
    key = HEIR.public_key.key_id
    words = succession_words(NETWORK, DEVICE.public_key.key_id, key)
    for consent in (
        bytes(64),
        DEVICE.sign(words),  # the old key cannot agree for the new one
        HEIR.sign(succession_words("other", DEVICE.public_key.key_id, key)),
        HEIR.sign(succession_words(NETWORK, THIEF.public_key.key_id, key)),
        HEIR.sign(succession_words(NETWORK, key, DEVICE.public_key.key_id)),
    ):
        with pytest.raises(SignatureError):
            verify_succession(envelope_of(Succession(key, consent)), DEVICE.public_key)
    with pytest.raises(SignatureError):  # agreed to follow another device
        verify_succession(envelope_of(succession(DEVICE, HEIR, NETWORK)), THIEF.public_key)


def test_a_succession_is_the_last_word_and_there_is_one() -> None:
    one, other = succession(DEVICE, HEIR, NETWORK), succession(DEVICE, THIEF, NETWORK)
    for observations in ((one, TRACK), (one, other), (one, one)):
        with pytest.raises(MalformedError, match="last word"):
            verify_succession(envelope_of(*observations), DEVICE.public_key)
    with pytest.raises(MalformedError, match="follows itself"):
        verify_succession(envelope_of(succession(DEVICE, DEVICE, NETWORK)), DEVICE.public_key)


def test_the_words_of_a_succession_are_fixed_for_ever() -> None:
    assert succession_words("net-1", b"\x01" * 34, b"\x02" * 34) == (
        b"cairn succession 1\x00net-1\x00" + b"\x01" * 34 + b"\x02" * 34
    )
