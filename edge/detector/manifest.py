"""A model manifest: everything a detector must know about a model file that the file itself cannot be trusted on.

Layouts of different model families share shapes, and file names, output names and class counts lie, so the
only safe way is a manifest that says what to expect plus a self-test picture that shows it.

The file is TOML with a closed schema. Beside ``name.onnx`` stands ``name.toml``::

    name = "yolox-nano"          # lower case words joined by dashes; also the file stem in a model store
    version = "0.1.1rc0"
    sha256 = "c789..."           # of the ONNX file, 64 hex digits
    size_bytes = 3659407
    licence = "Apache-2.0"       # SPDX
    source = "https://..."       # where the file comes from
    mirrors = ["https://..."]    # where else it is to be had
    training = "COCO train2017"  # what it learnt from
    task = "detection"
    capability = "standard"      # how much its word may weigh as evidence: "high", "standard", "low"
    min_onnxruntime = "1.16"     # an older runtime does not load it
    opset = 11                   # of the ONNX file
    rollback_index = 0           # raised when older versions must never come back
    expires = 2028-01-01         # not to be installed from that day on, UTC; models from elsewhere must have one
    bench = [["Raspberry Pi 5, 1 core", 40]]  # where, milliseconds a frame
    labels = ["person", ...]     # in the order of the model's classes, words of protocol.classes; "": not wanted
    runner = "onnxruntime"       # who runs the file: edge.detector.runners.finding

    [input]                      # value = (pixel * scale - mean) / std, per channel, in the order of `color`
    width = 416
    height = 416
    layout = "nchw"              # or "nhwc"
    color = "bgr"                # or "rgb"
    dtype = "float32"            # or "float16", or "uint8" (the pixels as they are)
    scale = 1.0
    mean = [0.0, 0.0, 0.0]
    std = [1.0, 1.0, 1.0]
    resize = "letterbox"         # keeps the aspect; or "stretch"
    anchor = "top_left"          # where a letterboxed picture lies; or "center"
    pad = 114                    # pixel value beside a letterboxed picture

    [output]
    adapter = "yolox_raw"        # one of edge.detector.layouts, with the fields of that one
    strides = [8, 16, 32]

    [thresholds]
    score_ppm = 100000           # below this nothing leaves the detector
    nms_iou_ppm = 450000

    [selftest]
    image = "yolox-nano-selftest.png"     # beside the manifest
    image_sha256 = "..."         # of the picture; models from elsewhere must have one
    boxes = [["stop sign", 10, 20, 30, 40]]  # label, left, top, right, bottom: all of these, no others
    min_iou_ppm = 800000
    min_score_ppm = 300000       # boxes weaker than this are not looked at
"""

import re
import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge.detector.detection import ModelError
from edge.detector.layouts import Output, needs_whole_cells, strides_of
from edge.sight.boxes import BoxPx
from protocol.classes import COCO_CLASSES
from protocol.modelmanifest import HexDigest, RollbackIndex
from protocol.units import PPM_ONE

MANIFEST_MAX_BYTES = 65_536
UNWANTED = -1  # of a class that the network has no word for, or that a model never says
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_IMAGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

_Ppm = Annotated[int, Meta(ge=0, le=PPM_ONE)]
_SidePx = Annotated[int, Meta(ge=8, le=4096)]
_Three = tuple[float, float, float]


class InputSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """How a frame becomes the model's input tensor."""

    width: _SidePx
    height: _SidePx
    color: Literal["bgr", "rgb"] = "bgr"
    scale: float = 1.0
    mean: _Three = (0.0, 0.0, 0.0)
    std: _Three = (1.0, 1.0, 1.0)
    resize: Literal["letterbox", "stretch"] = "letterbox"
    pad: Annotated[int, Meta(ge=0, le=255)] = 114
    layout: Literal["nchw", "nhwc"] = "nchw"
    dtype: Literal["float32", "uint8", "float16"] = "float32"
    anchor: Literal["top_left", "center"] = "top_left"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The input tensor's shape."""
        if self.layout == "nchw":
            return (1, 3, self.height, self.width)
        return (1, self.height, self.width, 3)

    @property
    def is_plain(self) -> bool:
        """Whether the tensor holds the pixels' own values."""
        return self.scale == 1.0 and self.mean == (0, 0, 0) and self.std == (1, 1, 1)


class Thresholds(Struct, frozen=True, forbid_unknown_fields=True):
    """What leaves the detector, in parts per million."""

    score_ppm: _Ppm
    nms_iou_ppm: _Ppm


