"""The vision process: camera, detector and tracker. No key, no network; frames go no further than this.

It reads what to do from stdin, one order a line, and tells what it has seen on stdout (edge/wire.py). It ends when its
source ends, when it is told to halt, or when its stdin is closed: an orphan sees nothing.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from io import RawIOBase
from pathlib import Path
from typing import Final, Self

import msgspec

from edge.camera.blurred import write_blurred
from edge.camera.frame import Camera, CameraError, Frame
from edge.camera.ring import RingCamera
from edge.clock import clock_ms
from edge.confine import CONFINED_VARIABLE
from edge.detector.detection import Detector, ModelError
from edge.detector.model import ModelDetector
from edge.detector.session import SessionOptions
from edge.log import configure_log, get_logger
from edge.memory import give_back, peak_rss_kib, rss_kib
from edge.place import ENGINES_FOLDER
from edge.sight.masks import MaskError, Masks
from edge.sight.opening import open_named_model, open_timed_camera
from edge.sight.pipeline import Pipeline
from edge.sight.seeing import build_pipeline, observation_of
from edge.wire import Begin, Failed, Halt, Order, Over, Pace, Picture, Pulse, Ready, Seen, VisionFigures, line_of
from protocol.observation import Crossing, Stay, Track

_PULSE_S: Final = 1.0
_PAUSED_FPS: Final = 0.01
_SETTLED_NS: Final = 3_000_000_000  # after this long everything that runs has run

log = get_logger()

OpenSource = Callable[[Begin], Camera]
OpenDetector = Callable[[Begin], Detector]


def main() -> int:
    """See with the camera and the model that the first line names."""
    return serve(open_source=_open_source, open_detector=_open_detector)


def serve_own_camera(open_camera: Callable[[], Camera]) -> int:
    """See with a camera of the caller's and the model of the settings; return the exit status."""
    return serve(open_source=lambda _begin: open_camera(), open_detector=_open_detector)


def serve(*, open_source: OpenSource, open_detector: OpenDetector) -> int:
    """Run one vision process with this camera and this detector; return the exit status.

    Args:
        open_source: opens the camera; may raise CameraError.
        open_detector: returns a detector that has passed its self-test; may raise ModelError.
    """
    configure_log(is_verbose=False, child="vision")
    speaker = Speaker()
    # Unbuffered: a thread that waits in a buffered stdin when the interpreter ends makes it abort.
    orders = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - stdin stays open as long as we live
    begin = msgspec.json.decode(orders.readline(), type=Begin)
    try:
        with ExitStack() as stack:
            # The camera first: it decodes ahead while the model is loaded.
            camera = WatchedCamera(stack.enter_context(open_source(begin)))
            detector = open_detector(begin)
            pipeline = build_pipeline(begin.settings, camera, detector, resume=begin.resume, ids_after=begin.ids_after)
            if begin.max_fps is not None:
                pipeline.set_max_fps(max(begin.max_fps, _PAUSED_FPS))
            sight = Sight(pipeline, camera, speaker, masks=Masks(begin.settings.privacy.masks))
            speaker.say(_ready(detector, begin))
            threading.Thread(target=sight.obey, args=(orders,), name="orders", daemon=True).start()
            threading.Thread(target=sight.beat, name="pulse", daemon=True).start()
            sight.look()
    except (CameraError, MaskError, ModelError) as error:
        speaker.say(Failed(str(error), is_final=begin.ring is None, is_model=isinstance(error, ModelError)))
        return 1
    return 0


class Speaker:
    """Says messages on what was stdout; whatever a library prints from now on goes to stderr."""

    def __init__(self) -> None:
        """Take stdout away from everybody else."""
        self._descriptor = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def say(self, message: msgspec.Struct) -> None:
        """Say ``message``; if nobody listens any more, this process has no purpose and ends."""
        left = line_of(message)
        with self._lock:
            try:
                while left:
                    left = left[os.write(self._descriptor, left) :]
            except OSError:
                os._exit(1)


class HaltedError(Exception):
    """The process was told to halt: the open tracks go to whoever sees next, they do not end here."""


