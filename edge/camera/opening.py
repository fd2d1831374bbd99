"""One word says which camera: ``webcam:0``, ``/dev/video0``, ``rtsp://...``, ``http://...``, a video file, a folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from edge.camera.frame import BgrPicture, Camera, CameraError
from edge.camera.live import LiveCamera, LiveSettings, PictureSource
from edge.camera.prefetch import PrefetchedCamera
from edge.camera.recorded import FolderCamera, VideoFileCamera
from edge.capture.capture_order import webcam_index
from edge.cores import has_second_core
from protocol.units import UnixMs

STREAM_SCHEMES = frozenset({"http", "https", "rtsp", "rtsps"})


def open_camera(
    source: str,
    *,
    now_ms: Callable[[], UnixMs],
    started_at_ms: UnixMs | None = None,
    folder_fps: float = 10.0,
    live: LiveSettings | None = None,
) -> Camera:
    """Open the camera that ``source`` names.

    Args:
        source: see the module header.
        now_ms: the device's clock; stamps live frames.
        started_at_ms: the time that a recording's first frame stands for; now where not given.
        folder_fps: frame rate of a folder of pictures.
        live: patience with webcams and streams.

    Raises:
        CameraError: no such source. A live source that is merely away raises from ``read``, after its budget.
    """
    patience = live or LiveSettings()
    if (index := webcam_index(source)) is not None:
        return LiveCamera(lambda: _open_webcam(index), name=f"webcam {index}", now_ms=now_ms, settings=patience)
    if "://" in source:
        return _open_stream(source, now_ms=now_ms, live=patience)
    path = Path(source).expanduser()
    begin_ms = now_ms() if started_at_ms is None else started_at_ms
    if path.is_dir():
        return _ahead(FolderCamera(path, fps=folder_fps, started_at_ms=begin_ms))
    if path.is_file():
        return _ahead(VideoFileCamera(path, started_at_ms=begin_ms))
    raise CameraError(
        f"There is no camera {source!r}: give webcam:0, an rtsp:// or http:// address, a video file, "
        "or a folder of pictures."
    )


def _ahead(recording: Camera) -> Camera:
    return PrefetchedCamera(recording) if has_second_core() else recording


def without_password(url: str) -> str:
    """Return ``url`` without user, password, query and fragment, for people and logs."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "the stream"
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


class _CapturedSource:
    """OpenCV's driver as a PictureSource."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture

    def read(self) -> BgrPicture | None:
        try:
            is_read, picture = self._capture.read()
        except cv2.error:
            return None
        if not is_read or not picture.size:
            return None
        # Some infrared cameras give one channel.
        coloured = cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture
        return np.asarray(coloured, dtype=np.uint8)

    def release(self) -> None:
        self._capture.release()


def _open_stream(url: str, *, now_ms: Callable[[], UnixMs], live: LiveSettings) -> Camera:
    name = without_password(url)
    try:
        parts = urlsplit(url)
        is_known = parts.scheme.lower() in STREAM_SCHEMES and parts.hostname is not None
    except ValueError:
        is_known = False
    if not is_known:
        raise CameraError(
            f"Cannot read {name}: an address begins with {', '.join(sorted(STREAM_SCHEMES))} and has a host."
        )
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        live.open_timeout_ms,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        live.read_timeout_ms,
        cv2.CAP_PROP_N_THREADS,
        1,
    ]
    return LiveCamera(lambda: _opened(url, cv2.CAP_FFMPEG, limits), name=name, now_ms=now_ms, settings=live)


def _open_webcam(index: int) -> PictureSource | None:
    return _opened(index, cv2.CAP_ANY, [])


def _opened(source: str | int, backend: int, parameters: Sequence[int]) -> PictureSource | None:
    try:
        if isinstance(source, str):
            capture = cv2.VideoCapture(source, backend, parameters)
        else:
            capture = cv2.VideoCapture(source, backend, parameters)
    except cv2.error:
        return None
    if not capture.isOpened():
        capture.release()
        return None
    return _CapturedSource(capture)
