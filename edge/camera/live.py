"""Live cameras: a webcam or a network stream, read in a thread that keeps only the latest frame.

A stream's own buffer grows old when nobody empties it, and its read can hang or repeat one picture for ever after
the network came back; so a thread always empties it, every wait has an end, a stuck picture counts as
a lost source, and a lost source is opened again with growing pauses until the budget is spent.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import BgrPicture, CameraError, Frame
from edge.camera.frozen import FrozenPicture
from edge.log import get_logger
from protocol.units import UnixMs

log = get_logger()
_JOIN_S = 10.0


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """How patient a live camera is."""

    open_timeout_ms: int = 5_000
    read_timeout_ms: int = 5_000
    attempts_max: int = 10  # openings in a row without a new picture before CameraError
    pause_first_ms: int = 500  # doubles with every attempt
    pause_max_ms: int = 30_000
    frozen_after_ms: int = 10_000
    silence_max_ms: int = 300_000  # the longest that read() waits, whatever the driver does


class PictureSource(Protocol):
    """An opened driver."""

    def read(self) -> BgrPicture | None:
        """Wait for the next picture; None when the source is lost."""
        ...

    def release(self) -> None:
        """Let the driver go."""
        ...


class LiveCamera(ClosesOnExit):
    """Gives the latest picture and drops what nobody had time for."""

    def __init__(
        self,
        open_source: Callable[[], PictureSource | None],
        *,
        name: str,
        now_ms: Callable[[], UnixMs],
        settings: LiveSettings | None = None,
    ) -> None:
        """Start the reading thread.

        Args:
            open_source: opens the driver in bounded time; None when it cannot. Called from the thread.
            name: how errors call the camera; without passwords.
            now_ms: the device's clock, read once a frame.
            settings: patience.
        """
        self._open_source = open_source
        self._name = name
        self._now_ms = now_ms
        self._settings = settings or LiveSettings()
        self._news = threading.Condition()
        self._latest: Frame | None = None
        self._error: CameraError | None = None
        self._stop = threading.Event()
        self._frames_captured = 0
        self._reader = threading.Thread(target=self._watch, name="camera-live", daemon=True)
        self._reader.start()

    def read(self) -> Frame | None:
        """Return a frame newer than the last one returned; see ``Camera.read``. None only after ``close``."""
        with self._news:
            has_news = self._news.wait_for(
                lambda: self._latest is not None or self._error is not None or self._stop.is_set(),
                timeout=self._settings.silence_max_ms / 1000,
            )
            if self._stop.is_set():
                return None
            if self._latest is not None:
                frame, self._latest = self._latest, None
                return frame
            if self._error is not None:
                raise self._error
        if not has_news:
            raise CameraError(f"{self._name} has been silent for too long: check its power and cable.")
        return None

    def close(self) -> None:
        """Stop the thread, which lets the driver go itself: two threads in one driver crash it."""
        self._stop.set()
        with self._news:
            self._news.notify_all()
        self._reader.join(_JOIN_S)

    def _watch(self) -> None:
        """Keep the source open; whatever ends this thread, the reader hears of it."""
        try:
            self._keep_open()
        finally:
            with self._news:
                self._error = CameraError(
                    f"{self._name} gave no new picture in {self._settings.attempts_max} attempts: check that it is "
                    "switched on, that address and password are right, and that no other program uses it."
                )
                self._news.notify_all()

    def _keep_open(self) -> None:
        """Open, read until lost, pause, open again."""
        settings = self._settings
        frozen = FrozenPicture(after_ms=settings.frozen_after_ms)
        attempts = 0
        while not self._stop.is_set() and attempts < settings.attempts_max:
            attempts += 1
            source = self._open_source()
            if source is not None:
                try:
                    if self._read_until_lost(source, frozen):
                        attempts = 0
                finally:
                    source.release()
            if self._stop.is_set():
                return
            pause_ms = min(settings.pause_first_ms * 2 ** max(0, attempts - 1), settings.pause_max_ms)
            log.warning("camera_lost", camera=self._name, attempts=attempts, pause_ms=pause_ms)
            self._stop.wait(pause_ms / 1000)

    def _read_until_lost(self, source: PictureSource, frozen: FrozenPicture) -> bool:
        """Publish pictures until the source is lost or stuck; say whether any new picture came."""
        has_changed = False
        frozen.wait_anew(self._now_ms())
        while not self._stop.is_set():
            picture = source.read()
            if picture is None:
                break
            at_ms = self._now_ms()
            has_changed |= frozen.has_changed(picture, at_ms)
            if frozen.is_frozen(at_ms):
                log.warning("camera_picture_frozen", camera=self._name)
                break
            try:
                frame = Frame(picture, at_ms, self._frames_captured)
            except ValueError as error:
                log.warning("camera_picture_unusable", camera=self._name, reason=str(error))
                break
            with self._news:
                self._latest = frame
                self._frames_captured += 1
                self._news.notify_all()
        return has_changed