class ExpectedBox(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One box that must be found in the self-test picture, in its pixels; right and bottom exclusive."""

    label: str
    left: int
    top: int
    right: int
    bottom: int

    @property
    def box_px(self) -> BoxPx:
        """The box as the rest of the agent writes boxes."""
        return (self.left, self.top, self.right, self.bottom)


class SelfTest(Struct, frozen=True, forbid_unknown_fields=True):
    """A picture and exactly what must be found in it."""

    image: str
    boxes: Annotated[tuple[ExpectedBox, ...], Meta(min_length=1, max_length=100)]
    min_iou_ppm: _Ppm
    min_score_ppm: _Ppm = 300_000
    image_sha256: HexDigest | None = None


class BenchNote(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How fast it ran somewhere: whoever wrote the manifest says so, nobody checks it."""

    device: Annotated[str, Meta(max_length=100)]
    frame_ms: Annotated[float, Meta(gt=0, le=600_000)]


class ModelManifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A model manifest as the module header describes it; valid once ``parse_manifest`` returned it."""

    name: Annotated[str, Meta(max_length=64)]
    version: Annotated[str, Meta(max_length=64)]
    sha256: str
    size_bytes: Annotated[int, Meta(ge=1, le=2_000_000_000)]
    licence: Annotated[str, Meta(min_length=1, max_length=100)]
    source: Annotated[str, Meta(max_length=500)]
    mirrors: Annotated[tuple[Annotated[str, Meta(max_length=500)], ...], Meta(max_length=8)] = ()
    training: Annotated[str, Meta(max_length=500)] = ""
    task: Literal["detection"] = "detection"
    capability: Literal["high", "standard", "low"] = "standard"
    min_onnxruntime: Annotated[str, Meta(pattern=r"^[0-9]{1,4}(\.[0-9]{1,4}){1,2}\Z")] = "1.0"
    opset: Annotated[int, Meta(ge=1, le=1_000)] | None = None
    rollback_index: RollbackIndex = 0
    expires: date | None = None
    bench: Annotated[tuple[BenchNote, ...], Meta(max_length=32)] = ()
    labels: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1000)]
    input: InputSpec
    output: Output
    thresholds: Thresholds
    selftest: SelfTest
    runner: Annotated[str, Meta(min_length=1, max_length=64)] = "onnxruntime"

    @property
    def class_ids(self) -> tuple[int, ...]:
        """For each of the model's classes its index in protocol.classes.COCO_CLASSES, or UNWANTED."""
        return tuple(COCO_CLASSES.index(label) if label else UNWANTED for label in self.labels)


def parse_manifest(text: str, *, origin: str) -> ModelManifest:
    """Return the manifest that ``text`` writes down, checked; ``origin`` names it in errors.

    Raises:
        ModelError: not TOML, an unknown or missing field, a value out of range, a label outside the vocabulary.
    """
    try:
        manifest = msgspec.convert(tomllib.loads(text), ModelManifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ModelError(f"The model manifest {origin} is not valid: {error}. Correct that field.") from error
    problem = _problem_of(manifest)
    if problem:
        raise ModelError(f"The model manifest {origin} is not valid: {problem}")
    return manifest


def load_manifest(path: Path) -> ModelManifest:
    """Return the checked manifest in the file ``path``.

    Raises:
        ModelError: the file cannot be read, is too long, or is not a valid manifest.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"Cannot read the model manifest {path}: {error}. Check the path.") from error
    if len(raw) > MANIFEST_MAX_BYTES:
        raise ModelError(f"{path} has {len(raw)} bytes: a manifest has at most {MANIFEST_MAX_BYTES}. Wrong file?")
    return parse_manifest(text, origin=str(path))


def _problem_of(manifest: ModelManifest) -> str | None:
    """Say in one sentence what the schema alone cannot see, or None."""
    if not _NAME.fullmatch(manifest.name):
        return f"name {manifest.name!r} must be lower-case words joined by dashes, like yolox-nano."
    if not re.fullmatch(r"[0-9a-f]{64}", manifest.sha256):
        return "sha256 must be 64 lower-case hex digits: run sha256sum on the ONNX file."
    return (
        _problem_of_labels(manifest.labels)
        or _problem_of_strides(manifest)
        or _problem_of_input(manifest.input)
        or _problem_of_selftest(manifest)
    )


def _problem_of_labels(labels: tuple[str, ...]) -> str | None:
    words = [label for label in labels if label]
    unknown = [word for word in words if word not in COCO_CLASSES]
    if unknown:
        return f'label {unknown[0]!r} is not in the network\'s vocabulary; use the words of protocol.classes, or "".'
    if len(set(words)) != len(words):
        return "a label occurs twice; each class has its own word."
    return None if words else "none of the labels is a word: there is nothing to find."


def _problem_of_strides(manifest: ModelManifest) -> str | None:
    width, height, strides = manifest.input.width, manifest.input.height, strides_of(manifest.output)
    for stride in strides if needs_whole_cells(manifest.output) else ():
        if width % stride or height % stride:
            return f"input {width}x{height} is not a multiple of stride {stride}; correct input or strides."
    return "a stride occurs twice." if len(set(strides)) != len(strides) else None


def _problem_of_input(spec: InputSpec) -> str | None:
    if not all(0 < deviation < float("inf") for deviation in spec.std):
        return "every value of input.std must be above 0."
    if not all(abs(number) < 1e9 for number in (spec.scale, *spec.mean)) or spec.scale <= 0:
        return "input.scale must be above 0, and scale and mean ordinary numbers."
    if spec.dtype == "uint8" and not spec.is_plain:
        return "an input of dtype uint8 holds the pixels as they are: leave out scale, mean and std."
    return None


def _problem_of_selftest(manifest: ModelManifest) -> str | None:
    if not _IMAGE_NAME.fullmatch(manifest.selftest.image):
        return f"selftest.image {manifest.selftest.image!r} must be a plain file name beside the manifest."
    for expected in manifest.selftest.boxes:
        left, top, right, bottom = expected.box_px
        if not expected.label or expected.label not in manifest.labels:
            return f"selftest box {expected.label!r} is not one of the model's labels."
        if not (0 <= left < right and 0 <= top < bottom):
            return f"selftest box {expected.box_px} is empty."
    return None
