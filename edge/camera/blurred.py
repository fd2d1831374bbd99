"""The only picture that may ever be written: so coarse that nobody can be told from anybody else in it.

An owner who mounts a camera wants to see where it looks. A frame becomes 48 squares across, whatever its size: a
face that fills a tenth of the picture's width is five squares wide.
"""

import os
from pathlib import Path
from typing import Final

import cv2

from edge.camera.frame import BgrPicture

SQUARES_ACROSS: Final = 48
_WIDTH_PX: Final = 768


def blurred(picture: BgrPicture) -> BgrPicture:
    """Return ``picture`` as 48 squares across, each of the mean colour of what was there."""
    height, width = picture.shape[:2]
    rows = max(1, round(height * SQUARES_ACROSS / width))
    squares = cv2.resize(picture, (SQUARES_ACROSS, rows), interpolation=cv2.INTER_AREA)
    size = (_WIDTH_PX, rows * _WIDTH_PX // SQUARES_ACROSS)
    coarse: BgrPicture = cv2.resize(squares, size, interpolation=cv2.INTER_NEAREST).astype("uint8")
    return coarse


def write_blurred(picture: BgrPicture, path: Path) -> None:
    """Write the blurred ``picture`` as PNG to ``path``, whole or not at all; a disk that refuses costs the picture."""
    is_encoded, png = cv2.imencode(".png", blurred(picture))
    draft = path.with_name(path.name + ".new")
    try:
        if is_encoded:
            draft.write_bytes(png.tobytes())
            os.chmod(draft, 0o600)  # noqa: PTH101 - the path is ours
            draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
