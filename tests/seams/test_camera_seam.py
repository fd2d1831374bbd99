"""Every camera keeps the seam's promise: frames in order, then None for ever; closing twice is harmless."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.camera.frame import Camera, Frame
from edge.camera.live import LiveCamera, LiveSettings
from edge.camera.opening import open_camera
from edge.camera.prefetch import PrefetchedCamera
from edge.camera.recorded import FolderCamera, VideoFileCamera
from protocol.units import UnixMs

FRAMES = 12
FPS = 10
STARTED_AT_MS = UnixMs(1_000_000)
Opener = Callable[[Path], Camera]


def picture(index: int) -> npt.NDArray[np.uint8]:
    """A grey picture whose brightness counts."""
    return np.full((48, 64, 3), 20 + index * 15, np.uint8)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``video.avi`` and, in ``pictures/``, the same frames."""
    folder = tmp_path_factory.mktemp("recordings")
    (folder / "pictures").mkdir()
    writer = cv2.VideoWriter(str(folder / "video.avi"), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    assert writer.isOpened()
    for index in range(FRAMES):
        writer.write(picture(index))
        cv2.imwrite(str(folder / "pictures" / f"{index:03}.png"), picture(index))
    (folder / "pictures" / "notes.txt").write_text("not a picture")
    writer.release()
    return folder


class _ScriptedDriver:
    """A live driver that shows the frames once, each when the reader has had time, then hangs up for good."""

    def __init__(self, pictures: Iterator[npt.NDArray[np.uint8]]) -> None:
        self._pictures = pictures

    def read(self) -> npt.NDArray[np.uint8] | None:
        return next(self._pictures, None)

    def release(self) -> None:
        self._pictures = iter(())


def _now_ms() -> UnixMs:
    return STARTED_AT_MS


OPENERS: dict[str, Opener] = {
    "video": lambda folder: VideoFileCamera(folder / "video.avi", started_at_ms=STARTED_AT_MS),
    "folder": lambda folder: FolderCamera(folder / "pictures", fps=FPS, started_at_ms=STARTED_AT_MS),
    "prefetched": lambda folder: PrefetchedCamera(
        VideoFileCamera(folder / "video.avi", started_at_ms=STARTED_AT_MS), depth=2
    ),
    "opened video": lambda folder: open_camera(str(folder / "video.avi"), now_ms=_now_ms),
    "opened folder": lambda folder: open_camera(str(folder / "pictures"), now_ms=_now_ms),
}


@pytest.fixture(params=OPENERS, ids=list(OPENERS))
def camera(request: pytest.FixtureRequest, recordings: Path) -> Iterator[Camera]:
    with OPENERS[request.param](recordings) as opened:
        yield opened


def test_frames_come_in_order_in_the_recording_s_own_time_and_then_none_for_ever(camera: Camera) -> None:
    frames = [frame for _ in range(FRAMES) if (frame := camera.read()) is not None]
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.captured_at_ms for frame in frames] == [STARTED_AT_MS + k * 1000 // FPS for k in range(FRAMES)]
    for index, frame in enumerate(frames):
        assert frame.image_bgr.shape == (48, 64, 3)
        assert float(frame.image_bgr.mean()) == pytest.approx(20 + index * 15, abs=3)
    assert [camera.read() for _ in range(3)] == [None] * 3


def test_frames_do_not_share_memory(camera: Camera) -> None:
    first, second = camera.read(), camera.read()
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert not np.shares_memory(first.image_bgr, second.image_bgr)


def test_closing_early_and_twice_is_harmless_and_ends_the_frames(camera: Camera) -> None:
    assert camera.read() is not None
    camera.close()
    camera.close()
    assert camera.read() is None


def test_a_live_camera_keeps_the_same_promise() -> None:
    """Live cameras drop what nobody had time for, so order and newness is all that can be promised."""
    endless = (picture(index % 16) for index in itertools.count())
    ticks = itertools.count(STARTED_AT_MS)
    with LiveCamera(
        lambda: _ScriptedDriver(endless), name="scripted", now_ms=lambda: UnixMs(next(ticks)), settings=LiveSettings()
    ) as live:
        frames = [live.read() for _ in range(20)]
        indexes = [frame.index for frame in frames if frame is not None]
        times_ms = [frame.captured_at_ms for frame in frames if frame is not None]
        live.close()
        live.close()
        assert live.read() is None
    assert len(indexes) == 20
    assert all(a < b for a, b in itertools.pairwise(indexes))
    assert all(a < b for a, b in itertools.pairwise(times_ms))
