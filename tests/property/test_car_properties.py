"""CAR files: what was written is read, and a cut or spoilt file yields nothing that is not what it says."""

import io
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.car import CarBlock, car_header, car_section, read_car
from protocol.cid import DAG_CBOR, RAW, Cid
from protocol.errors import MalformedError

blocks = st.lists(st.binary(max_size=200), max_size=8)


def _file(contents: list[bytes]) -> tuple[bytes, list[int]]:
    """A CAR of raw blocks, and every offset at which a section ends, the header's end first."""
    file = car_header(Cid.of(b"root"))
    ends = [len(file)]
    for block in contents:
        file += car_section(Cid.of(block, RAW), block)
        ends.append(len(file))
    return file, ends


class _Trickle(io.RawIOBase):
    """A stream that never hands out more than three bytes at once, as a socket may."""

    def __init__(self, file: bytes) -> None:
        self._rest = io.BytesIO(file)

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(min(size, 3) if size >= 0 else 3)


@given(contents=blocks)
def test_what_was_written_is_read(contents: list[bytes]) -> None:
    file, ends = _file(contents)
    for stream in (io.BytesIO(file), cast("BinaryIO", _Trickle(file))):
        reader = read_car(stream)
        found = list(reader)
        assert reader.root == Cid.of(b"root")
        assert [block.block for block in found] == contents
        assert reader.end_offset == ends[-1] == len(file)
        assert all(file[block.offset : block.offset + block.length] == block.block for block in found)


@given(contents=blocks, draw=st.data())
def test_a_cut_file_yields_its_whole_sections_and_says_where_they_end(
    contents: list[bytes], draw: st.DataObject
) -> None:
    file, ends = _file(contents)
    cut = draw.draw(st.integers(0, len(file)))
    if cut < ends[0]:
        with pytest.raises(MalformedError):
            read_car(io.BytesIO(file[:cut]))
        return
    reader = read_car(io.BytesIO(file[:cut]))
    found, is_whole = _read_on(reader.__iter__())
    assert is_whole == (cut in ends)
    assert reader.end_offset == max(end for end in ends if end <= cut)
    assert [block.block for block in found] == contents[: ends.index(reader.end_offset)]


@given(contents=blocks, draw=st.data())
def test_a_spoilt_file_never_yields_a_block_that_is_not_its_cid(contents: list[bytes], draw: st.DataObject) -> None:
    file, _ = _file(contents)
    at = draw.draw(st.integers(0, len(file) - 1))
    spoilt = file[:at] + bytes([file[at] ^ draw.draw(st.integers(1, 255))]) + file[at + 1 :]
    try:
        reader = read_car(io.BytesIO(spoilt))
    except MalformedError:
        return
    found, is_whole = _read_on(reader.__iter__())
    assert all(block.cid.matches(block.block) for block in found)
    rewritten = car_header(reader.root) + b"".join(car_section(block.cid, block.block) for block in found)
    assert rewritten == spoilt[: reader.end_offset]
    assert is_whole == (reader.end_offset == len(spoilt))


@given(raw=st.binary(max_size=120), is_headed=st.booleans())
def test_arbitrary_bytes_are_refused_as_malformed(raw: bytes, is_headed: bool) -> None:  # noqa: FBT001
    file = car_header(Cid.of(b"", DAG_CBOR)) + raw if is_headed else raw
    try:
        reader = read_car(io.BytesIO(file))
        list(reader)
    except MalformedError:
        return
    assert is_headed
    assert reader.end_offset == len(file)


def _read_on(sections: Iterator[CarBlock]) -> tuple[list[CarBlock], bool]:
    found: list[CarBlock] = []
    try:
        for block in sections:
            found.append(block)  # noqa: PERF402  what was read before the error counts
    except MalformedError:
        return found, False
    return found, True
