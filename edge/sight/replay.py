"""A recording through the whole seeing half, offline: what would this device count? Nothing is signed or sent."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.camera.prefetch import PrefetchedCamera
from edge.camera.recorded import VideoFileCamera
from edge.memory import peak_rss_kib
from edge.models.opening import OpenedModel
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.places import Places
from edge.sight.stats import PipelineStats
from edge.sight.tracker import Tracker
from protocol.classes import class_name
from protocol.observation import Crossing
from protocol.units import UnixMs

_REPORT_EVERY_S: Final = 1.0
Report = Callable[[PipelineStats, int], None]  # what has been done, and how many ms the recording lasts (0: unknown)


def replay(
    video: Path,
    *,
    model: OpenedModel,
    settings: PipelineSettings,
    places: Places,
    monotonic_s: Callable[[], float],
    report: Report,
) -> dict[str, object]:
    """Return what was counted, as plain values for JSON.

    Args:
        video: a file that can be decoded; its first frame stands for time 0.
        model: the model to look with.
        settings: what to count, and how closely to look.
        places: lines and zones to watch.
        monotonic_s: a clock that measures the replay.
        report: told about once a second.

    Raises:
        CameraError: the video cannot be read.
        ModelError: the model refused a frame.
    """
    recording = VideoFileCamera(video, started_at_ms=UnixMs(0))
    duration_ms = recording.duration_ms
    tally = _Tally()
    began_s = monotonic_s()
    is_over = threading.Event()
    with PrefetchedCamera(recording) as camera:
        pipeline = Pipeline(camera, model.detector, Tracker(places=places), settings=settings)
        reporter = threading.Thread(target=_report, args=(pipeline, duration_ms, report, is_over), daemon=True)
        reporter.start()
        try:
            for seen in pipeline.run(lambda: False):
                tally.note(seen)
        finally:
            is_over.set()
            reporter.join()
    lasted_s = max(monotonic_s() - began_s, 1e-6)
    stats = pipeline.stats
    return {
        "video": str(video),
        "model": model.manifest.name,
        "model_sha256": model.detector.model_digest.hex(),
        "provider": model.detector.provider,
        "counts": {class_name(class_id): count for class_id, count in sorted(tally.counts.items()) if count},
        "tracks": stats.tracks,
        "lines": [
            {"line": line, "forward": tally.crossings[line, True], "backward": tally.crossings[line, False]}
            for line in range(places.lines)
        ],
        "zones": [
            {"zone": zone, "stays": tally.stays[zone], "stayed_ms": tally.stayed_ms[zone]}
            for zone in range(places.zones)
        ],
        "frames": stats.frames,
        "inferred": stats.inferred,
        "inferred_ppm": stats.inferred_ppm,
        "recording_ms": duration_ms,
        "took_ms": int(lasted_s * 1000),
        "fps": round(stats.frames / lasted_s, 1),
        "inference_ms_mean": round(stats.inference_ms_mean, 2),
        "inference_p50_us": stats.inference_p50_us,
        "inference_p95_us": stats.inference_p95_us,
        "peak_rss_kib": peak_rss_kib(),
    }


class _Tally:
    """What has been seen so far."""

    def __init__(self) -> None:
        self.counts: Counter[int] = Counter()
        self.crossings: Counter[tuple[int, bool]] = Counter()
        self.stays: Counter[int] = Counter()
        self.stayed_ms: Counter[int] = Counter()

    def note(self, seen: Seen) -> None:
        """Count ``seen`` in."""
        if isinstance(seen, FinishedTrack):
            self.counts[seen.class_id] += not seen.continues
        elif isinstance(seen, Crossing):
            self.crossings[seen.line, seen.is_forward] += 1
        else:
            self.stays[seen.zone] += 1
            self.stayed_ms[seen.zone] += seen.left_at_ms - seen.entered_at_ms


def _report(pipeline: Pipeline, duration_ms: int, report: Report, is_over: threading.Event) -> None:
    while not is_over.wait(_REPORT_EVERY_S):
        report(pipeline.stats, duration_ms)
