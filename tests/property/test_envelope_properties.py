"""Signed records: one value, one encoding; one block, one meaning."""

from collections.abc import Callable
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import dagcbor
from protocol.beacon import BeaconNotice
from protocol.cose import parse_sign1, sign1
from protocol.enrollment import Enrollment
from protocol.envelope import MAX_ENVELOPE_BYTES, NO_PREVIOUS, Envelope, open_envelope, parse_envelope, seal
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import KeyPair
from protocol.keyid import ED25519_PREFIX
from protocol.logbook import Intake, SegmentHeader, SegmentSeal
from protocol.observation import Crossing, Gap, Health, Reading, Stay, Succession, Track
from protocol.payload import decode_payload, encode_payload
from protocol.receipt import Receipt

OBSERVATIONS = (Track, Reading, Crossing, Stay, Gap, Health, Succession)
RECORDS = (Envelope, Enrollment, Receipt, Intake, SegmentHeader, BeaconNotice, SegmentSeal)
DEVICE = KeyPair(bytes(range(32)))
_SHORT = 4  # members of a list in generated records: more only makes them slow


def of_type(kind: msgspec.inspect.Type) -> st.SearchStrategy[Any]:
    """Return values that a declared type allows, limits included."""
    return _STRATEGIES[type(kind)](kind)


def _integers(kind: Any) -> st.SearchStrategy[int]:
    return st.integers(kind.ge, kind.le if kind.le is not None else kind.lt - 1)


def _tuples(kind: Any) -> st.SearchStrategy[tuple[Any, ...]]:
    longest = min(_SHORT, kind.max_length if kind.max_length is not None else _SHORT)
    return st.lists(of_type(kind.item_type), min_size=kind.min_length or 0, max_size=longest).map(tuple)


def _structs(kind: Any) -> st.SearchStrategy[Any]:
    fields = {field.name: of_type(field.type) for field in kind.fields}
    return st.fixed_dictionaries(fields).map(lambda chosen: kind.cls(**_consistent(kind.cls, chosen)))


_STRATEGIES: dict[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    msgspec.inspect.Metadata: lambda kind: of_type(kind.type),
    msgspec.inspect.IntType: _integers,
    msgspec.inspect.BytesType: lambda kind: st.binary(min_size=kind.min_length or 0, max_size=kind.max_length),
    msgspec.inspect.StrType: lambda kind: st.from_regex(kind.pattern, fullmatch=True),
    msgspec.inspect.BoolType: lambda _: st.booleans(),
    msgspec.inspect.LiteralType: lambda kind: st.sampled_from(kind.values),
    msgspec.inspect.EnumType: lambda kind: st.sampled_from(list(kind.cls)),
    msgspec.inspect.VarTupleType: _tuples,
    msgspec.inspect.UnionType: lambda kind: st.one_of(*(of_type(member) for member in kind.types)),
    msgspec.inspect.StructType: _structs,
    msgspec.inspect.NoneType: lambda _: st.none(),
}


def _consistent(cls: type, chosen: dict[str, Any]) -> dict[str, Any]:
    """Bend what the types cannot say: only a first envelope has no previous, nothing ends before it begins."""
    for first, last in _INTERVALS.get(cls, ()):
        chosen |= dict(zip((first, last), sorted((chosen[first], chosen[last])), strict=True))
    if cls is Gap:
        return chosen | _loss(chosen)
    if cls is Succession:
        return chosen | {"successor": ED25519_PREFIX + chosen["successor"][2:]}
    if cls is Envelope and chosen["sequence"] == 1:
        return chosen | {"previous": NO_PREVIOUS}
    if cls is Envelope and chosen["previous"] == NO_PREVIOUS:
        return chosen | {"previous": b"\x01" * 32}
    return chosen


_INTERVALS: dict[type, tuple[tuple[str, str], ...]] = {
    Track: (("first_seen_ms", "last_seen_ms"),),
    Stay: (("entered_at_ms", "left_at_ms"),),
    Gap: (("first_sequence", "last_sequence"), ("from_ms", "until_ms")),
}


def _loss(chosen: dict[str, Any]) -> dict[str, Any]:
    """Either envelopes with sequences for all of them, or observations alone."""
    if 0 in (chosen["first_sequence"], chosen["envelopes"]):
        observations = max(1, chosen["observations"])
        return {"envelopes": 0, "first_sequence": 0, "last_sequence": 0, "observations": observations}
    room = chosen["last_sequence"] - chosen["first_sequence"] + 1
    return {"envelopes": min(chosen["envelopes"], room)}


RECORD_STRATEGIES = {kind: of_type(msgspec.inspect.type_info(kind)) for kind in RECORDS}
envelopes = RECORD_STRATEGIES[Envelope]
records = st.one_of(*RECORD_STRATEGIES.values(), *(of_type(msgspec.inspect.type_info(kind)) for kind in OBSERVATIONS))


