"""A camera that looks at the made-up world: the same seam as a webcam, frames drawn when they are due."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from edge.camera.frame import Frame
from firmware_sim.scenes import Scene
from firmware_sim.world import World
from protocol.units import UnixMs


class SimulatedCamera:
    """Frames of one vantage at a steady rate, live: `read` waits until the next frame is due.

    A reader that is too slow finds frames dropped, as with a real camera, and their indices missing.
    """

    def __init__(
        self,
        world: World,
        camera_index: int,
        *,
        frames_per_s: int,
        now_ms: Callable[[], UnixMs],
        ends_at_ms: UnixMs | None = None,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        """Look at ``world`` from its camera ``camera_index`` until ``ends_at_ms`` (for ever where not given)."""
        self._scene = Scene(world, camera_index)
        self._interval_ms = 1000 // frames_per_s
        self._started_at_ms = now_ms()
        self._now_ms = now_ms
        self._ends_at_ms = ends_at_ms
        self._sleep_s = sleep_s
        self._next_index = 0
        self._is_closed = False

    def read(self) -> Frame | None:
        """Return the frame that is due next; None once the world ends or the camera is closed."""
        if self._is_closed:
            return None
        elapsed_ms = self._now_ms() - self._started_at_ms
        index = max(self._next_index, elapsed_ms // self._interval_ms)
        due_ms = UnixMs(self._started_at_ms + index * self._interval_ms)
        if self._ends_at_ms is not None and due_ms >= self._ends_at_ms:
            return None
        wait_ms = due_ms - self._now_ms()
        if wait_ms > 0:
            self._sleep_s(wait_ms / 1000)
        self._next_index = index + 1
        return Frame(self._scene.frame_bgr(due_ms), due_ms, index)

    def close(self) -> None:
        """Stop giving frames."""
        self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
