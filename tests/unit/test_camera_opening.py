"""Which word opens which camera, and the sentence for each that opens none."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.camera.frame import CameraError, Frame
from edge.camera.opening import open_camera, without_password
from edge.camera.recorded import FolderCamera, VideoFileCamera
from edge.sight.opening import open_timed_camera
from protocol.units import UnixMs


def now_ms() -> UnixMs:
    return UnixMs(5_000)


@pytest.mark.parametrize("source", ["", "nowhere.mp4", "webcam:", "webcam:x", "webcam:-1", "/dev/video"])
def test_a_source_that_is_none_is_answered_with_what_can_be_given(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(CameraError, match=r"webcam:0|No picture"):
        open_camera(source, now_ms=now_ms)


@pytest.mark.parametrize("url", ["ftp://host/x", "rtsp://", "file:///etc/passwd", "http://[::1", "rtsp://:554/x"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(CameraError, match="an address begins with"):
        open_camera(url, now_ms=now_ms)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.7:554/stream?token=secret#secret", "rtsp://10.0.0.7:554/stream"),
        ("http://camera.local/video", "http://camera.local/video"),
        ("rtsp://u:secret@[::1", "the stream"),
    ],
)
def test_people_and_logs_never_see_a_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("not a video")
    with pytest.raises(CameraError, match=r"H\.264"):
        VideoFileCamera(tmp_path / "text.mp4", started_at_ms=UnixMs(0))
    with pytest.raises(CameraError, match="check the path"):
        VideoFileCamera(tmp_path / "none.mp4", started_at_ms=UnixMs(0))


def test_a_folder_without_pictures_or_with_a_broken_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="No picture"):
        FolderCamera(tmp_path, fps=1, started_at_ms=UnixMs(0))
    (tmp_path / "a.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(CameraError, match=r"a\.png"):
        FolderCamera(tmp_path, fps=1, started_at_ms=UnixMs(0)).read()
    with pytest.raises(CameraError, match="Check the path"):
        FolderCamera(tmp_path / "none", fps=1, started_at_ms=UnixMs(0))


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf"), 1e9])
def test_an_impossible_frame_rate_is_refused(fps: float, tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="frames per second"):
        FolderCamera(tmp_path, fps=fps, started_at_ms=UnixMs(0))


def test_a_broken_picture_is_heard_through_the_prefetch(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"broken")
    with open_camera(str(tmp_path), now_ms=now_ms, folder_fps=3) as camera:
        first = camera.read()
        assert isinstance(first, Frame)
        assert first.captured_at_ms == 5_000
        with pytest.raises(CameraError, match=r"b\.png"):
            camera.read()
        assert camera.read() is None


def test_a_recording_may_stand_for_another_time_than_now(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    with open_camera(str(tmp_path), now_ms=now_ms, started_at_ms=UnixMs(77)) as camera:
        frame = camera.read()
    assert frame is not None
    assert frame.captured_at_ms == 77


@pytest.mark.parametrize(
    "picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float64), np.zeros((0, 1, 3), np.uint8)]
)
def test_what_is_no_picture_cannot_be_a_frame(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ValueError, match="a frame is uint8"):
        Frame(picture, UnixMs(0), 0)


def test_pictures_of_a_folder_never_tell_of_the_future(tmp_path: Path) -> None:
    for number in range(20):
        cv2.imwrite(str(tmp_path / f"{number:02d}.png"), np.zeros((8, 8, 3), np.uint8))
    times_ms = []
    with open_timed_camera(str(tmp_path), now_ms=lambda: UnixMs(10_000_000), folder_fps=2.0) as camera:
        while (frame := camera.read()) is not None:
            times_ms.append(frame.captured_at_ms)
    assert times_ms[0] == 9_990_000
    assert times_ms[-1] == 9_999_500
