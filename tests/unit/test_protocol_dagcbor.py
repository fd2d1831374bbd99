"""DAG-CBOR at its edges: what has no place, and bytes made to cost more than they weigh."""

import pytest

from protocol import dagcbor
from protocol.errors import MalformedError


def _tagged(number: int, content: bytes) -> bytes:
    return (b"\xd8" + number.to_bytes(1) if number < 256 else b"\xd9" + number.to_bytes(2)) + content


@pytest.mark.parametrize("value", [1.5, object(), {1: 2}, {b"k": 2}, {"a": {1, 2}}, 1 << 64, -(1 << 64) - 1, "\ud800"])
def test_a_value_without_a_place_is_refused(value: object) -> None:
    with pytest.raises(MalformedError):
        dagcbor.encode(value)


def test_depth_has_a_limit_on_both_ways() -> None:
    deep: object = 0
    for _ in range(32):
        deep = [deep]
    assert dagcbor.decode(dagcbor.encode(deep)) == deep
    with pytest.raises(MalformedError):
        dagcbor.encode([deep])
    with pytest.raises(MalformedError):
        dagcbor.decode(b"\x81" * 33 + b"\x00")
    with pytest.raises(MalformedError):
        dagcbor.decode(b"\x81" * 100_000 + b"\x00")


@pytest.mark.timeout(5)
def test_few_bytes_cannot_claim_a_billion_members() -> None:
    # Each list holds the one before twice: 2**30 members if shared references were followed.
    lists = [_tagged(28, b"\x81\x00")]
    lists += [_tagged(28, b"\x82" + _tagged(29, bytes([0x18, at])) * 2) for at in range(24, 54)]
    numbered = [_tagged(28, b"\x80") for _ in range(24)]
    bomb = b"\x98" + bytes([len(numbered) + len(lists)]) + b"".join(numbered + lists)
    assert len(bomb) < 500
    with pytest.raises(MalformedError):
        dagcbor.decode(bomb)


@pytest.mark.timeout(5)
def test_one_text_cannot_be_repeated_by_reference() -> None:
    text = b"\x7a" + (1 << 20).to_bytes(4) + b"a" * (1 << 20)
    repeated = _tagged(256, b"\x9a" + (100_001).to_bytes(4) + text + _tagged(25, b"\x00") * 100_000)
    with pytest.raises(MalformedError):
        dagcbor.decode(repeated)


@pytest.mark.parametrize(
    "raw",
    [
        "9bffffffffffffffff",  # lengths that no file has
        "bbffffffffffffffff",
        "5bffffffffffffffff",
        "7bffffffffffffffff",
        "c4821b7fffffffffffffff01",  # decimal and binary fractions of absurd exponents
        "c5821b7fffffffffffffff01",
        "d81e820100",  # one divided by zero
        "d8236428286128",  # a regular expression
        "d81c81d81d00",  # a list that holds itself
        "a1800a",  # a list as a key
        "a1a00a",
        "d901028180",  # a set of lists
        "c11bffffffffffffffff",  # a time after the end of time
        "c1f97e00",
    ],
)
def test_what_a_cbor_library_would_choke_on_is_malformed(raw: str) -> None:
    with pytest.raises(MalformedError):
        dagcbor.decode(bytes.fromhex(raw))


def test_an_enormous_integer_is_malformed() -> None:
    with pytest.raises(MalformedError):
        dagcbor.decode(b"\xc2\x59\x7f\xff" + b"\xff" * 0x7FFF)
    with pytest.raises(MalformedError, match="100001 bits"):
        dagcbor.encode(1 << 100_000)


def test_keys_are_sorted_by_length_then_bytes() -> None:
    assert dagcbor.encode({"bb": 0, "c": 1, "a": 2, "": 3}).hex() == "a46003616102616301626262" + "00"
