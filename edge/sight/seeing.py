"""From settings to a pipeline: what the process that looks is made of. It imports numpy."""

from edge.camera.frame import Camera
from edge.cores import has_second_core
from edge.detector.detection import Detector
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.looking import CameraSettings, VisionSettings
from edge.sight.opening import class_ids_of
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.places import Places
from edge.sight.tracker import Tracker
from protocol.observation import Crossing, Stay, Track

_NO_SKETCH = b""  # no model of ours defines an evidence sketch yet


def build_pipeline(
    settings: VisionSettings, camera: Camera, detector: Detector, *, resume: bytes | None = None, ids_after: int = 0
) -> Pipeline:
    """Return the pipeline that ``settings`` describe.

    Args:
        settings: the device's.
        camera: stays the caller's to close; the frames it gives are painted on.
        detector: any detector.
        resume: the `Pipeline.state` of the process before this one, if it was killed; damaged bytes are ignored.
        ids_after: the greatest track id that was told of in this boot: used no more, whatever ``resume`` says.

    Raises:
        MaskError: a privacy mask is malformed: do not start.
        ModelError: a class to look for is unknown.
    """
    return Pipeline(
        camera,
        detector,
        Tracker(places=places_of(settings.camera), ids_after=ids_after),
        settings=PipelineSettings(
            class_ids=class_ids_of(settings.model.classes),
            masks=settings.privacy.masks,
            is_gated=settings.camera.gate == "auto",
            max_fps=settings.camera.max_fps or None,
            resume=resume,
            works_ahead=has_second_core(),
        ),
    )


def observation_of(seen: Seen) -> Track | Crossing | Stay:
    """Return what leaves the device of what was seen: of a finished track no boxes and no path."""
    if not isinstance(seen, FinishedTrack):
        return seen
    return Track(
        track_id=seen.track_id,
        class_id=seen.class_id,
        first_seen_ms=seen.first_seen_ms,
        last_seen_ms=seen.last_seen_ms,
        confidence_ppm=seen.confidence_ppm,
        detections=seen.detections,
        continues=seen.continues,
        sketch=_NO_SKETCH,
    )


def places_of(settings: CameraSettings) -> Places:
    """Return the lines and zones to watch."""
    return Places([(line.begin, line.end) for line in settings.lines], [zone.polygon for zone in settings.zones])
