"""Live cameras that hang, freeze, vanish and come back: scripted drivers, and a real MJPEG stream over loopback."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.camera.frame import CameraError
from edge.camera.live import LiveCamera, LiveSettings, PictureSource
from edge.camera.opening import open_camera
from protocol.units import UnixMs

HASTY = LiveSettings(
    open_timeout_ms=1_500,
    read_timeout_ms=1_000,
    attempts_max=3,
    pause_first_ms=1,
    pause_max_ms=4,
    frozen_after_ms=1_000,
    silence_max_ms=20_000,
)
Picture = npt.NDArray[np.uint8]


def picture(brightness: int) -> Picture:
    return np.full((120, 160, 3), brightness % 256, np.uint8)


class ScriptedDriver:
    """Shows its pictures, then is lost."""

    def __init__(self, pictures: Iterator[Picture], *, released: list[bool] | None = None) -> None:
        self._pictures = pictures
        self._released = released if released is not None else []

    def read(self) -> Picture | None:
        return next(self._pictures, None)

    def release(self) -> None:
        self._released.append(True)


def clock(step_ms: int) -> Callable[[], UnixMs]:
    ticks = itertools.count(0, step_ms)
    return lambda: UnixMs(next(ticks))


def live(openings: Iterator[PictureSource | None], *, step_ms: int = 10) -> LiveCamera:
    return LiveCamera(lambda: next(openings, None), name="scripted", now_ms=clock(step_ms), settings=HASTY)


def drained(camera: LiveCamera) -> list[int]:
    """Return the indexes of the frames that came before CameraError."""
    indexes: list[int] = []
    with pytest.raises(CameraError, match="check that it is switched on"):
        indexes.extend(frame.index for frame in iter(camera.read, None))
    return indexes


def test_a_camera_that_never_opens_ends_in_a_sentence_after_its_budget() -> None:
    attempts = []

    def refuse() -> None:
        attempts.append(1)

    with LiveCamera(refuse, name="webcam 9", now_ms=clock(1), settings=HASTY) as camera:
        with pytest.raises(CameraError, match=r"webcam 9 gave no new picture in 3 attempts"):
            camera.read()
        with pytest.raises(CameraError):
            camera.read()
    assert len(attempts) == HASTY.attempts_max


def test_a_camera_that_comes_back_gets_a_fresh_budget() -> None:
    released: list[bool] = []
    brightness = itertools.count()
    openings: Iterator[PictureSource | None] = (
        None if k % 3 else ScriptedDriver((picture(next(brightness)) for _ in range(2)), released=released)
        for k in range(12)
    )
    with live(openings) as camera:
        indexes = drained(camera)
    assert len(released) == 4  # opened four times, with two refusals after each: one short of the budget
    assert indexes[-1] == 7
    assert indexes == sorted(set(indexes))


def test_a_picture_that_never_changes_is_a_lost_camera() -> None:
    """The driver repeats one picture for ever, also after it is opened again."""
    released: list[bool] = []
    openings = (ScriptedDriver(itertools.repeat(picture(7)), released=released) for _ in itertools.count())
    with live(openings, step_ms=100) as camera:
        indexes = drained(camera)
    # The first opening brought a picture, so the budget of three starts after it.
    assert len(released) == 1 + HASTY.attempts_max
    assert len(indexes) <= 4 * (HASTY.frozen_after_ms // 100 + 1)


def test_a_driver_that_hangs_is_given_up_after_the_longest_silence() -> None:
    unblock = threading.Event()

    class Hanging:
        def read(self) -> Picture | None:
            unblock.wait(20)
            return None

        def release(self) -> None:
            unblock.set()

    patience = LiveSettings(silence_max_ms=50)
    with LiveCamera(Hanging, name="webcam 3", now_ms=clock(1), settings=patience) as camera:
        with pytest.raises(CameraError, match="webcam 3 has been silent"):
            camera.read()
        unblock.set()


def test_a_driver_that_gives_no_colour_pictures_is_a_lost_camera() -> None:
    flat = np.zeros((4, 4), np.uint8)
    with live(ScriptedDriver(itertools.repeat(flat)) for _ in range(9)) as camera:
        assert drained(camera) == []


class MotionJpeg(BaseHTTPRequestHandler):
    """An MJPEG camera that hangs up after ``frames`` pictures."""

    frames = 10
    brightness = itertools.count(0, 5)

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for _ in range(self.frames):
                _, jpeg = cv2.imencode(".jpg", picture(next(self.brightness)))
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ")
                self.wfile.write(str(len(jpeg)).encode() + b"\r\n\r\n" + jpeg.tobytes() + b"\r\n")
        except OSError:
            return  # the viewer has left

    def log_message(self, *_args: object) -> None:
        return


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://user:secret@127.0.0.1:{server.server_address[1]}/stream.mjpg"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_real_stream_that_hangs_up_is_opened_again() -> None:
    with serving(MotionJpeg) as url, open_camera(url, now_ms=clock(40), live=HASTY) as camera:
        indexes: list[int] = []
        while not indexes or indexes[-1] < 3 * MotionJpeg.frames:
            frame = camera.read()
            assert frame is not None
            assert frame.image_bgr.shape == (120, 160, 3)
            indexes.append(frame.index)
    assert indexes == sorted(set(indexes))


def test_a_real_stream_that_answers_nothing_useful_ends_in_a_sentence_without_the_password() -> None:
    class Refusing(MotionJpeg):
        def do_GET(self) -> None:
            self.send_error(404)

    with serving(Refusing) as url, open_camera(url, now_ms=clock(40), live=HASTY) as camera:
        with pytest.raises(CameraError, match=r"http://127\.0\.0\.1:\d+/stream\.mjpg gave no new picture") as caught:
            camera.read()
        assert "secret" not in str(caught.value)