@given(record=records)
def test_a_record_comes_back_from_its_payload(record: msgspec.Struct) -> None:
    assert decode_payload(encode_payload(record), type(record)) == record


@given(record=records, kind=st.sampled_from(RECORDS))
def test_a_record_is_never_taken_for_another_kind(record: msgspec.Struct, kind: type[msgspec.Struct]) -> None:
    if kind is not type(record):
        with pytest.raises(MalformedError):
            decode_payload(encode_payload(record), kind)


@given(record=records)
def test_a_payload_and_its_block_are_strict_dag_cbor(record: msgspec.Struct) -> None:
    payload = encode_payload(record)
    block = sign1(payload, DEVICE)
    assert dagcbor.encode(dagcbor.decode(payload)) == payload
    assert dagcbor.encode(dagcbor.decode(block)) == block


@st.composite
def _loosely_encoded(draw: st.DrawFn, value: object) -> bytes:
    """Some CBOR encoding of ``value``, not always the shortest."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return draw(_head(0x00, value) if value >= 0 else _head(0x20, -1 - value))
    if isinstance(value, bytes):
        return draw(_head(0x40, len(value))) + value
    if isinstance(value, str):
        raw = value.encode()
        return draw(_head(0x60, len(raw))) + raw
    assert isinstance(value, list)
    members = b"".join(draw(_loosely_encoded(member)) for member in value)
    if draw(st.booleans()):
        return draw(_head(0x80, len(value))) + members
    return b"\x9f" + members + b"\xff"


def _head(major: int, number: int) -> st.SearchStrategy[bytes]:
    fitting = [bytes([major + 24 + power]) + number.to_bytes(size) for power, size in enumerate((1, 2, 4, 8))
               if number < 1 << (8 * size)]  # fmt: skip
    return st.sampled_from([bytes([major + number]), *fitting] if number < 24 else fitting)


@given(record=records, draw=st.data())
def test_only_the_shortest_encoding_of_a_record_is_accepted(record: msgspec.Struct, draw: st.DataObject) -> None:
    payload = encode_payload(record)
    loose = draw.draw(_loosely_encoded(cbor2.loads(payload)))
    assert cbor2.loads(loose) == cbor2.loads(payload)
    if loose == payload:
        assert decode_payload(loose, type(record)) == record
    else:
        with pytest.raises(MalformedError):
            decode_payload(loose, type(record))


@given(raw=st.binary(max_size=200), kind=st.sampled_from(RECORDS))
def test_arbitrary_bytes_are_refused_or_are_the_encoding(raw: bytes, kind: type[msgspec.Struct]) -> None:
    try:
        record = decode_payload(raw, kind)
    except MalformedError:
        return
    assert encode_payload(record) == raw


@given(record=records, draw=st.data())
def test_a_changed_payload_is_refused_or_another_record(record: msgspec.Struct, draw: st.DataObject) -> None:
    payload = encode_payload(record)
    changed = draw.draw(_changed(payload))
    try:
        other = decode_payload(changed, type(record))
    except MalformedError:
        return
    assert other != record
    assert encode_payload(other) == changed


@st.composite
def _changed(draw: st.DrawFn, raw: bytes) -> bytes:
    """``raw`` with one byte changed, removed, repeated or put in."""
    at = draw(st.integers(0, len(raw) - 1))
    change = draw(st.sampled_from(["flip", "drop", "repeat", "insert"]))
    if change == "flip":
        return raw[:at] + bytes([raw[at] ^ draw(st.integers(1, 255))]) + raw[at + 1 :]
    if change == "drop":
        return raw[:at] + raw[at + 1 :]
    if change == "repeat":
        return raw[: at + 1] + raw[at:]
    return raw[:at] + draw(st.binary(min_size=1, max_size=3)) + raw[at:]


@given(envelope=envelopes, draw=st.data())
def test_a_changed_block_is_never_accepted(envelope: Envelope, draw: st.DataObject) -> None:
    block = seal(envelope, DEVICE)
    signed, opened = open_envelope(block)
    assert (signed.key, opened) == (DEVICE.public_key, envelope)
    changed = draw.draw(_changed(block))
    # Repeating or inserting a byte may give the block itself again: two equal neighbours.
    if changed != block:
        with pytest.raises(ProtocolError):
            open_envelope(changed)


@given(block=st.binary(max_size=400))
def test_arbitrary_bytes_are_no_envelope(block: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_envelope(block)


@given(payload=st.binary(max_size=300), seed=st.binary(min_size=32, max_size=32))
def test_a_block_is_parsed_exactly_if_it_is_what_sign1_writes(payload: bytes, seed: bytes) -> None:
    signer = KeyPair(seed)
    signed = parse_sign1(sign1(payload, signer))
    signed.verify()
    assert (signed.key, signed.payload) == (signer.public_key, payload)


@given(envelope=envelopes)
def test_an_envelope_of_few_observations_fits(envelope: Envelope) -> None:
    assert len(seal(envelope, DEVICE)) <= MAX_ENVELOPE_BYTES
