"""Envelopes and the blocks around them: every byte counts, every limit holds."""

import hashlib
import time

import cbor2
import msgspec
import pytest

from protocol.beacon import NO_BEACON
from protocol.cose import MAX_BLOCK_BYTES, parse_sign1, sign1
from protocol.enrollment import Enrollment, parse_enrollment, seal_enrollment
from protocol.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_OBSERVATIONS,
    NO_MODEL,
    NO_PREVIOUS,
    Envelope,
    block_digest,
    observations_digest,
    open_envelope,
    seal,
)
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import KeyPair
from protocol.observation import Observation, Position, Quantity, Reading, Track
from protocol.payload import decode_payload, encode_payload
from protocol.receipt import Receipt, ReceiptLine, open_receipt, seal_receipt
from protocol.units import Ppm, Udeg, UnixMs
from protocol.verdict import Verdict
from tests.support.own_words import AT_MS, CROSSING, GAP, HEALTH, TRACK

DEVICE = KeyPair(b"\x07" * 32)
READING = Reading(Quantity.PRESSURE_PA, UnixMs(999), 101_325, 50)
ENVELOPE = Envelope(
    version=1,
    network="test",
    boot=3,
    sequence=1,
    previous=NO_PREVIOUS,
    beacon=NO_BEACON,
    model_digest=NO_MODEL,
    agent_release="1.0.0",
    position=Position(Udeg(0), Udeg(0), 0, -1),
    created_at_ms=UnixMs(1_000),
    observations=(READING,),
)


def test_changing_any_one_byte_of_a_block_makes_it_unacceptable() -> None:
    block = seal(ENVELOPE, DEVICE)
    for at in range(len(block)):
        for flip in (0x01, 0x20, 0x80, 0xFF):
            with pytest.raises(ProtocolError):
                open_envelope(block[:at] + bytes([block[at] ^ flip]) + block[at + 1 :])


def test_cutting_a_block_anywhere_makes_it_unacceptable() -> None:
    block = seal(ENVELOPE, DEVICE)
    for at in range(len(block)):
        with pytest.raises(MalformedError):
            open_envelope(block[:at])


def test_a_full_envelope_of_the_largest_observations_fits() -> None:
    most = 2**53 - 1
    track = Track(most, 79, UnixMs(most), UnixMs(most), Ppm(10**6), 2**32 - 1, continues=True, sketch=b"\xff" * 32)
    full = msgspec.structs.replace(ENVELOPE, observations=(track,) * MAX_OBSERVATIONS)
    block = seal(full, DEVICE)
    assert len(block) <= MAX_ENVELOPE_BYTES
    assert open_envelope(block)[1] == full


def test_an_oversize_block_is_refused_before_it_is_read() -> None:
    with pytest.raises(MalformedError, match="32768 are allowed"):
        open_envelope(b"\x84" + bytes(MAX_ENVELOPE_BYTES))
    with pytest.raises(MalformedError, match="more than a block may have"):
        parse_sign1(bytes(MAX_BLOCK_BYTES + 1))


def test_what_a_reader_would_refuse_is_never_signed() -> None:
    for wrong in (
        {"network": "Test"},
        {"sequence": 0},
        {"agent_release": ""},
        {"observations": (READING,) * (MAX_OBSERVATIONS + 1)},
    ):
        with pytest.raises(MalformedError):
            seal(msgspec.structs.replace(ENVELOPE, **wrong), DEVICE)


def test_exactly_the_first_envelope_has_no_previous_one() -> None:
    for wrong in ({"sequence": 2}, {"previous": b"\x01" * 32}):
        with pytest.raises(MalformedError):
            msgspec.structs.replace(ENVELOPE, **wrong)
    second = msgspec.structs.replace(ENVELOPE, sequence=2, previous=block_digest(seal(ENVELOPE, DEVICE)))
    assert open_envelope(seal(second, DEVICE))[1] == second


def test_a_track_never_ends_before_it_begins() -> None:
    with pytest.raises(MalformedError, match="track 4"):
        Track(4, 0, UnixMs(10), UnixMs(9), Ppm(1), 1, continues=False, sketch=b"")


