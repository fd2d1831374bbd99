"""A vision process with the model of the settings, before a camera that shows that model its own picture."""

import sys
import time

import cv2
import numpy as np

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import Frame
from edge.clock import clock_ms
from edge.glance import VisionProgram
from edge.sight.vision import serve_own_camera
from protocol.units import UnixMs
from tests.conftest import ROOT
from tests.support.model_story import PICTURE

_FRAME_MS = 100
_FRAME_S = 0.01  # its time runs faster than ours


def program() -> VisionProgram:
    """Somebody is in sight for a second, then nobody for four, for ever."""
    return VisionProgram(
        module="tests.support.pictured_vision",
        read=(str(ROOT / "tests"), str(ROOT / "firmware_sim")),
        brings_camera=True,
        environment={"PYTHONPATH": str(ROOT)},
    )


class Blinking(ClosesOnExit):
    """Shows the picture in ten frames of fifty."""

    def __init__(self) -> None:
        picture = cv2.imread(str(PICTURE), cv2.IMREAD_COLOR)
        self._picture = np.asarray(picture, np.uint8)
        self._index = 0
        self._started_at_ms = clock_ms() - 3_600_000
        self._is_closed = False

    def read(self) -> Frame | None:
        if self._is_closed:
            return None
        time.sleep(_FRAME_S)
        image = self._picture.copy() if self._index % 50 < 10 else np.full_like(self._picture, 114)
        frame = Frame(image, UnixMs(self._started_at_ms + self._index * _FRAME_MS), self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        self._is_closed = True


def main() -> int:
    """Run as the vision process of a test."""
    return serve_own_camera(Blinking)


if __name__ == "__main__":
    sys.exit(main())
