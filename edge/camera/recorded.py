"""Recordings: a video file or a folder of pictures, replayed in their own time, as fast as they are read."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import CameraError, Frame
from edge.log import get_logger
from protocol.units import UnixMs

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
_FPS_MAX = 1000.0

log = get_logger()


class VideoFileCamera(ClosesOnExit):
    """Frame k stands for ``started_at_ms + k * 1000 / fps``, floored."""

    def __init__(self, path: Path, *, started_at_ms: UnixMs) -> None:
        """Open the video.

        Raises:
            CameraError: missing, not a video, or without a frame rate.
        """
        if not path.is_file():
            raise CameraError(f"There is no video file {path}: check the path.")
        # One decoding thread: the others would take their time from the model's core.
        self._video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._video.isOpened():
            raise CameraError(f"{path} is not a video that can be decoded: convert it to H.264 in MP4.")
        self.fps = float(self._video.get(cv2.CAP_PROP_FPS))
        if not 0 < self.fps <= _FPS_MAX:
            self._video.release()
            raise CameraError(f"{path} says {self.fps} frames per second: convert it to a constant frame rate.")
        self._frames_promised = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT))
        self._path = path
        self._started_at_ms = started_at_ms
        self._index = 0

    @property
    def duration_ms(self) -> int:
        """How long the recording says it is; 0 where it does not say."""
        return max(0, int(self._frames_promised * 1000 / self.fps))

    def read(self) -> Frame | None:
        """Return the next frame; see ``Camera.read``."""
        is_read, image = self._video.read() if self._video.isOpened() else (False, None)
        if not is_read or image is None:
            self._end()
            return None
        at_ms = UnixMs(self._started_at_ms + int(self._index * 1000 / self.fps))
        frame = Frame(np.asarray(image, dtype=np.uint8), at_ms, self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        """Let the file go."""
        self._video.release()

    def _end(self) -> None:
        if not self._video.isOpened():
            return
        self._video.release()
        if self._index == 0:
            raise CameraError(f"{self._path} holds no readable frame: convert it to H.264 in MP4.")
        if self._index < self._frames_promised:
            log.warning("video_ended_early", frames_read=self._index, frames_promised=self._frames_promised)


class FolderCamera(ClosesOnExit):
    """The pictures of a folder in the order of their names, at a given frame rate."""

    def __init__(self, folder: Path, *, fps: float, started_at_ms: UnixMs) -> None:
        """List the folder; pictures added later are not seen.

        Raises:
            CameraError: not a folder, or no picture in it, or an impossible frame rate.
        """
        if not 0 < fps <= _FPS_MAX:
            raise CameraError(f"{fps} frames per second cannot be: give a number above 0 and up to {_FPS_MAX:.0f}.")
        try:
            names = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        except OSError as error:
            raise CameraError(f"Cannot list the folder {folder}: {error}. Check the path.") from error
        if not names:
            raise CameraError(
                f"No picture in {folder}: it needs files ending in {', '.join(sorted(PICTURE_SUFFIXES))}."
            )
        self._pictures: Iterator[tuple[int, Path]] = enumerate(names)
        self._count = len(names)
        self._fps = fps
        self._started_at_ms = started_at_ms

    @property
    def duration_ms(self) -> int:
        """How long the pictures last at that rate."""
        return int(self._count * 1000 / self._fps)

    def read(self) -> Frame | None:
        """Return the next picture as a frame; see ``Camera.read``."""
        index, path = next(self._pictures, (0, None))
        if path is None:
            return None
        try:
            image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        except cv2.error:  # a header that promises more pixels than the decoder allows
            image = None
        if image is None:
            raise CameraError(f"{path} is not a picture that can be read: remove or replace it.")
        at_ms = UnixMs(self._started_at_ms + int(index * 1000 / self._fps))
        return Frame(np.asarray(image, dtype=np.uint8), at_ms, index)

    def close(self) -> None:
        """Forget the pictures that are left."""
        self._pictures = iter(())
