"""What the processes of one agent tell each other: JSON lines over pipes, decoded strictly, bounded.

Orders go down a child's stdin, news come up its stdout. A child that loses its stdin ends. What a child tells of the
world is already what may leave the device (protocol.observation): no boxes, no paths, no pictures.
"""

import os
from collections.abc import Iterator
from typing import Final

import msgspec

from edge.sight.looking import VisionSettings
from protocol.observation import Crossing, Stay, Track

LINE_MAX_BYTES: Final = 1 << 20
_CHUNK_BYTES: Final = 1 << 16


class RingAddress(msgspec.Struct, frozen=True):
    """Where pictures of a capture process are: see edge/camera/ring.py."""

    memory_fd: int
    bell_fd: int  # the reading end of a pipe; one byte a picture


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The first line a vision process reads: everything it needs to know. There is no key in it."""

    settings: VisionSettings
    directory: str
    ring: RingAddress | None = None  # None: the camera is a recording, or the child brings its own
    resume: bytes | None = None  # the tracks of the vision process before
    ids_after: int = 0  # the greatest track id that was told of in this boot
    max_fps: float | None = None


class Pace(msgspec.Struct, frozen=True, tag="pace"):
    """Look at most so often; None: as often as frames come."""

    max_fps: float | None


class Picture(msgspec.Struct, frozen=True, tag="picture"):
    """Write one blurred picture of what the camera sees now to ``path``."""

    path: str


class Halt(msgspec.Struct, frozen=True, tag="halt"):
    """End, and hand over the tracks that are open."""


Order = Begin | Pace | Picture | Halt


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded and has passed its self-test."""

    model: str
    model_digest: bytes
    provider: str  # the execution provider that ran the warm-up
    skipped: tuple[tuple[str, str], ...] = ()  # providers that did not work here, and why
    confined: tuple[str, ...] = ()  # what the kernel enforces on the process: files, network


class VisionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Counters of one vision process."""

    frames: int = 0
    inferred: int = 0  # frames that the model looked at
    skipped: int = 0  # frames that came and were not needed or not managed
    detections: int = 0
    inference_p50_us: int = 0
    inference_p95_us: int = 0
    clock_steps: int = 0
    pictures: int = 0  # blurred ones written on the owner's request
    rss_kib: int = 0
    peak_rss_kib: int = 0


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    """What the tracks that ended, crossed a line or left a zone amount to, with the tracks that are still open."""

    observations: tuple[Track | Crossing | Stay, ...]
    read_at_ns: int  # CLOCK_MONOTONIC when the frame that brought them was read
    state: bytes = b""


class Pulse(msgspec.Struct, frozen=True, tag="pulse"):
    """Every second: the process is alive."""

    figures: VisionFigures
    working_ms: int  # for how long one frame has been under work; 0 while it waits for one
    state: bytes = b""


class Over(msgspec.Struct, frozen=True, tag="over"):
    """The source has ended, or the process was told to halt: nothing more will come."""

    figures: VisionFigures
    state: bytes = b""  # of the tracks that are open, where it was told to halt


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """It cannot go on; the sentence is for the owner."""

    sentence: str
    is_final: bool  # starting again would not help
    is_model: bool = False  # the model is to blame, not the camera


VisionNews = Ready | Seen | Pulse | Over | Failed


class LineReader:
    """Lines out of a pipe that never blocks. Bounded: a child that sends no line end in a mebibyte is broken."""

    def __init__(self, descriptor: int) -> None:
        """Read from ``descriptor``, which becomes non-blocking."""
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._rest = b""
        self.is_closed = False

    def lines(self) -> Iterator[bytes]:
        """Yield the whole lines that have come.

        Raises:
            ValueError: a line is too long.
        """
        while not self.is_closed:
            try:
                chunk = os.read(self._descriptor, _CHUNK_BYTES)
            except BlockingIOError:
                return
            if not chunk:
                self.is_closed = True
                return
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from whole
            if len(self._rest) > LINE_MAX_BYTES:
                raise ValueError(f"a line of more than {LINE_MAX_BYTES} bytes")


def line_of(message: msgspec.Struct) -> bytes:
    """Return ``message`` as one line."""
    return msgspec.json.encode(message) + b"\n"