def test_the_same_observations_are_known_again_in_another_envelope() -> None:
    track = Track(4, 0, UnixMs(10), UnixMs(20), Ppm(1), 1, continues=False, sketch=b"")
    first = msgspec.structs.replace(ENVELOPE, observations=(track, READING))
    later = msgspec.structs.replace(first, created_at_ms=UnixMs(2_000), boot=4)
    other = msgspec.structs.replace(first, observations=(msgspec.structs.replace(track, track_id=5), READING))
    assert observations_digest(first) is not None
    assert observations_digest(later) == observations_digest(first)
    assert observations_digest(other) != observations_digest(first)


def test_a_copy_of_anothers_tracks_is_known_whatever_the_copier_says_of_itself() -> None:
    honest = msgspec.structs.replace(ENVELOPE, observations=(TRACK, READING, HEALTH))
    for own in ((), (GAP, CROSSING), (msgspec.structs.replace(HEALTH, uptime_s=1),)):
        copied = msgspec.structs.replace(ENVELOPE, observations=(*own[:1], TRACK, READING, *own[1:]))
        assert observations_digest(copied) == observations_digest(honest)


def test_the_digest_of_tracks_and_readings_is_what_it_was_before_there_was_more() -> None:
    envelope = msgspec.structs.replace(ENVELOPE, observations=(TRACK, READING))
    encoded = cbor2.dumps([1, 7, 0, AT_MS, AT_MS + 900, 800_000, 9, False, b"\x0f"])
    encoded += cbor2.dumps([2, 3, 999, 101_325, 50])
    assert observations_digest(envelope) == hashlib.sha256(encoded).digest()


@pytest.mark.parametrize("observations", [(), (READING,), (HEALTH, CROSSING)], ids=["none", "a reading", "own words"])
def test_where_nothing_is_unmistakable_nothing_is_claimed(observations: tuple[Observation, ...]) -> None:
    """Two honest thermometers in one room may tell the same in the same millisecond."""
    assert observations_digest(msgspec.structs.replace(ENVELOPE, observations=observations)) is None


@pytest.mark.parametrize("length", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_a_payload_of_any_length_has_one_form(length: int) -> None:
    payload = bytes(length)
    block = sign1(payload, DEVICE)
    signed = parse_sign1(block)
    signed.verify()
    assert signed.payload == payload
    # The block is CBOR that any reader takes apart alike.
    assert cbor2.loads(block)[2] == payload


def test_a_block_is_never_taken_for_another_kind() -> None:
    enrollment = Enrollment(1, "test", b"\x11" * 20, UnixMs(1))
    line = ReceiptLine(1, block_digest(b""), Verdict.ACCEPTED)
    receipt = Receipt(1, "test", DEVICE.public_key.key_id, 0, 0, UnixMs(1), (line,))
    blocks = {
        open_envelope: seal(ENVELOPE, DEVICE),
        parse_enrollment: seal_enrollment(enrollment, DEVICE),
        open_receipt: seal_receipt(receipt, DEVICE),
    }
    for read in blocks:
        for owner, block in blocks.items():
            if read is owner:
                read(block)
            else:
                with pytest.raises(MalformedError):
                    read(block)


@pytest.mark.timeout(5)
def test_hostile_payloads_cost_little_and_are_malformed() -> None:
    head = encode_payload(ENVELOPE)[:-1]
    hostile = [
        b"\x9b" + b"\xff" * 8,
        b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",
        b"\xc5\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",
        b"\xd8\x1e\x82\x01\x00",
        b"\xd8\x1c\x81\xd8\x1d\x00",
        b"\xd8\x23\x64((a(",
        b"\xc2\x59\x70\x00" + b"\xff" * 0x7000,
        b"\x81" * 30_000,
        b"\xd8\x2a" * 10_000 + b"\x00",
    ]
    for content in hostile:
        for payload in (content, b"\x8c\x01\x01" + content, head + content):
            with pytest.raises(MalformedError):
                open_envelope(sign1(payload, DEVICE))


def test_no_pattern_of_a_stranger_is_compiled() -> None:
    # Tag 35 is a regular expression: one envelope full of these would take half a minute to compile.
    pattern = "(?i)" + "[\x01-\uffff]" * 4_000
    started_s = time.monotonic()
    with pytest.raises(MalformedError):
        decode_payload(b"\x82\x01\xd8\x23" + cbor2.dumps(pattern), Envelope)
    assert time.monotonic() - started_s < 5
