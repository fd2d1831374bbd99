"""CAR files at their edges: limits, streams that lie, and where to cut."""

import io

import pytest

from protocol.car import car_header, car_section, read_car
from protocol.cid import RAW, Cid
from protocol.errors import MalformedError
from protocol.varint import encode_varint

BLOCK = b"a stone"
CID = Cid.of(BLOCK, RAW)
HEADER = car_header(CID)
SECTION = car_section(CID, BLOCK)


def test_a_block_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    file = HEADER + SECTION
    assert [block.block for block in read_car(io.BytesIO(file), max_block_bytes=len(BLOCK))] == [BLOCK]
    with pytest.raises(MalformedError, match="6 are allowed"):
        list(read_car(io.BytesIO(file), max_block_bytes=len(BLOCK) - 1))


def test_an_announced_length_is_refused_before_anything_is_read() -> None:
    class Counting(io.BytesIO):
        largest_read = 0

        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            self.largest_read = max(self.largest_read, size)
            return super().read(size)

    stream = Counting(HEADER + encode_varint(1 << 40) + SECTION)
    with pytest.raises(MalformedError, match="1099511627776 bytes announced"):
        list(read_car(stream))
    assert stream.largest_read < 100


def test_after_a_cut_tail_the_file_can_be_continued_where_the_reader_says() -> None:
    file = HEADER + SECTION + SECTION[:-3]
    reader = read_car(io.BytesIO(file))
    with pytest.raises(MalformedError, match="cut off 3 bytes"):
        list(reader)
    mended = file[: reader.end_offset] + SECTION
    assert [block.block for block in read_car(io.BytesIO(mended))] == [BLOCK, BLOCK]


def test_offsets_count_from_where_the_car_begins() -> None:
    stream = io.BytesIO(b"before" + HEADER + SECTION)
    stream.seek(len(b"before"))
    (block,) = read_car(stream)
    assert (block.offset, block.length) == (len(HEADER) + len(SECTION) - len(BLOCK), len(BLOCK))


def test_a_wrong_block_is_named_with_its_place() -> None:
    with pytest.raises(MalformedError, match=f"byte {len(HEADER) + 37} is not {CID}"):
        list(read_car(io.BytesIO(HEADER + car_section(CID, b"another"))))


@pytest.mark.parametrize("version", [b"\x02", b"\x00", b"\xf5", b"\x20"])
def test_a_header_of_another_version_is_refused(version: bytes) -> None:
    with pytest.raises(MalformedError):
        read_car(io.BytesIO(HEADER[:-1] + version))


def test_an_endless_number_is_refused_after_nine_bytes() -> None:
    stream = io.BytesIO(b"\xff" * 1_000)
    with pytest.raises(MalformedError, match="longer than nine bytes"):
        read_car(stream)
    assert stream.tell() == 9
