"""Reading ahead: the next frames are decoded in a thread while the model works on this one.

Decoding and inference both release the interpreter lock, so the two overlap on two cores.
"""

import queue
import threading

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import Camera, CameraError, Frame

_LOOK_UP_S = 0.1  # how often a waiting thread looks whether it should stop
_JOIN_S = 10.0


class PrefetchedCamera(ClosesOnExit):
    """Any camera, read at most ``depth`` frames ahead. No frame is dropped, and the order stays."""

    def __init__(self, camera: Camera, *, depth: int = 2) -> None:
        """Start reading ahead; ``camera`` now belongs to this object."""
        self._camera = camera
        self._ahead: queue.Queue[Frame | CameraError | None] = queue.Queue(maxsize=max(1, depth))
        self._stop = threading.Event()
        self._has_ended = False
        self._reader = threading.Thread(target=self._read_ahead, name="camera-prefetch", daemon=True)
        self._reader.start()

    def read(self) -> Frame | None:
        """Return the next frame; see ``Camera.read``."""
        while not self._has_ended and not self._stop.is_set():
            try:
                answer = self._ahead.get(timeout=_LOOK_UP_S)
            except queue.Empty:
                if not self._reader.is_alive() and self._ahead.empty():
                    raise CameraError("The thread that reads the camera has died: see the log, start again.") from None
                continue
            if isinstance(answer, Frame):
                return answer
            self._has_ended = True
            if isinstance(answer, CameraError):
                raise answer
        return None

    def close(self) -> None:
        """Stop the thread, then let the source go."""
        self._stop.set()
        self._reader.join(_JOIN_S)
        self._camera.close()

    def _read_ahead(self) -> None:
        while not self._stop.is_set():
            answer: Frame | CameraError | None
            try:
                answer = self._camera.read()
            except CameraError as error:
                answer = error
            self._put(answer)
            if not isinstance(answer, Frame):
                return

    def _put(self, answer: Frame | CameraError | None) -> None:
        while not self._stop.is_set():
            try:
                self._ahead.put(answer, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return
