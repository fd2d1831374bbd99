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
from edge.pipeline import Pipeline, PipelineStats
from edge.tracker import Tracker
from protocol.classes import class_name
from protocol.units import UnixMs

_REPORT_EVERY_S: Final = 1.0
Report = Callable[[PipelineStats, int], None]  # what has been done, and how many ms the recording lasts (0: unknown)


def replay(
    video: Path,
    *,
    model: OpenedModel,
    class_ids: frozenset[int] | None,
    monotonic_s: Callable[[], float],
    report: Report,
) -> dict[str, object]:
    """Return what was counted, as plain values for JSON.

    Args:
        video: a file that can be decoded; its first frame stands for time 0.
        model: the model to look with.
        class_ids: what to count; None for everything.
        monotonic_s: a clock that measures the replay.
        report: told about once a second.

    Raises:
        CameraError: the video cannot be read.
        ModelError: the model refused a frame.
    """
    recording = VideoFileCamera(video, started_at_ms=UnixMs(0))
    duration_ms = recording.duration_ms
    counts: Counter[int] = Counter()
    began_s = monotonic_s()
    is_over = threading.Event()
    with PrefetchedCamera(recording) as camera:
        pipeline = Pipeline(camera, model.detector, Tracker(), class_ids=class_ids)
        reporter = threading.Thread(target=_report, args=(pipeline, duration_ms, report, is_over), daemon=True)
        reporter.start()
        try:
            for track in pipeline.run(lambda: False):
                counts[track.class_id] += not track.continues
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
        "counts": {class_name(class_id): counts[class_id] for class_id in sorted(counts) if counts[class_id]},
        "tracks": stats.tracks,
        "frames": stats.frames,
        "recording_ms": duration_ms,
        "took_ms": int(lasted_s * 1000),
        "fps": round(stats.frames / lasted_s, 1),
        "inference_ms_mean": round(stats.inference_ms_mean, 2),
        "peak_rss_kib": peak_rss_kib(),
    }


def _report(pipeline: Pipeline, duration_ms: int, report: Report, is_over: threading.Event) -> None:
    while not is_over.wait(_REPORT_EVERY_S):
        report(pipeline.stats, duration_ms)
