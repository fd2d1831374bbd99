"""A few pictures in memory that two processes share: the capture process writes, the vision process reads.

Whoever supervises them makes the ring and keeps it, so either may be killed at any moment and started again. The
first page tells what lies where; three slots follow, in turn. A slot's number is zero while it is written, and its
picture counts only if the number is the same before and after it was copied (a sequence lock), so a picture torn by
a kill or overtaken by the writer is never seen. One byte in a pipe (the *bell*) wakes the reader. No numpy here: the
process that watches the ring has none.
"""

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from edge.wire import RingAddress

SLOTS: Final = 3
_PAGE: Final = 4096
_HEAD: Final = struct.Struct("<QQ")  # bytes of a slot, number of the latest picture
_SLOT: Final = struct.Struct("<QQQII")  # number (0: being written), captured_at_ms, read_at_ns, width, height
_PICTURE_MAX_BYTES: Final = 4096 * 3072 * 3  # twelve megapixels of three bytes


@dataclass(frozen=True, slots=True)
class Stamp:
    """What stands beside a picture."""

    number: int  # counts pictures from 1
    captured_at_ms: int
    read_at_ns: int  # CLOCK_MONOTONIC
    width: int
    height: int

    @property
    def picture_bytes(self) -> int:
        """Its size: three bytes a pixel."""
        return self.width * self.height * 3


class PictureRing:
    """The shared memory, seen by one process."""

    def __init__(self, memory_fd: int) -> None:
        """Look into the memory ``memory_fd``; the descriptor stays the caller's."""
        self._memory_fd = memory_fd
        self._map = mmap.mmap(memory_fd, os.fstat(memory_fd).st_size)

    @property
    def pictures(self) -> int:
        """How many pictures have been written since the ring was made: a writer that hangs adds none."""
        return int(_HEAD.unpack_from(self._map)[1])

    def write(self, picture: memoryview, *, captured_at_ms: int, read_at_ns: int, size_px: tuple[int, int]) -> None:
        """Put ``picture`` (its pixels in rows, three bytes each) into the next slot.

        Raises:
            ValueError: larger than any picture may be, or of another size than its pixels.
        """
        view = picture.cast("B")
        width, height = size_px
        if len(view) != width * height * 3 or not 0 < len(view) <= _PICTURE_MAX_BYTES:
            raise ValueError(f"a picture of {width}x{height} and {len(view)} bytes cannot be kept")
        slot_bytes, latest = _HEAD.unpack_from(self._map)
        if len(view) > slot_bytes:
            slot_bytes = self._grown(len(view))
        number = latest + 1
        at = _slot_at(number, slot_bytes)
        _SLOT.pack_into(self._map, at, 0, 0, 0, 0, 0)
        self._map[at + _SLOT.size : at + _SLOT.size + len(view)] = view
        _SLOT.pack_into(self._map, at, number, captured_at_ms, read_at_ns, width, height)
        _HEAD.pack_into(self._map, 0, slot_bytes, number)

    def latest(self, *, after: int, into: memoryview | None = None) -> tuple[Stamp, bytes | memoryview] | None:
        """Return the newest picture with a number above ``after`` and its bytes; None if there is none that is whole.

        Args:
            after: the number of the one seen last.
            into: where to copy it if it fits exactly; a new ``bytes`` otherwise.
        """
        slot_bytes, number = _HEAD.unpack_from(self._map)
        if number <= after or not slot_bytes:
            return None
        if len(self._map) < _PAGE + SLOTS * (slot_bytes + _SLOT.size):
            self._look_again()  # the writer has made room for larger ones
        at = _slot_at(number, slot_bytes)
        stamp = Stamp(*_SLOT.unpack_from(self._map, at))
        if stamp.number != number or not 0 < stamp.picture_bytes <= slot_bytes:
            return None
        begin = at + _SLOT.size
        pixels: bytes | memoryview
        if into is not None and len(into) == stamp.picture_bytes:
            into[:] = memoryview(self._map)[begin : begin + stamp.picture_bytes]
            pixels = into
        else:
            pixels = self._map[begin : begin + stamp.picture_bytes]
        is_whole = _SLOT.unpack_from(self._map, at)[0] == number
        return (stamp, pixels) if is_whole else None

    def close(self) -> None:
        """Let the memory go."""
        with suppress(BufferError):  # a view that somebody still holds keeps it until they let go
            self._map.close()

    def _grown(self, picture_bytes: int) -> int:
        """Make room for larger pictures and return a slot's size; a reader sees the new size or nothing whole."""
        slot_bytes = -(-picture_bytes // _PAGE) * _PAGE
        _, latest = _HEAD.unpack_from(self._map)
        os.ftruncate(self._memory_fd, _PAGE + SLOTS * (slot_bytes + _SLOT.size))
        self._look_again()
        for slot in range(SLOTS):  # what lay at other places before means nothing now
            _SLOT.pack_into(self._map, _slot_at(slot, slot_bytes), 0, 0, 0, 0, 0)
        _HEAD.pack_into(self._map, 0, slot_bytes, latest)
        return slot_bytes

    def _look_again(self) -> None:
        self.close()
        self._map = mmap.mmap(self._memory_fd, os.fstat(self._memory_fd).st_size)


def _slot_at(number: int, slot_bytes: int) -> int:
    return _PAGE + number % SLOTS * (slot_bytes + _SLOT.size)


class RingHolder:
    """The ring and its bell as the supervising process holds them."""

    def __init__(self) -> None:
        """Make an empty ring.

        Raises:
            OSError: no memory or no descriptors left.
        """
        self.memory_fd = os.memfd_create("cairn-pictures", os.MFD_CLOEXEC)
        os.ftruncate(self.memory_fd, _PAGE)
        self.bell_fd, self.ringing_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._ring = PictureRing(self.memory_fd)
        self._pictures = 0
        self._is_closed = False

    @property
    def pictures(self) -> int:
        """How many pictures have been written."""
        if not self._is_closed:
            self._pictures = self._ring.pictures
        return self._pictures

    @property
    def address(self) -> RingAddress:
        """Where the reader finds it, once it has inherited `reader_descriptors`."""
        return RingAddress(self.memory_fd, self.bell_fd)

    @property
    def reader_descriptors(self) -> tuple[int, int]:
        """What the vision process inherits."""
        return self.memory_fd, self.bell_fd

    @property
    def writer_descriptors(self) -> tuple[int, int]:
        """What the capture process inherits."""
        return self.memory_fd, self.ringing_fd

    def close(self) -> None:
        """Let it go; the processes that inherited it keep theirs. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            self._ring.close()
            for descriptor in (self.memory_fd, self.bell_fd, self.ringing_fd):
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
