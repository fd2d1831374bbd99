"""From a camera frame to a model's input tensor, and from the tensor's pixels back to the frame's.

The tensor is one preallocated float32 buffer: splitting the colour planes straight into it costs a sixth of
what cv2.dnn.blobFromImage costs (measured; the copy chains of plain numpy cost ten times as much).
"""

import cv2
import numpy as np
import numpy.typing as npt

from edge.detector.detection import BgrFrame, ModelError
from edge.detector.manifest import InputSpec


class InputTensor:
    """The input buffer of one model. Not for two threads at once: every call overwrites the same buffer."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        self._tensor = np.empty((1, 3, spec.height, spec.width), dtype=np.float32)
        self._frame_size: tuple[int, int] | None = None
        self._picture_size = (spec.width, spec.height)
        self._float_picture = np.empty((0, 0, 3), dtype=np.float32)
        # Planes of the tensor in the order in which the frame's channels (BGR) go into them.
        order = (0, 1, 2) if spec.color == "bgr" else (2, 1, 0)
        self._planes = [self._tensor[0, plane] for plane in order]
        self._is_plain = spec.scale == 1.0 and spec.mean == (0, 0, 0) and spec.std == (1, 1, 1)

    @property
    def frame_px_per_input_px(self) -> tuple[float, float]:
        """Width and height of one input pixel in pixels of the frame last filled in."""
        if self._frame_size is None:
            return (1.0, 1.0)
        (frame_width, frame_height), (width, height) = self._frame_size, self._picture_size
        return (frame_width / width, frame_height / height)

    def fill(self, frame_bgr: BgrFrame) -> npt.NDArray[np.float32]:
        """Return the tensor [1, 3, height, width] of ``frame_bgr``; it is overwritten by the next call.

        Raises:
            ModelError: the frame is not a uint8 picture of three channels.
        """
        if frame_bgr.ndim != 3 or frame_bgr.shape[2] != 3 or frame_bgr.dtype != np.uint8 or not frame_bgr.size:
            raise ModelError(
                f"A frame must be uint8 of shape (height, width, 3), this one is {frame_bgr.dtype} "
                f"{frame_bgr.shape}: check the camera's pixel format."
            )
        size = (frame_bgr.shape[1], frame_bgr.shape[0])
        if size != self._frame_size:
            self._plan(size)
        width, height = self._picture_size
        picture = cv2.resize(frame_bgr, self._picture_size, interpolation=cv2.INTER_LINEAR)
        np.copyto(self._float_picture, picture)
        cv2.split(self._float_picture, [plane[:height, :width] for plane in self._planes])
        if not self._is_plain:
            self._normalise()
        return self._tensor

    def _plan(self, frame_size: tuple[int, int]) -> None:
        """Work out where a frame of this size goes, and lay the padding around it once."""
        spec = self._spec
        if spec.resize == "letterbox":
            across, down = frame_size
            # Integers floor exactly, where 432 * (416 / 768) in floats is a hair below 234; a sliver needs one pixel.
            if spec.width * down <= spec.height * across:
                self._picture_size = (spec.width, max(1, down * spec.width // across))
            else:
                self._picture_size = (max(1, across * spec.height // down), spec.height)
        self._frame_size = frame_size
        width, height = self._picture_size
        self._float_picture = np.empty((height, width, 3), dtype=np.float32)
        self._tensor.fill(spec.pad)
        if not self._is_plain:
            self._normalise(everywhere=True)

    def _normalise(self, *, everywhere: bool = False) -> None:
        width, height = (self._spec.width, self._spec.height) if everywhere else self._picture_size
        for plane, mean, deviation in zip(self._tensor[0], self._spec.mean, self._spec.std, strict=True):
            region = plane[:height, :width]
            region *= self._spec.scale
            region -= mean
            region /= deviation
