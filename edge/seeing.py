"""Interim."""

from dataclasses import dataclass
from typing import Any

from edge.opening import class_ids_of
from edge.pipeline import Pipeline
from edge.track import FinishedTrack
from edge.tracker import Tracker
from protocol.observation import Track

_NO_SKETCH = b""

__all__ = ["build_pipeline", "observation_of"]


@dataclass
class _Stats:
    frames: int = 0
    inferred: int = 0
    skipped: int = 0
    detections: int = 0
    tracks: int = 0
    inference_p50_us: int = 0
    inference_p95_us: int = 0
    clock_steps: int = 0


class _Interim(Pipeline):
    @property
    def stats(self) -> Any:
        old = super().stats
        return _Stats(old.frames, old.frames, 0, old.detections, old.tracks, 0, 0, old.clock_steps)

    def state(self) -> bytes:
        return b""

    def set_max_fps(self, _fps: float | None) -> None:
        pass


def build_pipeline(settings: Any, camera: Any, detector: Any, *, resume: bytes | None) -> Any:
    return _Interim(camera, detector, Tracker(), class_ids=class_ids_of(settings.model.classes))


def observation_of(track: FinishedTrack) -> Track:
    """Return what leaves the device of a finished track: no boxes, no path."""
    return Track(
        track_id=track.track_id,
        class_id=track.class_id,
        first_seen_ms=track.first_seen_ms,
        last_seen_ms=track.last_seen_ms,
        confidence_ppm=track.confidence_ppm,
        detections=track.detections,
        continues=track.continues,
        sketch=_NO_SKETCH,
    )
