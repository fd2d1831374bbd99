"""A runner as another package would bring it: the onnx project's reference evaluator, which shares no code with ours.

It keeps to edge/detector/runner.py and imports nothing else of the agent but the error and the options.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.reference import ReferenceEvaluator

from edge.detector.detection import ModelError
from edge.detector.runner import Feed, Skipped, Tensor
from edge.detector.session import SessionOptions


class ReferenceRunner:
    """Runs a model operator by operator, in numpy."""

    provider = "onnx reference"
    skipped: Skipped = ()

    def __init__(self, evaluator: ReferenceEvaluator) -> None:
        self._evaluator = evaluator

    def run(self, tensors: Sequence[Tensor]) -> Mapping[str, Tensor]:
        given = dict(zip(self._evaluator.input_names, tensors, strict=True))
        try:
            outputs = self._evaluator.run(None, given)
        except (RuntimeError, ValueError, TypeError, KeyError) as error:
            raise ModelError(f"the reference evaluator could not run the model: {error}") from error
        return {name: np.array(output) for name, output in zip(self._evaluator.output_names, outputs, strict=True)}


def open_reference(model: bytes, feeds: Sequence[Feed], options: SessionOptions) -> ReferenceRunner:
    """The entry point."""
    try:
        loaded = onnx.load_model_from_string(model)
        onnx.checker.check_model(loaded)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ModelError("the reference evaluator cannot read the model: get the file again") from error
    runner = ReferenceRunner(ReferenceEvaluator(loaded))
    runner.run([feed.blank() for feed in feeds])
    return runner
