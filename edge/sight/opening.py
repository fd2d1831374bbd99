"""From the words in the settings to a camera and a detector that has passed its self-test."""

from collections.abc import Callable, Sequence
from pathlib import Path

from edge.camera.frame import Camera
from edge.camera.opening import open_camera
from edge.camera.recorded import FolderCamera, VideoFileCamera
from edge.detector.detection import ModelError
from edge.detector.session import SessionOptions
from edge.models.opening import OpenedModel, open_model
from edge.models.versions import ModelVersions
from edge.place import MODELS_FOLDER
from protocol.classes import COCO_CLASSES
from protocol.units import UnixMs


def open_named_model(name_or_path: str, *, directory: Path, options: SessionOptions) -> OpenedModel:
    """Return the model of the device's store, or of a path that ends in ``.onnx``, ready to work.

    Raises:
        ModelError: unknown, or it fails its self-test.
    """
    if name_or_path.endswith(".onnx"):
        path = Path(name_or_path).expanduser()
    else:
        path = ModelVersions(directory / MODELS_FOLDER).path_named(name_or_path)
    return open_model(path, options=options)


def open_timed_camera(source: str, *, now_ms: Callable[[], UnixMs], folder_fps: float) -> Camera:
    """Return the camera that ``source`` names; a video file or a folder ends at the present moment.

    A recording is read faster than it was made. Were its first frame now, its last would lie in the future, and an
    envelope would tell of what has not happened yet.

    Raises:
        CameraError: no such source.
    """
    started_at_ms: UnixMs | None = None
    path = Path(source).expanduser()
    if "://" not in source and path.is_file():
        with VideoFileCamera(path, started_at_ms=UnixMs(0)) as recording:
            started_at_ms = UnixMs(now_ms() - recording.duration_ms)
    elif "://" not in source and path.is_dir():
        with FolderCamera(path, fps=folder_fps, started_at_ms=UnixMs(0)) as pictures:
            started_at_ms = UnixMs(now_ms() - pictures.duration_ms)
    return open_camera(source, now_ms=now_ms, started_at_ms=started_at_ms, folder_fps=folder_fps)


def class_ids_of(words: Sequence[str]) -> frozenset[int] | None:
    """Return the vocabulary's numbers for ``words``; None (all) for no words.

    Raises:
        ModelError: a word is not in the vocabulary.
    """
    unknown = [word for word in words if word not in COCO_CLASSES]
    if unknown:
        raise ModelError(f"{unknown[0]!r} is no class: choose from {', '.join(COCO_CLASSES)}")
    return frozenset(COCO_CLASSES.index(word) for word in words) or None
