"""The real YOLOX-Nano, read rightly and in every wrong way that still loads: only its self-test picture tells."""

import itertools
from pathlib import Path

import msgspec
import pytest

from edge.detector.detection import ModelError
from edge.detector.layouts import YoloV5
from edge.detector.manifest import InputSpec
from edge.detector.model import ModelDetector
from edge.detector.selftest import load_picture, selftest
from edge.detector.session import SessionOptions
from edge.models.shipped import SHIPPED_FOLDER, catalogued_manifest
from protocol.classes import class_name

OPTIONS = SessionOptions(intra_op_threads=1)
RIGHT = ("bgr", 1.0, "letterbox", "none")
# What other families do to their pixels: (mean, std), as multiples of the scaled pixel's range.
NORMALISATIONS = {
    "none": None,
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5,) * 3, (0.5,) * 3),
}
READINGS = [
    reading
    for reading in itertools.product(("bgr", "rgb"), (1.0, 1 / 255), ("letterbox", "stretch"), NORMALISATIONS)
    if reading != RIGHT
]
FOUND = [("clock", (229, 88, 393, 255)), ("stop sign", (28, 87, 191, 251)), ("orange", (548, 72, 741, 268))]
CONFIDENCES_PPM = [940_450, 926_282, 872_121]


@pytest.fixture(scope="module")
def model(assets: Path) -> bytes:
    return (assets / "yolox_nano_416.onnx").read_bytes()


def spec_of(color: str, scale: float, resize: str, normalisation: str) -> InputSpec:
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    chosen = NORMALISATIONS[normalisation]
    if chosen is not None:
        reach = 255 * scale
        mean, std = (tuple(value * reach for value in part) for part in chosen)  # type: ignore[assignment]
    return InputSpec(416, 416, color=color, scale=scale, mean=mean, std=std, resize=resize)  # type: ignore[arg-type]


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_every_wrong_reading_of_colour_scale_size_and_normalisation_is_refused(
    model: bytes, reading: tuple[str, float, str, str]
) -> None:
    manifest = msgspec.structs.replace(catalogued_manifest("yolox-nano"), input=spec_of(*reading))
    with pytest.raises(ModelError, match="fails its self-test"):
        selftest(ModelDetector(model, manifest, options=OPTIONS), manifest, folder=SHIPPED_FOLDER)


def test_a_decoded_layout_of_the_same_shape_is_refused(model: bytes) -> None:
    manifest = msgspec.structs.replace(catalogued_manifest("yolox-nano"), output=YoloV5(boxes_per_point=1))
    with pytest.raises(ModelError, match="fails its self-test"):
        selftest(ModelDetector(model, manifest, options=OPTIONS), manifest, folder=SHIPPED_FOLDER)


def test_the_right_reading_finds_what_it_always_found(model: bytes) -> None:
    """Figures of the decoder that read this one layout only, before there were others."""
    manifest = catalogued_manifest("yolox-nano")
    assert manifest.input == spec_of(*RIGHT)
    found = ModelDetector(model, manifest, options=OPTIONS).detect(
        load_picture(SHIPPED_FOLDER / manifest.selftest.image)
    )
    assert [(class_name(each.class_id), each.box_px) for each in found] == FOUND
    assert [each.confidence_ppm for each in found] == pytest.approx(CONFIDENCES_PPM, abs=2_000)
