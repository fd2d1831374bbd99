"""The YOLOX adapter on small models built here: right ones, wrong ones and hostile ones."""

import hashlib

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.detector.detection import ModelError
from edge.detector.layouts import YoloxRaw
from edge.detector.manifest import InputSpec, ModelManifest, SelfTest, Thresholds
from edge.detector.model import ModelDetector
from edge.detector.session import SessionOptions
from protocol.classes import BICYCLE, CAR

SIDE_PX, STRIDE = 64, 16  # a grid of 4 x 4
LABELS = ("car", "bicycle")


def manifest(**changes: object) -> ModelManifest:
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "licence": "Apache-2.0",
        "source": "made in this test",
        "labels": LABELS,
        "input": InputSpec(SIDE_PX, SIDE_PX),
        "output": YoloxRaw((STRIDE,)),
        "thresholds": Thresholds(300_000, 450_000),
        "selftest": SelfTest("none.png", (), 0),
    } | changes
    return ModelManifest(**fields)  # type: ignore[arg-type]


def model(answer: npt.NDArray[np.generic], *, input_shape: tuple[int | str, ...] = (1, 3, SIDE_PX, SIDE_PX)) -> bytes:
    """Build an ONNX model that looks at its input and answers ``answer`` whatever it sees."""
    element = helper.np_dtype_to_tensor_dtype(answer.dtype)
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "zero"], ["nothing"]),
        helper.make_node("Cast", ["nothing"], ["typed_nothing"], to=element),
        helper.make_node("Add", ["answer", "typed_nothing"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info("output", element, answer.shape)],
        [numpy_helper.from_array(np.array(0.0, np.float32), "zero"), numpy_helper.from_array(answer, "answer")],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(built)
    return bytes(built.SerializeToString())


def answer_with(*boxes: tuple[int, int, float, float, float], classes: int = 2) -> npt.NDArray[np.float32]:
    """Write boxes (grid index, class, width px, height px, score), each centred in its grid cell."""
    rows = np.zeros((1, 16, 5 + classes), np.float32)
    for index, label, width, height, score in boxes:
        rows[0, index, :4] = (0.5, 0.5, np.log(width / STRIDE), np.log(height / STRIDE))
        rows[0, index, 4] = score
        rows[0, index, 5 + label] = 1.0
    return rows


def black(width: int, height: int) -> npt.NDArray[np.uint8]:
    return np.zeros((height, width, 3), np.uint8)


def test_boxes_come_out_in_the_frame_s_pixels_with_the_network_s_classes() -> None:
    detector = ModelDetector(model(answer_with((5, 0, 16, 8, 0.75), (0, 1, 10, 10, 0.5))), manifest())
    first, second = detector.detect(black(128, 96))  # half size in the tensor
    assert (first.class_id, first.confidence_ppm, first.box_px) == (CAR, 750_000, (32, 40, 64, 56))
    assert (second.class_id, second.confidence_ppm, second.box_px) == (BICYCLE, 500_000, (6, 6, 26, 26))


def test_a_box_beyond_the_frame_is_cut_and_one_wholly_outside_is_dropped() -> None:
    # The frame fills only the upper half of the tensor: cell 15 lies in the padding.
    detector = ModelDetector(model(answer_with((0, 0, 500, 500, 0.9), (15, 1, 4, 4, 0.8))), manifest())
    (cut,) = detector.detect(black(64, 32))
    assert cut.box_px == (0, 0, 64, 32)


def test_a_frame_of_one_pixel_is_answered() -> None:
    detector = ModelDetector(model(answer_with((5, 0, 60, 60, 0.9))), manifest())
    assert [each.box_px for each in detector.detect(black(1, 1))] == [(0, 0, 1, 1)]


def test_the_digest_is_that_of_the_bytes_that_run_and_the_provider_the_one_that_ran() -> None:
    built = model(answer_with())
    detector = ModelDetector(built, manifest(), options=SessionOptions(providers=("CPUExecutionProvider",)))
    assert detector.model_digest == hashlib.sha256(built).digest()
    assert detector.provider == "CPUExecutionProvider"


def test_dynamic_axes_fit_any_manifest() -> None:
    dynamic = model(answer_with((0, 0, 8, 8, 0.9)), input_shape=("batch", 3, "height", "width"))
    assert len(ModelDetector(dynamic, manifest()).detect(black(64, 64))) == 1


def test_a_flood_of_detections_is_bounded() -> None:
    grid = (SIDE_PX * 16 // 8) ** 2  # 16,384 points
    rows = np.zeros((1, grid, 7), np.float32)
    rows[..., 2:4] = -1.0
    rows[..., 4:6] = 1.0
    big = manifest(input=InputSpec(1024, 1024), output=YoloxRaw((8,)))
    detector = ModelDetector(model(rows, input_shape=(1, 3, 1024, 1024)), big)
    assert len(detector.detect(black(1024, 1024))) == 300


@pytest.mark.parametrize(
    ("built", "changes", "complaint"),
    [
        (b"", {}, "truncated or not ONNX"),
        (b"not a model at all", {}, "truncated or not ONNX"),
        (model(answer_with())[:-40], {}, "truncated or not ONNX"),
        (model(answer_with()), {"labels": ("car",)}, "check strides, labels"),
        (model(answer_with()), {"output": YoloxRaw((16, 32))}, "check strides, labels"),
        (model(answer_with()), {"input": InputSpec(128, 64)}, "correct width and height"),
        (model(answer_with()[0]), {}, "check strides, labels"),
        (model(answer_with().astype(np.float64)), {}, "only float32"),
        (model(answer_with() * np.float32(np.nan)), {}, "NaN"),
    ],
    ids=["empty", "text", "truncated", "classes", "strides", "size", "rank", "float64", "nan"],
)
def test_a_wrong_model_is_refused_in_one_sentence(built: bytes, changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        ModelDetector(built, manifest(**changes)).detect(black(64, 64))
    assert "\n" not in str(caught.value)


def test_a_provider_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="MagicExecutionProvider"):
        ModelDetector(model(answer_with()), manifest(), options=SessionOptions(providers=("MagicExecutionProvider",)))
