"""Pictures that two processes share: whole or not at all, newest first, whoever dies."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.camera.ring import RingCamera
from edge.capture.picture_ring import PictureRing, RingHolder
from edge.wire import RingAddress


@pytest.fixture
def holder() -> Iterator[RingHolder]:
    with RingHolder() as made:
        yield made


def picture(number: int, width: int = 8, height: int = 4) -> memoryview:
    return np.full((height, width, 3), number % 256, np.uint8).data.cast("B")


def put(ring: PictureRing, number: int, width: int = 8, height: int = 4) -> None:
    ring.write(
        picture(number, width, height), captured_at_ms=1_000 + number, read_at_ns=number, size_px=(width, height)
    )


def test_nothing_is_there_at_first(holder: RingHolder) -> None:
    assert PictureRing(holder.memory_fd).latest(after=0) is None
    assert holder.pictures == 0


def test_the_newest_picture_is_read_once(holder: RingHolder) -> None:
    writer, reader = PictureRing(holder.memory_fd), PictureRing(holder.memory_fd)
    for number in range(1, 6):
        put(writer, number)
    newest = reader.latest(after=0)
    assert newest is not None
    stamp, pixels = newest
    assert (stamp.number, stamp.captured_at_ms, stamp.read_at_ns, stamp.width, stamp.height) == (5, 1_005, 5, 8, 4)
    assert bytes(pixels) == bytes(picture(5))
    assert reader.latest(after=5) is None
    assert holder.pictures == 5


def test_a_larger_picture_makes_room_and_a_reader_that_was_there_sees_it(holder: RingHolder) -> None:
    writer, reader = PictureRing(holder.memory_fd), PictureRing(holder.memory_fd)
    put(writer, 1)
    assert reader.latest(after=0) is not None
    put(writer, 2, width=640, height=360)
    newest = reader.latest(after=1)
    assert newest is not None
    assert newest[0].picture_bytes == len(newest[1]) == 640 * 360 * 3
    put(writer, 3)
    smaller = reader.latest(after=2)
    assert smaller is not None
    assert bytes(smaller[1]) == bytes(picture(3))


def test_a_picture_whose_writer_died_in_the_middle_is_not_seen_and_the_next_writer_goes_on(holder: RingHolder) -> None:
    writer, reader = PictureRing(holder.memory_fd), PictureRing(holder.memory_fd)
    put(writer, 1)
    # What a kill after the slot was marked and before the pixels were there leaves behind:
    number, slot_bytes = 2, 4096
    os.pwrite(holder.memory_fd, bytes(8), 4096 + number % 3 * (slot_bytes + 32))
    seen = reader.latest(after=0)
    assert seen is not None
    assert seen[0].number == 1
    again = PictureRing(holder.memory_fd)
    put(again, 2)
    newest = reader.latest(after=1)
    assert newest is not None
    assert bytes(newest[1]) == bytes(picture(2))


@pytest.mark.parametrize("size_px", [(8, 5), (0, 0), (7, 4)])
def test_a_picture_of_another_size_than_its_pixels_is_refused(holder: RingHolder, size_px: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be kept"):
        PictureRing(holder.memory_fd).write(picture(1), captured_at_ms=0, read_at_ns=0, size_px=size_px)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40), st.booleans()), max_size=30),
)
def test_what_is_read_is_always_one_of_the_pictures_written_whole(steps: list[tuple[int, int, bool]]) -> None:
    with RingHolder() as holder:
        writer, reader = PictureRing(holder.memory_fd), PictureRing(holder.memory_fd)
        seen = 0
        for number, (width, height, is_read) in enumerate(steps, start=1):
            put(writer, number, width, height)
            if is_read:
                newest = reader.latest(after=seen)
                assert newest is not None
                seen = newest[0].number
                assert seen == number
                assert bytes(newest[1]) == bytes(picture(number, width, height))


def test_the_camera_gives_the_newest_picture_counts_what_it_left_out_and_wakes_up_to_close(holder: RingHolder) -> None:
    memory_fd, bell_fd = (os.dup(each) for each in holder.reader_descriptors)
    camera, writer = RingCamera(RingAddress(memory_fd, bell_fd)), PictureRing(holder.memory_fd)
    put(writer, 1)
    first = camera.read()
    for number in (2, 3, 4):
        put(writer, number)
    second = camera.read()
    assert first is not None
    assert second is not None
    assert [(each.index, each.captured_at_ms, each.read_at_ns) for each in (first, second)] == [
        (0, 1_001, 1),
        (3, 1_004, 4),
    ]
    assert second.image_bgr.shape == (4, 8, 3)
    assert int(second.image_bgr[0, 0, 0]) == 4
    assert camera.dropped == 2
    camera.close()
    camera.close()
    assert camera.read() is None
