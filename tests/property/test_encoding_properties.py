"""Numbers, values and names: everything that can be written comes back, and from one text only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import dagcbor
from protocol.cid import CAR, DAG_CBOR, RAW, Cid
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.topics import enrollment_topic, envelope_topic, parse_intake_topic
from protocol.varint import decode_varint, encode_varint

cids = st.builds(Cid.of, st.binary(max_size=64), st.sampled_from([RAW, DAG_CBOR, CAR]))
keys = st.binary(min_size=32, max_size=32).map(PublicKey.of_raw)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.binary(max_size=300) | text | cids,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=5),
    max_leaves=20,
)


@given(value=st.integers(0, (1 << 63) - 1), before=st.binary(max_size=3), after=st.binary(max_size=3))
def test_a_varint_comes_back_wherever_it_stands(value: int, before: bytes, after: bytes) -> None:
    raw = encode_varint(value)
    assert decode_varint(before + raw + after, len(before)) == (value, len(before) + len(raw))


@given(raw=st.lists(st.sampled_from(b"\x00\x01\x7f\x80\x81\xff"), max_size=11).map(bytes))
def test_a_number_has_one_varint(raw: bytes) -> None:
    try:
        value, end = decode_varint(raw)
    except MalformedError:
        return
    assert encode_varint(value) == raw[:end]


@given(value=values)
def test_a_value_comes_back(value: object) -> None:
    assert dagcbor.decode(dagcbor.encode(value)) == value


@given(value=st.dictionaries(text, st.integers(0, 3), max_size=8))
def test_the_order_in_which_a_map_was_filled_leaves_no_trace(value: dict[str, int]) -> None:
    assert dagcbor.encode(dict(reversed(value.items()))) == dagcbor.encode(value)


@given(value=values, draw=st.data())
def test_changed_bytes_are_refused_or_another_value(value: object, draw: st.DataObject) -> None:
    raw = bytearray(dagcbor.encode(value))
    at = draw.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= draw.draw(st.integers(1, 255))
    try:
        other = dagcbor.decode(bytes(raw))
    except MalformedError:
        return
    assert dagcbor.encode(other) == raw


@given(raw=st.binary(max_size=64))
def test_arbitrary_bytes_are_refused_or_canonical(raw: bytes) -> None:
    try:
        value = dagcbor.decode(raw)
    except MalformedError:
        return
    assert dagcbor.encode(value) == raw


@given(cid=cids)
def test_a_cid_comes_back_from_its_text(cid: Cid) -> None:
    assert Cid.parse(str(cid)) == cid


@given(block=st.binary(max_size=64), other=st.binary(max_size=64))
def test_a_cid_matches_its_block_alone(block: bytes, other: bytes) -> None:
    assert Cid.of(block).matches(other) == (block == other)


@given(cid=cids, draw=st.data())
def test_no_two_texts_name_one_cid(cid: Cid, draw: st.DataObject) -> None:
    changed = draw.draw(_changed_text(str(cid)))
    try:
        other = Cid.parse(changed)
    except MalformedError:
        return
    assert (other == cid) == (changed == str(cid))
    assert str(other) == changed


@given(key=keys, draw=st.data())
def test_no_two_texts_name_one_key(key: PublicKey, draw: st.DataObject) -> None:
    assert PublicKey.parse(key.name) == PublicKey.parse(key.did) == key
    changed = draw.draw(_changed_text(key.name))
    try:
        other = PublicKey.parse(changed)
    except MalformedError:
        return
    assert (other == key) == (changed == key.name)
    assert other.name == changed


@given(raw=st.text(max_size=70))
def test_arbitrary_text_is_refused_as_malformed(raw: str) -> None:
    for read in (Cid.parse, PublicKey.parse):
        with pytest.raises(MalformedError):
            read(raw)


@given(key=keys, network=st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True))
def test_a_topic_names_its_device(key: PublicKey, network: str) -> None:
    assert parse_intake_topic(envelope_topic(network, key), network) == ("envelope", key)
    assert parse_intake_topic(enrollment_topic(network, key), network) == ("enroll", key)


@given(topic=st.text(max_size=80) | st.text(max_size=60).map("cairn/v1/net/".__add__))
def test_an_arbitrary_topic_is_refused_as_malformed(topic: str) -> None:
    with pytest.raises(MalformedError):
        parse_intake_topic(topic, "net")


@st.composite
def _changed_text(draw: st.DrawFn, whole: str) -> str:
    at = draw(st.integers(0, len(whole) - 1))
    letter = draw(st.sampled_from("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHJKLMNPQRSTUVWXYZ=\u0131\u017f"))
    return draw(st.sampled_from([whole[:at] + letter + whole[at + 1 :], whole[:at] + letter + whole[at:], whole[:at]]))
