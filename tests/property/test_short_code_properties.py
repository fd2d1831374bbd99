"""A device's short code: any one wrong character and any two exchanged ones are noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.adoption import parse_short_code, short_code
from protocol.errors import MalformedError
from protocol.identity import PublicKey

LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PLACES = st.integers(0, 8)
KEYS = st.binary(min_size=32, max_size=32).map(PublicKey.of_raw)


@given(key=KEYS)
def test_a_code_reads_back_however_it_is_said(key: PublicKey) -> None:
    code = short_code(key)
    assert parse_short_code(code) == code
    said = code.lower().replace("0", "o").replace("1", "l").replace("-", " ")
    assert parse_short_code(said) == parse_short_code(said.replace("l", "i").replace(" ", "")) == code


@given(key=KEYS, place=PLACES, letter=st.sampled_from(LETTERS))
def test_one_wrong_character_is_noticed(key: PublicKey, place: int, letter: str) -> None:
    letters = list(short_code(key).replace("-", ""))
    is_same = letters[place] == letter
    letters[place] = letter
    assert is_same or _is_refused("".join(letters))


@given(key=KEYS, first=PLACES, second=PLACES)
def test_two_exchanged_characters_are_noticed(key: PublicKey, first: int, second: int) -> None:
    letters = list(short_code(key).replace("-", ""))
    is_same = letters[first] == letters[second]
    letters[first], letters[second] = letters[second], letters[first]
    assert is_same or _is_refused("".join(letters))


def test_every_adjacent_exchange_of_one_code_is_noticed() -> None:
    letters = short_code(PublicKey.of_raw(bytes(32))).replace("-", "")
    for place in range(8):
        swapped = letters[:place] + letters[place + 1] + letters[place] + letters[place + 2 :]
        assert swapped == letters or _is_refused(swapped)


def _is_refused(text: str) -> bool:
    try:
        parse_short_code(text)
    except MalformedError:
        return True
    return False


@pytest.mark.parametrize("text", ["", "7KQ", "U" * 9, "0" * 10, "7KQ-2M9-XW\u0664", "*" * 9])
def test_what_is_no_code_is_refused(text: str) -> None:
    assert _is_refused(text)
