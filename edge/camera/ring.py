"""The camera of a vision process whose pictures a capture process brings: see edge/capture/picture_ring.py."""

import os
import select
import threading
from contextlib import suppress
from typing import Final

import numpy as np

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.capture.picture_ring import PictureRing
from edge.wire import RingAddress
from protocol.units import UnixMs

_LOOK_UP_S: Final = 0.2


class RingCamera(ClosesOnExit):
    """Gives the newest picture of the ring and drops those that nobody had time for.

    It waits as long as it takes: whether the camera still gives pictures is watched from outside.
    """

    def __init__(self, address: RingAddress) -> None:
        """Look into the ring; both descriptors now belong to this object.

        Raises:
            CameraError: the ring is not there.
        """
        try:
            self._ring = PictureRing(address.memory_fd)
        except (OSError, ValueError) as error:
            raise CameraError(f"The pictures of the camera are not there ({error}): restart the agent.") from error
        self._bell_fd = address.bell_fd
        self._memory_fd = address.memory_fd
        self._last = self._first = 0
        self._is_closed = threading.Event()

    @property
    def dropped(self) -> int:
        """How many pictures came and were not looked at."""
        return self._dropped

    _dropped = 0

    def read(self) -> Frame | None:
        """Return the newest picture; see ``Camera.read``. None only after ``close``."""
        while not self._is_closed.is_set():
            newest = self._ring.latest(after=self._last)
            if newest is None:
                self._wait()
                continue
            stamp, pixels = newest
            if self._last:
                self._dropped += stamp.number - self._last - 1
            else:
                self._first = stamp.number
            self._last = stamp.number
            image = np.frombuffer(bytearray(pixels), np.uint8).reshape(stamp.height, stamp.width, 3)
            index = stamp.number - self._first
            return Frame(image, UnixMs(stamp.captured_at_ms), index, stamp.read_at_ns)
        return None

    def close(self) -> None:
        """Stop waiting and let the ring go."""
        if self._is_closed.is_set():
            return
        self._is_closed.set()
        self._ring.close()
        for descriptor in (self._bell_fd, self._memory_fd):
            with suppress(OSError):
                os.close(descriptor)

    def _wait(self) -> None:
        with suppress(OSError, ValueError):  # closed meanwhile
            ready, _, _ = select.select([self._bell_fd], [], [], _LOOK_UP_S)
            if ready:
                os.read(self._bell_fd, 4096)
