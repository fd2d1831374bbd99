"""A frame, the seam behind which every camera stands, and its one error."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from edge.errors import EdgeError
from protocol.units import UnixMs

BgrPicture = npt.NDArray[np.uint8]  # shape (height, width, 3), BGR, 0..255


class CameraError(EdgeError):
    """No frames can be had from the source; the message says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture and the time it stands for.

    Raises:
        ValueError: the picture is not a non-empty uint8 array (height, width, 3).
    """

    image_bgr: BgrPicture
    captured_at_ms: UnixMs  # the device's time that the picture stands for
    index: int  # how many frames the source gave before this one, dropped ones included
    read_at_ns: int = 0  # CLOCK_MONOTONIC when it came from the camera; 0: nobody looked

    def __post_init__(self) -> None:
        image = self.image_bgr
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(f"a frame is uint8 (height, width, 3), not {image.dtype} {image.shape}")


class Camera(Protocol):
    """A source of frames and a context manager that closes it. One error family: CameraError."""

    def read(self) -> Frame | None:
        """Return the next frame, or None for ever once the source has ended.

        Raises:
            CameraError: the source is gone and stayed gone.
        """
        ...

    def close(self) -> None:
        """Let the source go; may be called twice, never raises."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
