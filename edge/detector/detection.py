"""What a detector says about one frame, the seam behind which every detector stands, and its one error."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from edge.models.errors import ModelError
from edge.sight.boxes import BoxPx
from protocol.classes import COCO_CLASSES
from protocol.units import PPM_ONE, Ppm

__all__ = ["BgrFrame", "Detection", "Detector", "ModelError"]

BgrFrame = npt.NDArray[np.uint8]  # shape (height, width, 3), BGR, 0..255


@dataclass(frozen=True, slots=True)
class Detection:
    """One box in one frame.

    Raises:
        ValueError: the class is outside the vocabulary, the confidence outside 0..1_000_000, the box empty.
    """

    class_id: int  # index into protocol.classes.COCO_CLASSES
    confidence_ppm: Ppm
    box_px: BoxPx

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box_px
        if not 0 <= self.class_id < len(COCO_CLASSES):
            raise ValueError(f"{self.class_id=} is outside the vocabulary of {len(COCO_CLASSES)} classes")
        if not 0 <= self.confidence_ppm <= PPM_ONE:
            raise ValueError(f"{self.confidence_ppm=} is outside 0..{PPM_ONE}")
        if not (0 <= left < right and 0 <= top < bottom):
            raise ValueError(f"empty box {self.box_px}")


class Detector(Protocol):
    """Finds objects in a frame. One error family: ModelError."""

    @property
    def model_digest(self) -> bytes:
        """SHA-256 of the model file, 32 bytes: what an envelope names as its model."""
        ...

    @property
    def provider(self) -> str:
        """Who really runs the model, in the runtime's words: ``CPUExecutionProvider``."""
        ...

    def detect(self, frame_bgr: BgrFrame) -> tuple[Detection, ...]:
        """Return the detections, most confident first.

        Args:
            frame_bgr: shape (height, width, 3), BGR, 0..255, not modified; any size from 1x1.

        Raises:
            ModelError: the frame has another shape, or the model answered with something that is not boxes.
        """
        ...


@runtime_checkable
class AheadDetector(Detector, Protocol):
    """A detector that works on the next frame while somebody deals with what it found in the one before."""

    @property
    def took_us(self) -> int:
        """How long the last frame took: preprocessing, model and box decoding together."""
        ...

    def submit(self, frame_bgr: BgrFrame) -> None:
        """Begin to work on a frame. At most two may be under way.

        Raises:
            ModelError: the frame has another shape.
        """
        ...

    def result(self) -> tuple[Detection, ...]:
        """Wait for the frame that was submitted first; return what `detect` would.

        Raises:
            ModelError: see `detect`.
        """
        ...
