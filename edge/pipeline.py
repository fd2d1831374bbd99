"""Camera -> masks -> gate -> detector -> tracker: frames in, finished tracks out. Frames go no further than this.

The camera reads ahead in its own thread (edge/camera/prefetch.py, edge/camera/live.py), so capture overlaps inference.
The pipeline owns the frames it is given: privacy masks are painted into them before anything looks at them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge.camera.frame import Camera, CameraError, Frame
from edge.detector.detection import Detection, Detector
from edge.finished import FinishedTrack, Seen
from edge.gate import Gate
from edge.masks import Masks
from edge.pace import RateLimit, StuckPicture
from edge.polygon import Permille
from edge.stats import InferenceTimes, PipelineStats
from edge.tracker import Tracker
from protocol.observation import Crossing, Stay
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """What is looked at, and how often."""

    class_ids: frozenset[int] | None = None  # the only classes of interest; all where not given
    masks: Sequence[Sequence[Permille]] = ()  # painted over, in thousandths of the frame
    is_gated: bool = False  # whether frames in which nothing moves are kept from the model
    max_fps: float | None = None  # more frames a second than this are not looked at
    resume: bytes | None = None  # the `Pipeline.state` of one that was killed


class Pipeline:
    """One camera's way from pictures to tracks. One thread runs it; others may read `stats` and set `set_max_fps`."""

    def __init__(
        self,
        camera: Camera,
        detector: Detector,
        tracker: Tracker,
        *,
        settings: PipelineSettings | None = None,
        stopwatch_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Put the parts together.

        Args:
            camera: stays the caller's to close.
            detector: any detector.
            tracker: a fresh one.
            settings: what is looked at, and how often.
            stopwatch_ns: measures inference; any monotonic clock.

        Raises:
            MaskError: a privacy mask is malformed.
        """
        self._settings = settings or PipelineSettings()
        self._masks = Masks(self._settings.masks)
        self._camera = camera
        self._detector = detector
        self._tracker = tracker
        self._gate = Gate() if self._settings.is_gated else None
        self._rate = RateLimit(self._settings.max_fps)
        self._stuck = StuckPicture()
        self._resume = self._settings.resume
        self._stopwatch_ns = stopwatch_ns
        self._times = InferenceTimes()
        self._stats = PipelineStats()

    @property
    def stats(self) -> PipelineStats:
        """The counters as they stand; may be read from another thread."""
        median_us, high_us = self._times.percentiles_us()
        return replace(self._stats, inference_p50_us=median_us, inference_p95_us=high_us)

    def set_max_fps(self, max_fps: float | None) -> None:
        """Look at no more frames a second than this from now on; may be called from another thread.

        Raises:
            ValueError: not above 0.
        """
        self._rate.set(max_fps)

    def state(self) -> bytes:
        """Return what a pipeline that takes over needs to know. Call it from the thread that runs this one.

        After a batch of `batches` it covers exactly what that batch and those before it said: kept or sent together
        with them, nothing is told twice and nothing is lost.
        """
        return self._tracker.state()

    def run(self, stop: Callable[[], bool]) -> Iterator[Seen]:
        """Yield what happens as it happens, until the source ends or ``stop()``; then what was still being followed.

        Raises:
            CameraError: the camera is gone; every open track has been yielded before.
            ModelError: the detector refused a frame.
        """
        try:
            for batch in self.batches(stop):
                yield from batch
        except CameraError:
            yield from self.ending()
            raise

    def batches(self, stop: Callable[[], bool]) -> Iterator[tuple[Seen, ...]]:
        """Yield what happened after each frame of the camera, often nothing; at the end what was still followed.

        Raises:
            CameraError: the camera is gone. Open tracks stay open: take their `ending`, or hand `state` on.
            ModelError: the detector refused a frame.
        """
        while not stop():
            frame = self._camera.read()
            if frame is None:
                break
            yield self._counted(self._take(frame))
        yield self.ending()

    def ending(self) -> tuple[Seen, ...]:
        """End and return every open track."""
        return self._counted(self._tracker.finish())

    def _take(self, frame: Frame) -> tuple[Seen, ...]:
        at_ms = frame.captured_at_ms
        if not self._rate.lets_through(at_ms):
            self._stats = replace(self._stats, skipped=self._stats.skipped + 1)
            return ()
        if self._resume is not None:
            self._tracker.resume(self._resume, at_ms)
            self._resume = None
        frame = replace(frame, image_bgr=self._masks.paint(frame.image_bgr))
        ended = self._step_back() if self._is_step_back(at_ms) else ()
        self._stats = replace(self._stats, frames=self._stats.frames + 1, last_frame_at_ms=at_ms)
        if self._stuck.is_stuck(frame.image_bgr, at_ms):
            return ended  # time in which nobody looks; the tracker knows what to make of it
        if self._gate is not None and not self._gate.wants(frame.image_bgr, at_ms, self._tracker):
            self._tracker.rest(at_ms)
            return ended
        height, width = frame.image_bgr.shape[:2]
        return ended + self._tracker.update(self._detect(frame), at_ms, frame_px=(width, height))

    def _detect(self, frame: Frame) -> tuple[Detection, ...]:
        started_ns = self._stopwatch_ns()
        detections = self._wanted(self._detector.detect(frame.image_bgr))
        took_us = (self._stopwatch_ns() - started_ns) // 1000
        self._times.add(took_us)
        before = self._stats
        self._stats = replace(
            before,
            inferred=before.inferred + 1,
            detections=before.detections + len(detections),
            inference_us=before.inference_us + took_us,
        )
        return detections

    def _is_step_back(self, at_ms: UnixMs) -> bool:
        return self._stats.last_frame_at_ms is not None and at_ms <= self._stats.last_frame_at_ms

    def _step_back(self) -> tuple[Seen, ...]:
        """Times before and after a backward step cannot be told apart, so no track may span it."""
        self._stats = replace(self._stats, clock_steps=self._stats.clock_steps + 1)
        if self._gate is not None:
            self._gate.forget()
        return self._tracker.finish()

    def _wanted(self, detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
        class_ids = self._settings.class_ids
        if class_ids is None:
            return detections
        return tuple(each for each in detections if each.class_id in class_ids)

    def _counted(self, seen: tuple[Seen, ...]) -> tuple[Seen, ...]:
        if seen:
            before = self._stats
            self._stats = replace(
                before,
                tracks=before.tracks + sum(isinstance(each, FinishedTrack) and not each.continues for each in seen),
                crossings=before.crossings + sum(isinstance(each, Crossing) for each in seen),
                stays=before.stays + sum(isinstance(each, Stay) for each in seen),
            )
        return seen
