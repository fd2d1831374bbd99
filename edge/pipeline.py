"""Camera -> detector -> tracker: frames in, finished tracks out. Frames go no further than this.

The camera reads ahead in its own thread (edge/camera/prefetch.py, edge/camera/live.py), so capture overlaps inference.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from edge.camera.frame import Camera, CameraError, Frame
from edge.detector.detection import Detection, Detector
from edge.track import FinishedTrack
from edge.tracker import Tracker
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """What the pipeline has done so far."""

    frames: int = 0
    detections: int = 0  # of the wanted classes
    tracks: int = 0  # finished; parts of one long stay count once
    inference_us: int = 0  # preprocessing, model and box decoding together
    clock_steps: int = 0  # how often frame time went backwards and every track was ended
    last_frame_at_ms: UnixMs | None = None

    @property
    def inference_ms_mean(self) -> float:
        """Milliseconds a frame, 0 before the first."""
        return self.inference_us / 1000 / self.frames if self.frames else 0.0


class Pipeline:
    """One camera's way from pictures to tracks."""

    def __init__(
        self,
        camera: Camera,
        detector: Detector,
        tracker: Tracker,
        *,
        class_ids: frozenset[int] | None = None,
        stopwatch_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Put the parts together.

        Args:
            camera: stays the caller's to close.
            detector: any detector.
            tracker: a fresh one.
            class_ids: the only classes of interest; all where not given.
            stopwatch_ns: measures inference; any monotonic clock.
        """
        self._camera = camera
        self._detector = detector
        self._tracker = tracker
        self._class_ids = class_ids
        self._stopwatch_ns = stopwatch_ns
        self._stats = PipelineStats()

    @property
    def stats(self) -> PipelineStats:
        """The counters as they stand; may be read from another thread."""
        return self._stats

    def run(self, stop: Callable[[], bool]) -> Iterator[FinishedTrack]:
        """Yield tracks as they end, until the source ends or ``stop()``; then what was still being followed.

        Raises:
            CameraError: the camera is gone; every open track has been yielded before.
            ModelError: the detector refused a frame.
        """
        lost: CameraError | None = None
        while not stop():
            try:
                frame = self._camera.read()
            except CameraError as error:
                lost = error
                break
            if frame is None:
                break
            yield from self._counted(self._take(frame))
        yield from self._counted(self._tracker.finish())
        if lost is not None:
            raise lost

    def _take(self, frame: Frame) -> tuple[FinishedTrack, ...]:
        before = self._stats
        is_step_back = before.last_frame_at_ms is not None and frame.captured_at_ms <= before.last_frame_at_ms
        # Times before and after a backward step cannot be told apart, so no track may span it.
        ended = self._tracker.finish() if is_step_back else ()
        started_ns = self._stopwatch_ns()
        detections = self._wanted(self._detector.detect(frame.image_bgr))
        self._stats = PipelineStats(
            frames=before.frames + 1,
            detections=before.detections + len(detections),
            tracks=before.tracks,
            inference_us=before.inference_us + (self._stopwatch_ns() - started_ns) // 1000,
            clock_steps=before.clock_steps + is_step_back,
            last_frame_at_ms=frame.captured_at_ms,
        )
        height, width = frame.image_bgr.shape[:2]
        return ended + self._tracker.update(detections, frame.captured_at_ms, frame_px=(width, height))

    def _wanted(self, detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
        if self._class_ids is None:
            return detections
        return tuple(each for each in detections if each.class_id in self._class_ids)

    def _counted(self, tracks: tuple[FinishedTrack, ...]) -> Iterator[FinishedTrack]:
        self._stats = replace(self._stats, tracks=self._stats.tracks + sum(not t.continues for t in tracks))
        yield from tracks
