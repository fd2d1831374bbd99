"""Model files that answer what they are told: a few nodes that look at the picture and give back fixed tensors."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge.detector.detection import Detection
from edge.detector.layouts import Detr, Output, PicoDetNms
from edge.detector.manifest import ExpectedBox, InputSpec, ModelManifest, SelfTest, Thresholds
from protocol.classes import class_name
from tests.support.layout_cases import HEIGHT_PX, WIDTH_PX

LABELS = ("car", "bicycle", "dog", "person", "bus")  # of the five classes of tests/support/layout_cases.py
IMAGE = "selftest.png"
_ELEMENTS = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
Tensor = npt.NDArray[Any]


def tiny_manifest(layout: Output, **changes: object) -> ModelManifest:
    """Return the manifest of a tiny model of ``layout``."""
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "sha256": "0" * 64,
        "size_bytes": 1,
        "licence": "Apache-2.0",
        "source": "made for a test",
        "labels": LABELS,
        "input": InputSpec(WIDTH_PX, HEIGHT_PX),
        "output": layout,
        "thresholds": Thresholds(500_000, 450_000),
        "selftest": SelfTest(IMAGE, (), 800_000),
    } | changes
    return ModelManifest(**fields)  # type: ignore[arg-type]


def expecting(found: Sequence[Detection], *, min_iou_ppm: int = 800_000) -> SelfTest:
    """Return a self-test that expects exactly ``found``."""
    boxes = tuple(ExpectedBox(class_name(each.class_id), *each.box_px) for each in found)
    return SelfTest(IMAGE, boxes, min_iou_ppm)


def tiny_model(
    bright: Sequence[Tensor],
    dark: Sequence[Tensor] | None = None,
    *,
    spec: InputSpec | None = None,
    extra_inputs: Sequence[tuple[str, int]] = (),
) -> bytes:
    """Return an ONNX file that answers ``bright`` to a picture with anything bright in it, and ``dark`` to others.

    Args:
        bright: the outputs, in the file's order; their names say nothing.
        dark: the same shapes; where not given, ``bright`` whatever the picture.
        spec: what the input looks like.
        extra_inputs: (name, element type) of further inputs [1, 2], which are looked at and change nothing.
    """
    spec = spec or InputSpec(WIDTH_PX, HEIGHT_PX)
    inputs = [helper.make_tensor_value_info("picture", _ELEMENTS[spec.dtype], spec.shape)]
    nodes = [
        helper.make_node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["brightest"], keepdims=0),
        helper.make_node("Greater", ["brightest", "threshold"], ["is_bright"]),
    ]
    constants = [numpy_helper.from_array(np.array(100.0, np.float32), "threshold")]
    for name, element in extra_inputs:
        inputs.append(helper.make_tensor_value_info(name, element, (1, 2)))
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", [f"{name}_float"], [f"{name}_least"], keepdims=0),
            helper.make_node("Greater", [f"{name}_least", "zero"], [f"{name}_is_there"]),
            helper.make_node("And", ["is_bright", f"{name}_is_there"], ["is_bright_and_sized"]),
        ]
    if extra_inputs:
        constants.append(numpy_helper.from_array(np.array(0.0, np.float32), "zero"))
    condition = "is_bright_and_sized" if extra_inputs else "is_bright"
    outputs = []
    for index, (tensor, other) in enumerate(zip(bright, bright if dark is None else dark, strict=True)):
        element = helper.np_dtype_to_tensor_dtype(tensor.dtype)
        constants += [
            numpy_helper.from_array(np.ascontiguousarray(each), f"{word}_{index}")
            for word, each in (("lit", tensor), ("unlit", other))
        ]
        nodes.append(helper.make_node("Where", [condition, f"lit_{index}", f"unlit_{index}"], [f"name_{index}"]))
        outputs.append(helper.make_tensor_value_info(f"name_{index}", element, tensor.shape))
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(built)
    return bytes(built.SerializeToString())


def extra_inputs_of(layout: Output) -> list[tuple[str, int]]:
    """Return what a file of this layout asks for beside the picture."""
    if isinstance(layout, Detr):
        types = {"int64": TensorProto.INT64, "int32": TensorProto.INT32, "float32": TensorProto.FLOAT}
        return [("orig_target_sizes", types[layout.sizes_dtype])]
    if isinstance(layout, PicoDetNms) and layout.scale_factor_input:
        return [("scale_factor", TensorProto.FLOAT)]
    return []
