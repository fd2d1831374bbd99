"""A catalogue is a folder of manifests with their self-test pictures; one ships with the agent."""

from pathlib import Path

from edge.detector.manifest import ModelManifest, load_manifest
from edge.models.errors import ModelError
from edge.models.versions import SHIPPED_FOLDER

__all__ = ["SHIPPED_FOLDER", "catalogued_manifest", "catalogued_manifests"]


def catalogued_manifests(catalogue: Path = SHIPPED_FOLDER) -> tuple[ModelManifest, ...]:
    """Return every manifest of ``catalogue``, by file name.

    Raises:
        ModelError: one of them is not valid.
    """
    return tuple(load_manifest(path) for path in sorted(catalogue.glob("*.toml")))


def catalogued_manifest(name: str, catalogue: Path = SHIPPED_FOLDER) -> ModelManifest:
    """Return the manifest called ``name``; it is the file ``name.toml``.

    Raises:
        ModelError: there is none.
    """
    known = [path.stem for path in sorted(catalogue.glob("*.toml"))]
    if name not in known:
        raise ModelError(f"There is no model called {name!r}: give {' or '.join(known)}, or the path of an .onnx file.")
    return load_manifest(catalogue / f"{name}.toml")