class WatchedCamera:
    """A camera that lets somebody in between two frames, and knows for how long its last one has been under work."""

    def __init__(self, camera: Camera) -> None:
        """Watch ``camera``, which stays the caller's to close."""
        self._camera = camera
        self._working_since_ns: int | None = None
        self.between_frames: Callable[[], None] = lambda: None
        self.on_frame: Callable[[Frame], None] = lambda _frame: None
        self.is_halted = False

    @property
    def working_ms(self) -> int:
        """For how long the frame in hand has been under work; 0 while the next one is awaited."""
        since_ns = self._working_since_ns
        return 0 if since_ns is None else (time.monotonic_ns() - since_ns) // 1_000_000

    @property
    def dropped(self) -> int:
        """How many frames came and were not looked at."""
        return self._camera.dropped if isinstance(self._camera, RingCamera) else 0

    def read(self) -> Frame | None:
        """Return the next frame; see ``Camera.read``.

        Raises:
            HaltedError: the process was told to halt.
        """
        self._working_since_ns = None
        self.between_frames()
        frame = None if self.is_halted else self._camera.read()
        if self.is_halted:
            raise HaltedError
        if frame is not None:
            self._working_since_ns = time.monotonic_ns()
            frame = replace(frame, read_at_ns=frame.read_at_ns or self._working_since_ns)
            self.on_frame(frame)
        return frame

    def halt(self) -> None:
        """Have `read` give no more frames; it is woken if it waits."""
        self.is_halted = True
        self._camera.close()

    def close(self) -> None:
        """Let the source go."""
        self._camera.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sight:
    """One pipeline at work: what it sees is told between frames, together with the tracks that are open then."""

    def __init__(self, pipeline: Pipeline, camera: WatchedCamera, speaker: Speaker, *, masks: Masks) -> None:
        """Put the parts together; `look` begins."""
        self._pipeline = pipeline
        self._camera = camera
        self._speaker = speaker
        self._masks = masks
        self._events: list[Track | Crossing | Stay] = []
        self._pulse_due_ns = 0
        self._began_ns: int | None = time.monotonic_ns()
        self._picture_path: Path | None = None
        self._pictures = 0
        camera.between_frames = self._tell
        camera.on_frame = self._draw

    def look(self) -> None:
        """Follow the camera until it ends or the process is told to halt.

        Raises:
            CameraError, ModelError: it cannot go on; what was open has been told.
        """
        try:
            for event in self._pipeline.run(lambda: False):
                self._events.append(observation_of(event))
            state = b""
        except HaltedError:
            state = self._pipeline.state()
        except (CameraError, ModelError):
            self._tell()
            raise
        self._tell()
        self._speaker.say(Over(self._figures(), state))

    def obey(self, orders: RawIOBase) -> None:
        """Follow orders until there are no more; then halt. Runs in a thread."""
        for line in orders:
            match msgspec.json.decode(line, type=Order):
                case Pace(max_fps):
                    # A pause is a very slow pace: the tracks stay, and the camera goes on being emptied.
                    self._pipeline.set_max_fps(None if max_fps is None else max(max_fps, _PAUSED_FPS))
                case Picture(path):
                    self._picture_path = Path(path)
                case Halt():
                    break
                case Begin():
                    log.warning("order_misplaced")
        self._camera.halt()

    def beat(self) -> None:
        """Tell every second that the process is alive, even while no frame comes. Runs in a thread."""
        while not self._camera.is_halted:
            self._speaker.say(Pulse(self._figures(), self._camera.working_ms))
            time.sleep(_PULSE_S)

    def _tell(self) -> None:
        """Say what has been seen since the last frame, and once a second which tracks are open."""
        now_ns = time.monotonic_ns()
        if self._events:
            events, self._events = tuple(self._events), []
            self._speaker.say(Seen(events, self._pipeline.tracked_read_at_ns, self._pipeline.state()))
        elif now_ns >= self._pulse_due_ns:
            self._pulse_due_ns = now_ns + int(_PULSE_S * 1e9)
            self._speaker.say(Pulse(self._figures(), 0, self._pipeline.state()))

        if self._began_ns is not None and now_ns - self._began_ns > _SETTLED_NS:
            self._began_ns = None
            give_back()

    def _draw(self, frame: Frame) -> None:
        path, self._picture_path = self._picture_path, None
        if path is not None:
            write_blurred(self._masks.paint(frame.image_bgr.copy()), path)
            self._pictures += 1

    def _figures(self) -> VisionFigures:
        stats = self._pipeline.stats
        return VisionFigures(
            frames=stats.frames,
            inferred=stats.inferred,
            skipped=stats.skipped + self._camera.dropped,
            detections=stats.detections,
            inference_p50_us=stats.inference_p50_us,
            inference_p95_us=stats.inference_p95_us,
            clock_steps=stats.clock_steps,
            pictures=self._pictures,
            rss_kib=rss_kib(),
            peak_rss_kib=peak_rss_kib(),
        )


def _open_source(begin: Begin) -> Camera:
    if begin.ring is not None:
        return RingCamera(begin.ring)
    settings = begin.settings.camera
    return open_timed_camera(settings.source, now_ms=clock_ms, folder_fps=settings.folder_fps)


def _open_detector(begin: Begin) -> Detector:
    model = begin.settings.model
    options = SessionOptions(
        intra_op_threads=model.threads,
        runner=model.runner,
        is_fallback_allowed=model.runner_fallback,
        engine_folder=Path(begin.directory) / ENGINES_FOLDER,
    )
    return open_named_model(model.name, directory=Path(begin.directory), options=options).detector


def _ready(detector: Detector, begin: Begin) -> Ready:
    return Ready(
        model=begin.settings.model.name,
        model_digest=detector.model_digest,
        provider=detector.provider,
        skipped=detector.skipped if isinstance(detector, ModelDetector) else (),
        confined=tuple(each for each in os.environ.get(CONFINED_VARIABLE, "").split(",") if each),
    )


if __name__ == "__main__":
    sys.exit(main())
