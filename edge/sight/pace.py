"""What not to look at at all: frames beyond an upper rate, and a picture that is stuck."""

import numpy as np
import numpy.typing as npt

from edge.camera.frame import BgrPicture

_EVERY_PX = 16  # compare every sixteenth pixel each way: some microseconds, and a sensor has noise everywhere
_LIVELY_PICTURES = 3  # so many pictures in a row must have changed before one that does not is stuck
_STUCK_MAX_MS = 5_000  # a picture that stays for longer is looked at: perhaps this camera is so quiet


class RateLimit:
    """Lets at most so many frames a second through, evenly, by the frames' own time."""

    def __init__(self, max_fps: float | None) -> None:
        """Limit to ``max_fps`` (above 0); not at all where None."""
        self._interval_ms = 0.0
        self._due_ms = 0.0
        self.set(max_fps)

    def set(self, max_fps: float | None) -> None:
        """Limit to another rate from now on; may be called from another thread."""
        if max_fps is not None and max_fps <= 0:
            raise ValueError(f"{max_fps=} must be above 0")
        self._interval_ms = 0.0 if max_fps is None else 1000 / max_fps

    def lets_through(self, at_ms: int) -> bool:
        """Say whether the frame at ``at_ms`` comes through."""
        interval_ms = self._interval_ms
        if at_ms < self._due_ms - interval_ms:  # the clock has stepped back
            self._due_ms = at_ms
        if at_ms < self._due_ms:
            return False
        # Due times keep their rhythm, so that 7 of 10 frames a second come through and not every other one.
        self._due_ms = max(self._due_ms + interval_ms, float(at_ms))
        return True


class StuckPicture:
    """Notices a camera that gives one and the same picture again although its pictures used to change."""

    def __init__(self) -> None:
        """Begin with no picture."""
        self._last: npt.NDArray[np.uint8] | None = None
        self._changes = 0  # in a row
        self._stuck_since_ms: int | None = None

    def is_stuck(self, picture: BgrPicture, at_ms: int) -> bool:
        """Take in a picture; say whether it is one that has been looked at already."""
        sample = picture[::_EVERY_PX, ::_EVERY_PX].copy()
        is_same = self._last is not None and np.array_equal(sample, self._last)
        self._last = sample
        if not is_same:
            self._changes += 1
            self._stuck_since_ms = None
            return False
        if self._changes >= _LIVELY_PICTURES:
            self._stuck_since_ms = at_ms
        self._changes = 0
        return self._stuck_since_ms is not None and 0 <= at_ms - self._stuck_since_ms <= _STUCK_MAX_MS
