"""One ONNX Runtime session: opened quietly, warmed up, and asked which provider really ran."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from edge.detector.detection import ModelError

# The runtime's exceptions share no base class of their own.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    ort_state.EPFail,
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.InvalidGraph,
    ort_state.InvalidProtobuf,
    ort_state.NoModel,
    ort_state.NoSuchFile,
    ort_state.NotImplemented,
    ort_state.RuntimeException,
    RuntimeError,
    ValueError,
)
# Fastest first. The wheel lists AzureExecutionProvider before the CPU, which is why nothing here trusts its order.
PROVIDERS = ("CUDAExecutionProvider", "OpenVINOExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the runtime may use this machine.

    One thread without spinning is the default: a second thread buys 46 % more frames for 98 % more CPU, and a
    spinning pool burns cores that the camera and the uplink need.
    """

    intra_op_threads: int = 1
    providers: tuple[str, ...] = PROVIDERS


class Session:
    """A loaded model that has run once. One error family: ModelError."""

    def __init__(
        self, model: bytes, *, input_shape: Sequence[int], output_shape: Sequence[int], options: SessionOptions
    ) -> None:
        """Load ``model`` (the ONNX file's bytes) and run it once on zeros.

        Raises:
            ModelError: not an ONNX model, other shapes than expected, or no provider can run it.
        """
        self._output_shape = tuple(output_shape)
        self._session = _open(model, options)
        self._input_name = _input_name_of(self._session, tuple(input_shape))
        self.run(np.zeros(input_shape, dtype=np.float32))  # the first run may compile; never on a live frame
        self.provider: str = self._session.get_providers()[0]

    def run(self, tensor: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the model's one output for ``tensor``.

        Raises:
            ModelError: the runtime refused, or the output has another shape than the manifest promises.
        """
        try:
            outputs = self._session.run(None, {self._input_name: tensor})
        except _RUNTIME_ERRORS as error:
            raise ModelError(f"ONNX Runtime could not run the model: {_first_line(error)}") from error
        output = outputs[0]
        if len(outputs) != 1 or not isinstance(output, np.ndarray) or output.shape != self._output_shape:
            found = [getattr(each, "shape", type(each).__name__) for each in outputs]
            raise ModelError(
                f"The model answers with {_shape_words(found)}, the manifest promises {list(self._output_shape)}: "
                "check strides, labels and input size, or use the manifest of this model."
            )
        if output.dtype != np.float32:
            raise ModelError(f"The model answers in {output.dtype}, only float32 is read: use the FP32 export.")
        return output


def _open(model: bytes, options: SessionOptions) -> ort.InferenceSession:
    ort.set_default_logger_severity(3)
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = options.intra_op_threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.enable_mem_pattern = False  # lowest resident memory with the arena on (measured)
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    offered = set(ort.get_available_providers())
    providers = [name for name in options.providers if name in offered]
    if not providers:
        raise ModelError(
            f"None of {', '.join(options.providers)} is in this ONNX Runtime ({', '.join(sorted(offered))}): "
            "install the build that has it or ask for CPUExecutionProvider."
        )
    try:
        return ort.InferenceSession(model, settings, providers=providers)
    except _RUNTIME_ERRORS as error:
        raise ModelError(
            f"ONNX Runtime cannot load the model: {_first_line(error)}. "
            "The file is truncated or not ONNX; get it again."
        ) from error


def _input_name_of(session: ort.InferenceSession, expected: tuple[int, ...]) -> str:
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type != "tensor(float)":
        found = [f"{each.name}: {each.type}" for each in inputs]
        raise ModelError(f"The model takes {found}, a detector takes one float tensor: use another export.")
    shape = inputs[0].shape
    # A dynamic axis is a word or None; it fits whatever the manifest says.
    fits = len(shape) == len(expected) and all(
        not isinstance(have, int) or have == want for have, want in zip(shape, expected, strict=True)
    )
    if not fits:
        raise ModelError(
            f"The model takes {shape}, the manifest says {list(expected)}: correct width and height in [input]."
        )
    name: str = inputs[0].name
    return name


def _shape_words(shapes: Sequence[object]) -> str:
    return " and ".join(str(list(shape)) if isinstance(shape, tuple) else str(shape) for shape in shapes)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(". ")
