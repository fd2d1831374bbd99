"""A vision process with a scripted camera and detector: `program(...)` names it, the agent starts it like any other."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.clock import clock_ms
from edge.detector.detection import Detection
from edge.glance import VisionProgram
from edge.sight.vision import serve
from protocol.classes import CAR, PERSON
from protocol.units import Ppm, UnixMs
from tests.conftest import ROOT

FRAME_MS = 100
DIGEST = b"\x4d" * 32
_IN_SIGHT = ((PERSON, (10, 10, 20, 40)), (CAR, (40, 10, 70, 30)))


def program(  # a test says what it needs, and no more
    people: int,
    *,
    dies_with: str | None = None,
    kills_itself_at: int | None = None,
    hangs_at: int | None = None,
    stops_the_agent_at: int | None = None,
    frame_s: float = 0.0,
    scratch: Path | None = None,
) -> VisionProgram:
    """A process before which ``people`` come by.

    Args:
        people: how many; the video ends after the last.
        dies_with: the sentence of the camera error at the end.
        kills_itself_at: the frame at which the process is gone, the first time.
        hangs_at: the frame at which it hangs, the first time.
        stops_the_agent_at: the frame at which the keeper gets SIGTERM, the first time.
        frame_s: how long a frame takes.
        scratch: where it remembers whether it has died already, and at which frame it was.
    """
    told = {
        "people": people,
        "dies_with": dies_with,
        "kills_itself_at": kills_itself_at,
        "hangs_at": hangs_at,
        "stops_the_agent_at": stops_the_agent_at,
        "frame_s": frame_s,
        "scratch": None if scratch is None else str(scratch),
    }
    return VisionProgram(
        module="tests.support.scripted_vision",
        arguments=(json.dumps(told),),
        read=(str(ROOT / "tests"),),
        write=() if scratch is None else (str(scratch),),
        brings_camera=True,
        environment={"PYTHONPATH": str(ROOT)},
    )


class PassersBy(ClosesOnExit):
    """Someone is in sight for a second, then nobody for four, and so on; time is the video's own."""

    def __init__(self, told: dict[str, object]) -> None:
        self._frames = int(str(told["people"])) * 50
        self._told = told
        scratch = told["scratch"]
        self._memory = None if scratch is None else Path(str(scratch)) / "frame"
        self._is_second_life = self._memory is not None and self._memory.exists()
        self._index, self._started_at_ms = 0, clock_ms() - self._frames * FRAME_MS
        if self._memory is not None and self._is_second_life:
            self._index, self._started_at_ms = json.loads(self._memory.read_text())
        self._is_closed = False

    def read(self) -> Frame | None:
        if self._is_closed:
            return None
        if self._index == self._frames:
            if self._told["dies_with"] is not None:
                raise CameraError(str(self._told["dies_with"]))
            return None
        self._play_tricks()
        time.sleep(float(str(self._told["frame_s"])))
        image = np.zeros((60, 80, 3), np.uint8)
        if self._index % 50 < 10:
            for _, (left, top, right, bottom) in _IN_SIGHT:
                image[top:bottom, left:right] = 255
        frame = Frame(image, UnixMs(self._started_at_ms + self._index * FRAME_MS), self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        if self._told["stops_the_agent_at"] is not None and self._memory is not None and not self._is_closed:
            self._remember(self._memory)
        self._is_closed = True

    def _play_tricks(self) -> None:
        if self._is_second_life or self._memory is None:
            return
        if self._index == self._told["stops_the_agent_at"]:
            os.kill(os.getppid(), signal.SIGTERM)
        if self._told["kills_itself_at"] is not None and self._index + 1 == self._told["kills_itself_at"]:
            time.sleep(1.2)  # the keeper hears once a second which tracks are open
        if self._index == self._told["kills_itself_at"]:
            self._remember(self._memory)
            os._exit(9)
        if self._index == self._told["hangs_at"]:
            self._remember(self._memory)
            time.sleep(600)

    def _remember(self, memory: Path) -> None:
        memory.write_text(json.dumps([self._index, self._started_at_ms]))


class SeesWhoIsThere:
    """Finds one person and one car where `PassersBy` draws them."""

    model_digest = DIGEST
    provider = "CPUExecutionProvider"

    def detect(self, frame_bgr: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        return tuple(
            Detection(class_id, Ppm(900_000), box) for class_id, box in _IN_SIGHT if frame_bgr[box[1], box[0], 0]
        )


def main() -> int:
    """Run as the vision process of a test."""
    told = json.loads(sys.argv[1])
    return serve(open_source=lambda _begin: PassersBy(told), open_detector=lambda _begin: SeesWhoIsThere())


if __name__ == "__main__":
    sys.exit(main())
