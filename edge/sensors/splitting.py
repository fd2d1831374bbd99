"""Lines and frames out of a stream of bytes that may begin anywhere, break anywhere and be anything."""

from collections.abc import Callable


class LineSplitter:
    """Whole lines; a line that is too long is dropped up to its end, so memory is bounded."""

    def __init__(self, *, max_bytes: int) -> None:
        """Begin with nothing; ``max_bytes``: the longest line that is one, its end not counted."""
        self._max_bytes = max_bytes
        self._half = bytearray()
        self._is_dropping = False
        self.dropped_bytes = 0

    @property
    def has_half(self) -> bool:
        """Whether a line has begun."""
        return bool(self._half)

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that ``chunk`` completes, without their ends."""
        lines = []
        for piece in chunk.splitlines(keepends=True):
            is_end = piece.endswith((b"\n", b"\r"))
            text = piece.rstrip(b"\r\n")
            if self._is_dropping or len(self._half) + len(text) > self._max_bytes:
                self.dropped_bytes += len(self._half) + len(text)
                self._half.clear()
                self._is_dropping = not is_end
                continue
            self._half += text
            if is_end and self._half:
                lines.append(bytes(self._half))
                self._half.clear()
        return lines

    def forget(self) -> None:
        """Drop the half line and the count; what comes next may be the rest of one, and looks like it."""
        self._half.clear()
        self.dropped_bytes = 0


class FrameSplitter:
    """Frames that begin with a known header, have a length of their own and a checksum.

    After a frame that is wrong the search goes on one byte further: a header within it may be the true one.
    """

    def __init__(
        self,
        *,
        header: bytes,
        length_of: Callable[[bytes], int | None],
        is_whole: Callable[[bytes], bool],
        longest_bytes: int,
    ) -> None:
        """Prepare to look for frames.

        Args:
            header: how each begins.
            length_of: a frame's length, from its beginning; 0: more bytes are needed to know; None: it is none.
            is_whole: whether checksum and end are right.
            longest_bytes: no frame is longer.
        """
        self._header = header
        self._length_of = length_of
        self._is_whole = is_whole
        self._longest_bytes = longest_bytes
        self._held = bytearray()
        self.refused_frames = 0
        self.skipped_bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the frames that ``chunk`` completes."""
        self._held += chunk
        frames: list[bytes] = []
        while (start := self._held.find(self._header)) >= 0:
            self._skip(start)
            length = self._length_of(bytes(self._held[: self._longest_bytes]))
            if length == 0 or (length is not None and length > len(self._held)):
                return frames
            frame = bytes(self._held[: length or 0])
            if length is not None and self._is_whole(frame):
                frames.append(frame)
                del self._held[:length]
            else:
                self.refused_frames += 1
                self._skip(1)
        # The last bytes may be the beginning of a header.
        self._skip(max(0, len(self._held) - len(self._header) + 1))
        return frames

    def forget(self) -> None:
        """Drop what is half heard, and the counts."""
        self._held.clear()
        self.refused_frames = self.skipped_bytes = 0

    def _skip(self, count: int) -> None:
        self.skipped_bytes += count
        del self._held[:count]
