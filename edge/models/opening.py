"""From a model file to a detector that has passed its self-test.

A file is read by the manifest beside it (``name.onnx``, ``name.toml``). Without one it is recognised by its SHA-256
among the shipped manifests, else by its exact shapes: that is only a guess, so it is said aloud, and the
self-test decides.
"""

import hashlib
import re
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from edge.detector.manifest import ModelManifest, load_manifest
from edge.detector.model import ModelDetector
from edge.detector.runners.finding import ONNX_RUNTIME
from edge.detector.selftest import selftest
from edge.detector.session import SessionOptions
from edge.log import get_logger
from edge.models.errors import ModelError
from edge.models.shipped import SHIPPED_FOLDER, catalogued_manifests

MODEL_MAX_BYTES = 500_000_000

log = get_logger()


@dataclass(frozen=True, slots=True)
class OpenedModel:
    """A model that is ready to work."""

    detector: ModelDetector
    manifest: ModelManifest
    is_official: bool  # the file's SHA-256 is the one its manifest pins
    manifest_folder: Path  # where the manifest and the self-test picture lie


def open_model(path: Path, *, options: SessionOptions | None = None) -> OpenedModel:
    """Load the ONNX file ``path``, warm it up and run its self-test.

    Raises:
        ModelError: unreadable, unknown, not what its manifest says, or it fails its self-test.
    """
    model = read_model(path)
    beside = path.with_suffix(".toml")
    if beside.is_file():
        opened = _open_as(model, load_manifest(beside), beside.parent, options)
        if not opened.is_official:
            raise ModelError(
                f"{path} is not the file that {beside.name} describes (its SHA-256 differs): get the file again, "
                "or write its own manifest."
            )
    else:
        opened = _recognise(model, path, options)
    check_picture(opened.manifest, opened.manifest_folder)
    selftest(opened.detector, opened.manifest, folder=opened.manifest_folder)
    return opened


def check_picture(manifest: ModelManifest, folder: Path) -> None:
    """Return if the self-test picture in ``folder`` is the one that ``manifest`` pins, or it pins none.

    Raises:
        ModelError: it is another, or missing.
    """
    picture = folder / manifest.selftest.image
    try:
        found = hashlib.sha256(picture.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(
            f"The self-test picture {picture} is missing or broken: put it beside the manifest."
        ) from error
    if manifest.selftest.image_sha256 not in {None, found}:
        raise ModelError(f"The self-test picture {picture} is not the one that its manifest pins: add the model again.")


def read_model(path: Path) -> bytes:
    """Return the bytes of the file ``path``.

    Raises:
        ModelError: it cannot be read or is too big to be a model for this agent.
    """
    try:
        size = path.stat().st_size
        if size > MODEL_MAX_BYTES:
            raise ModelError(f"{path} has {size} bytes, more than {MODEL_MAX_BYTES}: choose a smaller model.")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"Cannot read the model {path}: {error}. Check the path.") from error


def _recognise(model: bytes, path: Path, options: SessionOptions | None) -> OpenedModel:
    digest_hex = hashlib.sha256(model).hexdigest()
    manifests = sorted(catalogued_manifests(), key=lambda manifest: manifest.sha256 != digest_hex)
    refusal: ModelError | None = None
    for manifest in manifests:
        try:
            opened = _open_as(model, manifest, SHIPPED_FOLDER, options)
        except ModelError as error:
            refusal = refusal or error
            continue
        if not opened.is_official:
            log.warning("model_file_unofficial", path=str(path), read_as=manifest.name, sha256=digest_hex)
        return opened
    raise ModelError(
        f"{path} is no model that this agent knows; write a manifest {path.with_suffix('.toml').name} beside it. "
        f"Read as {manifests[0].name}: {refusal}"
    ) from refusal


def _open_as(model: bytes, manifest: ModelManifest, folder: Path, options: SessionOptions | None) -> OpenedModel:
    _check_runtime(manifest, options)
    detector = ModelDetector(model, manifest, options=options)
    return OpenedModel(
        detector=detector,
        manifest=manifest,
        is_official=detector.model_digest.hex() == manifest.sha256,
        manifest_folder=folder,
    )


def _check_runtime(manifest: ModelManifest, options: SessionOptions | None) -> None:
    if ((options and options.runner) or manifest.runner) != ONNX_RUNTIME:
        return
    have = str(import_module("onnxruntime").__version__)  # late: other runners do without it
    if _numbers(have) < _numbers(manifest.min_onnxruntime):
        raise ModelError(
            f"{manifest.name} needs ONNX Runtime {manifest.min_onnxruntime} or newer, this device has {have}: "
            "update the agent."
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", version)[:3])
