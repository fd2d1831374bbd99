"""OpenCV's own inference behind the runner seam: no further package, but two to three times slower than ONNX Runtime.

It is for machines without a wheel of ONNX Runtime. OpenCV does not say what a file wants as input, so only models
with one picture as input are taken, and a wrong size shows in the shape of the answer.
"""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from edge.detector.detection import ModelError
from edge.detector.runner import Feed, Skipped, Tensor
from edge.detector.session import SessionOptions


class OpenCvRunner:
    """A Runner on cv2.dnn, on the CPU."""

    provider = "OpenCV DNN"
    skipped: Skipped = ()

    def __init__(self, network: cv2.dnn.Net, feed: Feed) -> None:
        """Use ``network`` and run it once.

        Raises:
            ModelError: it does not run.
        """
        self._network = network
        self._output_names = network.getUnconnectedOutLayersNames()
        self.run([feed.blank()])

    def run(self, tensors: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """Return the model's outputs; see ``Runner.run``."""
        (picture,) = tensors
        try:
            self._network.setInput(picture)
            outputs = self._network.forward(self._output_names)
        except cv2.error as error:
            raise ModelError(f"OpenCV could not run the model: {_reason(error)}.") from error
        return {name: np.asarray(output) for name, output in zip(self._output_names, outputs, strict=True)}


def open_opencv(model: bytes, feeds: Sequence[Feed], options: SessionOptions) -> OpenCvRunner:
    """Load ``model``, the bytes of an ONNX file; see ``OpenRunner``.

    Raises:
        ModelError: OpenCV cannot read or run it, or it needs more than one picture.
    """
    if len(feeds) != 1 or feeds[0].dtype != "float32":
        given = " and ".join(f"{feed.role} {feed.dtype}" for feed in feeds)
        raise ModelError(f"OpenCV runs models with one float32 picture, this one is given {given}: use onnxruntime.")
    cv2.setNumThreads(options.threads)
    try:
        network = cv2.dnn.readNetFromONNX(np.frombuffer(model, dtype=np.uint8))
    except cv2.error as error:
        raise ModelError(
            f"OpenCV cannot load the model: {_reason(error)}. The file is truncated, not ONNX, or uses what OpenCV "
            "does not know; get it again or use onnxruntime."
        ) from error
    return OpenCvRunner(network, feeds[0])


def _reason(error: cv2.error) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ")
