"""From a camera frame to a model's input tensor, and from the tensor's pixels back to the frame's.

The tensor is one preallocated buffer: splitting the colour planes straight into it costs a sixth of
what cv2.dnn.blobFromImage costs (measured; the copy chains of plain numpy cost ten times as much).
"""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.detector.detection import BgrFrame, ModelError
from edge.detector.manifest import InputSpec
from edge.sight.boxes import FloatArray

Tensor = npt.NDArray[Any]


class InputTensor:
    """The input buffer of one model. Not for two threads at once: every call overwrites the same buffer."""

    def __init__(self, spec: InputSpec) -> None:
        self._spec = spec
        # Half precision is rounded at the end: OpenCV neither resizes nor splits it.
        self._work: Tensor = np.empty(spec.shape, dtype=np.uint8 if spec.dtype == "uint8" else np.float32)
        self._half = np.empty(spec.shape, dtype=np.float16) if spec.dtype == "float16" else None
        self._frame_size: tuple[int, int] | None = None
        self._corner = (0, 0)
        self._picture_size = (spec.width, spec.height)
        self._picture: Tensor = np.empty((0, 0, 3), dtype=self._work.dtype)
        # Planes of the tensor in the order in which the frame's channels (BGR) go into them.
        order = (0, 1, 2) if spec.color == "bgr" else (2, 1, 0)
        channels = self._work[0] if spec.layout == "nchw" else np.moveaxis(self._work[0], 2, 0)
        self._planes: list[Tensor] = [channels[plane] for plane in order]
        self._regions = self._planes  # the parts of the planes that the picture fills
        self._is_plain = spec.is_plain

    @property
    def frame_px_per_input_px(self) -> tuple[float, float]:
        """Width and height of one input pixel in pixels of the frame last filled in."""
        if self._frame_size is None:
            return (1.0, 1.0)
        (frame_width, frame_height), (width, height) = self._frame_size, self._picture_size
        return (frame_width / width, frame_height / height)

    @property
    def present(self) -> Tensor:
        """What the last frame left in the tensor."""
        return self._work if self._half is None else self._half

    def to_frame_px(self, corners: FloatArray) -> FloatArray:
        """Return boxes (n, 4) in the tensor's pixels as boxes in those of the frame last filled in."""
        on_frame: FloatArray = (corners - np.array(self._corner * 2)) * np.array(self.frame_px_per_input_px * 2)
        return on_frame

    def fill(self, frame_bgr: BgrFrame) -> Tensor:
        """Return the tensor of ``frame_bgr``; it is overwritten by the next call.

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
        picture = cv2.resize(frame_bgr, self._picture_size, interpolation=cv2.INTER_LINEAR)
        np.copyto(self._picture, picture)
        self._lay(self._picture)
        if not self._is_plain:
            self._normalise()
        if self._half is None:
            return self._work
        np.copyto(self._half, self._work, casting="same_kind")
        return self._half

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
        width, height = self._picture_size
        if spec.anchor == "center":
            self._corner = ((spec.width - width) // 2, (spec.height - height) // 2)
        left, top = self._corner
        self._regions = [plane[top : top + height, left : left + width] for plane in self._planes]
        self._frame_size = frame_size
        self._picture = np.empty((height, width, 3), dtype=self._work.dtype)
        self._work.fill(spec.pad)
        if not self._is_plain:
            self._normalise(everywhere=True)

    def _lay(self, picture: Tensor) -> None:
        """Write ``picture`` (BGR) to its place in the buffer."""
        if self._spec.layout == "nchw":
            cv2.split(picture, self._regions)
        else:
            for channel, region in enumerate(self._regions):
                np.copyto(region, picture[:, :, channel])

    def _normalise(self, *, everywhere: bool = False) -> None:
        means, deviations = self._spec.mean, self._spec.std
        # The spec counts channels in the order of its colour, the planes in the frame's.
        order = (0, 1, 2) if self._spec.color == "bgr" else (2, 1, 0)
        regions = self._planes if everywhere else self._regions
        for index, channel in enumerate(order):
            region = regions[index]
            region *= self._spec.scale
            region -= means[channel]
            region /= deviations[channel]
