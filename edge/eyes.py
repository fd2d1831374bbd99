"""The keeper's side of seeing: it starts the vision process, and the capture process where the camera may hang.

Knows what both have said, when one of them hangs, and which tracks are open, so that a new vision process goes on
where the last one was killed. Used by one thread; no pictures here.
"""

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from edge.capture.capture_order import CaptureOrder, is_live
from edge.capture.picture_ring import RingHolder
from edge.confine import Confinement, confined_command
from edge.glance import Glance, Incident, VisionProgram
from edge.log import get_logger
from edge.memory import rss_kib
from edge.place import ENGINES_FOLDER, MODELS_FOLDER, PICTURE_FILE, PICTURE_WANTED_FILE, PICTURES_FOLDER, TRACKS_FILE
from edge.sight.looking import VisionSettings
from edge.supervisor import Child, Recipe
from edge.wire import (
    Begin,
    Failed,
    Halt,
    Over,
    Pace,
    Picture,
    Pulse,
    Ready,
    RingAddress,
    Seen,
    VisionFigures,
    VisionNews,
    line_of,
)
from protocol.observation import Track

_SILENCE_MAX_S: Final = 15.0  # a vision process beats every second
_WARM_UP_MAX_S: Final = 300.0  # an accelerator may compile for minutes before the first frame
_WORKING_MAX_MS: Final = 20_000  # for one frame
_CAPTURE_START_S: Final = 30.0
_CAPTURE_LATE_S: Final = 5.0  # a camera that is well has given a picture by then; its owner wants to know
_NO_PICTURES: Final = "the camera gives no pictures: check its power, its cable and its address"

# Pools that would sit on memory and never have work: the model's own threads are the settings' business.
_ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}

log = get_logger()


