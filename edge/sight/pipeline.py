"""Camera -> masks -> gate -> detector -> tracker: frames in, finished tracks out. Frames go no further than this.

The camera reads ahead in its own thread (edge/camera/prefetch.py, edge/camera/live.py), so capture overlaps inference.
The pipeline owns the frames it is given: privacy masks are painted into them before anything looks at them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edge.camera.frame import Camera, CameraError, Frame
from edge.detector.detection import AheadDetector, Detection, Detector
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.gate import Gate
from edge.sight.masks import Masks
from edge.sight.pace import RateLimit, StuckPicture
from edge.sight.polygon import Permille
from edge.sight.stats import InferenceTimes, PipelineStats
from edge.sight.tracker import Tracker
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
    works_ahead: bool = True  # without a gate: whether the model may work on a frame while the one before is tracked


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
        self.tracked_read_at_ns = 0  # `Frame.read_at_ns` of the frame that the tracker saw last

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
        detector = self._detector
        # The gate must know what the frame before has shown; without it the model need never wait for the rest.
        if self._gate is None and self._settings.works_ahead and isinstance(detector, AheadDetector):
            yield from self._batches_ahead(stop, detector)
        else:
            for frame in self._frames(stop):
                yield self._counted(self._take(frame))
        yield self.ending()

    def _batches_ahead(self, stop: Callable[[], bool], detector: AheadDetector) -> Iterator[tuple[Seen, ...]]:
        """Yield what happened after each frame, one frame late: the model already works on the next one."""
        under_way: Frame | None = None
        try:
            for frame in self._frames(stop):
                if under_way is not None and self._is_step_back(frame.captured_at_ms):
                    yield self._late(under_way, detector)
                    under_way = None
                painted, ended = self._prepared(frame)
                if ended:
                    yield self._counted(ended)
                if self._stuck.is_stuck(painted.image_bgr, painted.captured_at_ms):
                    continue
                detector.submit(painted.image_bgr)
                if under_way is not None:
                    yield self._late(under_way, detector)
                under_way = painted
        except CameraError:
            if under_way is not None:
                yield self._late(under_way, detector)
            raise
        if under_way is not None:
            yield self._late(under_way, detector)

    def _late(self, frame: Frame, detector: AheadDetector) -> tuple[Seen, ...]:
        return self._counted(self._track(frame, detector.result(), took_us=detector.took_us))

    def _frames(self, stop: Callable[[], bool]) -> Iterator[Frame]:
        """Yield the frames that the rate lets through, until the source ends or ``stop()``."""
        while not stop():
            frame = self._camera.read()
            if frame is None:
                return
            if self._rate.lets_through(frame.captured_at_ms):
                yield frame
            else:
                self._stats = replace(self._stats, skipped=self._stats.skipped + 1)

    def ending(self) -> tuple[Seen, ...]:
        """End and return every open track."""
        return self._counted(self._tracker.finish())

    def _take(self, frame: Frame) -> tuple[Seen, ...]:
        at_ms = frame.captured_at_ms
        frame, ended = self._prepared(frame)
        if self._stuck.is_stuck(frame.image_bgr, at_ms):
            return ended  # time in which nobody looks; the tracker knows what to make of it
        if self._gate is not None and not self._gate.wants(frame.image_bgr, at_ms, self._tracker):
            self._tracker.rest(at_ms)
            return ended
        started_ns = self._stopwatch_ns()
        found = self._detector.detect(frame.image_bgr)
        return ended + self._track(frame, found, took_us=(self._stopwatch_ns() - started_ns) // 1000)

    def _prepared(self, frame: Frame) -> tuple[Frame, tuple[Seen, ...]]:
        """Return the frame with its masks painted, and what ended because the clock has stepped back."""
        at_ms = frame.captured_at_ms
        if self._resume is not None:
            self._tracker.resume(self._resume, at_ms)
            self._resume = None
        frame = replace(frame, image_bgr=self._masks.paint(frame.image_bgr))
        ended = self._step_back() if self._is_step_back(at_ms) else ()
        self._stats = replace(self._stats, frames=self._stats.frames + 1, last_frame_at_ms=at_ms)
        return frame, ended

    def _track(self, frame: Frame, found: tuple[Detection, ...], *, took_us: int) -> tuple[Seen, ...]:
        """Let the tracker know what was found in ``frame``."""
        self.tracked_read_at_ns = frame.read_at_ns
        detections = self._wanted(found)
        self._times.add(took_us)
        before = self._stats
        self._stats = replace(
            before,
            inferred=before.inferred + 1,
            detections=before.detections + len(detections),
            inference_us=before.inference_us + took_us,
        )
        height, width = frame.image_bgr.shape[:2]
        return self._tracker.update(detections, frame.captured_at_ms, frame_px=(width, height))

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