class Eyes:
    """Vision and capture as one; `look` is called often."""

    def __init__(self, settings: VisionSettings, directory: Path, program: VisionProgram, *, rss_max_kib: int) -> None:
        """Prepare; the first `look` starts what is needed."""
        self._settings = settings
        self._directory = directory
        self._program = program
        self._state = _taken_state(directory / TRACKS_FILE)
        self._silence_max_s = settings.camera.silence_max_ms / 1000
        self._max_fps: float | None = None
        self._greatest_id = 0
        self._is_excused = False  # it is clear why the vision process ends next
        self._rss_max_kib = rss_max_kib
        self._figures = VisionFigures()
        self._before = VisionFigures()  # of the vision processes that are gone
        self._heard_at_s = 0.0
        self._pictures_seen = 0
        self._picture_at_s = 0.0
        self.tracks = 0  # that have ended; parts of one long stay count once
        self.ready: Ready | None = None
        self._vision_trouble: str | None = None
        self._camera_trouble: str | None = None
        self.failure: str | None = None  # why it is over, where it should not be
        self.is_over = False
        self._ring = RingHolder() if not program.brings_camera and is_live(settings.camera.source) else None
        self._vision = Child(self._vision_recipe())
        self._capture = Child(self._capture_recipe(self._ring)) if self._ring is not None else None

    @property
    def children(self) -> tuple[Child, ...]:
        """The processes, for whoever waits for their news or tells about them."""
        return (self._vision,) if self._capture is None else (self._vision, self._capture)

    @property
    def figures(self) -> VisionFigures:
        """The counters of all vision processes of this run together."""
        now, before = self._figures, self._before
        return msgspec.structs.replace(
            now,
            frames=before.frames + now.frames,
            inferred=before.inferred + now.inferred,
            skipped=before.skipped + now.skipped,
            detections=before.detections + now.detections,
            clock_steps=before.clock_steps + now.clock_steps,
            pictures=before.pictures + now.pictures,
            peak_rss_kib=max(before.peak_rss_kib, now.peak_rss_kib),
        )

    @property
    def trouble(self) -> str | None:
        """What is wrong at present, a sentence."""
        return self._vision_trouble or self._camera_trouble

    @property
    def captured(self) -> int:
        """How many pictures a live camera has given; the frames looked at, for a recording."""
        return self._ring.pictures if self._ring is not None else self.figures.frames

    @property
    def rss_kib(self) -> int:
        """The memory of these processes."""
        return sum(rss_kib(child.pid) for child in self.children if child.pid is not None)

    def look(self, now_s: float) -> Glance:
        """Keep the processes going and return what has been seen since the last call."""
        glance = Glance()
        ends = self._vision.restarts
        for line in self._vision.step(now_s):
            glance = self._take(line, glance, now_s)
        if self._vision.restarts > ends:
            glance = self._ended(glance)
        if self._capture is not None:
            for line in self._capture.step(now_s):
                with suppress(msgspec.MsgspecError):
                    self._camera_trouble = msgspec.json.decode(line, type=Failed).sentence
            self._watch_capture(now_s)
        self._watch_vision(now_s)
        return glance

    def set_max_fps(self, max_fps: float | None) -> None:
        """Have vision look at most so often."""
        if max_fps != self._max_fps:
            self._max_fps = max_fps
            self._vision.send(line_of(Pace(max_fps)))

    def draw_if_wanted(self) -> None:
        """Have vision write a blurred picture if the owner has asked for one (`cairn-edge snapshot`)."""
        wanted = self._directory / PICTURES_FOLDER / PICTURE_WANTED_FILE
        if wanted.exists():
            with suppress(OSError):
                wanted.unlink()
                self._vision.send(line_of(Picture(str(wanted.absolute().with_name(PICTURE_FILE)))))

    def begin_anew(self) -> None:
        """Start vision again: another model is in place. The tracks go on."""
        if self._vision.is_running:  # one that has ended already begins anew by itself, and its next end is its own
            self._is_excused = True
            self._vision.restart()

    def halt(self, *, at_most_s: float) -> Glance:
        """End both processes; keep the open tracks for the next run. Return what was still seen."""
        glance = Glance()
        self._vision.is_wanted = False
        self._vision.send(line_of(Halt()))
        give_up_at_s = time.monotonic() + at_most_s
        while self._vision.pid is not None and time.monotonic() < give_up_at_s:
            now_s = time.monotonic()
            for line in self._vision.step(now_s):
                glance = self._take(line, glance, now_s)
            time.sleep(0.01)
        for child in self.children:
            child.stop(at_most_s=0.5)
        if self._state:
            _keep_state(self._directory / TRACKS_FILE, self._state)
        if self._ring is not None:
            self._ring.close()
        return glance

    def _take(self, line: bytes, glance: Glance, now_s: float) -> Glance:
        try:
            news = msgspec.json.decode(line, type=VisionNews)
        except msgspec.MsgspecError as error:
            log.warning("vision_unintelligible", reason=str(error)[:200])
            return glance
        self._heard_at_s = now_s
        match news:
            case Ready():
                self.ready = news
                self._vision_trouble = None
                log.info("vision_ready", model=news.model, provider=news.provider, confined=",".join(news.confined))
                return replace(glance, ready=news)
            case Seen(observations, read_at_ns, state):
                self._state = state
                self.tracks += sum(isinstance(each, Track) and not each.continues for each in observations)
                self._greatest_id = max(self._greatest_id, *(each.track_id for each in observations))
                stamps = (read_at_ns,) * len(observations)
                return replace(
                    glance,
                    observations=glance.observations + observations,
                    read_at_ns=glance.read_at_ns + stamps,
                )
            case Pulse():
                return self._take_pulse(news, glance)
            case Over(figures, state):
                log.info("vision_over", frames=figures.frames)
                self._figures = figures
                self._state = state
                self._vision.is_wanted = False
                self.is_over = True
            case Failed():
                return self._take_failure(news, glance)
        return glance

    def _take_pulse(self, pulse: Pulse, glance: Glance) -> Glance:
        is_at_work = pulse.figures.frames > self._figures.frames
        self._figures = pulse.figures
        self._state = pulse.state or self._state
        if pulse.working_ms > _WORKING_MAX_MS:
            log.warning("vision_hangs", working_ms=pulse.working_ms)
            self._vision.restart()
        elif pulse.figures.rss_kib > self._rss_max_kib:
            log.warning("vision_grows", rss_kib=pulse.figures.rss_kib)
            self.begin_anew()
        return replace(glance, is_at_work=glance.is_at_work or is_at_work)

    def _take_failure(self, failed: Failed, glance: Glance) -> Glance:
        self._vision_trouble = failed.sentence
        self._is_excused = True
        if failed.is_final:
            self.failure = failed.sentence
            self.is_over = True
            self._vision.is_wanted = False
        if not failed.is_model:
            return glance
        return replace(glance, incidents=(*glance.incidents, Incident(failed.sentence, is_model=True)))

    def _ended(self, glance: Glance) -> Glance:
        """The vision process is gone: was it a crash?"""
        is_excused, self._is_excused = self._is_excused, False
        if is_excused:
            return glance
        self._vision_trouble = "the vision process ended without a word and is started again: if it goes on, report it"
        incident = Incident("the vision process ended without a word", is_model=False)
        return replace(glance, incidents=(*glance.incidents, incident))

    def _watch_vision(self, now_s: float) -> None:
        vision = self._vision
        if not vision.is_running or self.is_over:
            return
        patience_s = _SILENCE_MAX_S if self._heard_at_s > vision.started_at_s else _WARM_UP_MAX_S
        if now_s - max(self._heard_at_s, vision.started_at_s) > patience_s:
            log.warning("vision_silent", for_s=int(patience_s))
            vision.restart()

    def _watch_capture(self, now_s: float) -> None:
        if self._capture is None or self._ring is None or not self._capture.is_running:
            return
        if (pictures := self._ring.pictures) != self._pictures_seen:
            self._pictures_seen = pictures
            self._picture_at_s = now_s
            self._camera_trouble = None
            return
        started_at_s = self._capture.started_at_s
        since_s = self._picture_at_s if self._picture_at_s > started_at_s else started_at_s + _CAPTURE_START_S
        is_late = self._picture_at_s <= started_at_s and now_s - started_at_s > _CAPTURE_LATE_S
        if is_late or now_s - since_s > self._silence_max_s:
            self._camera_trouble = self._camera_trouble or _NO_PICTURES
        if now_s - since_s > self._silence_max_s:
            log.warning("capture_hangs")
            self._capture.restart()

    def _vision_recipe(self) -> Recipe:
        settings, program = self._settings, self._program
        folders = [self._directory.absolute() / name for name in (PICTURES_FOLDER, ENGINES_FOLDER)]
        for folder in folders:
            folder.mkdir(mode=0o700, exist_ok=True)
        named = [settings.camera.source, settings.model.name]
        read = [str(Path(each).expanduser().absolute().parent) for each in named if each.endswith(".onnx")]
        if not program.brings_camera and self._ring is None:
            read.append(str(Path(settings.camera.source).expanduser().absolute()))
        confinement = Confinement(
            module=program.module,
            read=(*read, str(self._directory.absolute() / MODELS_FOLDER), *program.read),
            write=(*(str(folder) for folder in folders), *program.write),
            arguments=program.arguments,
        )
        return Recipe(
            name="vision",
            command=lambda: confined_command(confinement),
            greeting=self._greeting,
            inherited=self._ring.reader_descriptors if self._ring is not None else (),
            environment={**_ONE_THREAD, **program.environment},
        )

    def _greeting(self) -> bytes:
        self._before = self.figures  # what the process before has counted stays counted
        self._figures = VisionFigures()
        ring: RingAddress | None = self._ring.address if self._ring is not None else None
        return line_of(
            Begin(
                settings=self._settings,
                directory=str(self._directory.absolute()),
                ring=ring,
                resume=self._state or None,
                ids_after=self._greatest_id,
                max_fps=self._max_fps,
            )
        )

    def _capture_recipe(self, ring: RingHolder) -> Recipe:
        source = self._settings.camera.source
        memory_fd, ringing_fd = ring.writer_descriptors
        confinement = Confinement(module="edge.capture.reading", has_network="://" in source)
        return Recipe(
            name="capture",
            command=lambda: confined_command(confinement),
            greeting=lambda: line_of(CaptureOrder(source, memory_fd, ringing_fd)),
            inherited=(memory_fd, ringing_fd),
        )


def _taken_state(path: Path) -> bytes:
    """Return the tracks that the last run left open, and forget them: they must never be taken up twice."""
    try:
        state = path.read_bytes()
        path.unlink()
    except OSError:
        return b""
    return state


def _keep_state(path: Path, state: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    try:
        draft.write_bytes(state)
        draft.replace(path)
    except OSError as error:
        log.warning("tracks_not_kept", reason=str(error))
