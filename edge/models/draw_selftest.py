"""Draw the self-test picture of the COCO manifests: things every COCO detector must find, told apart by colour too.

Drawn, not photographed: it belongs to nobody and shows nobody. An orange turns into something else when red and blue
are swapped; a wide picture shows whether the aspect is kept. Run it to write the picture anew::

    python -m edge.models.draw_selftest edge/models/yolox-nano-selftest.png
"""

import sys

import cv2
import numpy as np

from edge.camera.frame import BgrPicture
from edge.sight.boxes import FloatArray

_Bgr = tuple[int, int, int]
WIDTH_PX, HEIGHT_PX = 860, 340
_ORANGE_BGR = (0, 140, 255)
_WHITE, _BLACK = (250, 250, 250), (25, 25, 25)


def draw() -> BgrPicture:
    """Return the picture, uint8 (340, 860, 3), BGR."""
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), 60, dtype=np.uint8)
    _draw_stop_sign(picture, centre=(110, 170), radius=85)
    _draw_clock(picture, centre=(310, 170), radius=85)
    _draw_orange(picture, centre=(645, 170), radius=95)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.0)
    return np.asarray(soft, dtype=np.uint8)


def _draw_stop_sign(picture: BgrPicture, *, centre: tuple[int, int], radius: int) -> None:
    angles = np.deg2rad(np.arange(8) * 45 + 22.5)
    for reach, colour in ((radius, _WHITE), (radius - 6, (35, 25, 185))):
        corners = np.stack([centre[0] + reach * np.cos(angles), centre[1] + reach * np.sin(angles)], axis=1)
        cv2.fillPoly(picture, [corners.astype(np.int32)], colour, cv2.LINE_AA)
    _write(picture, "STOP", centre, scale=1.55, thickness=5, colour=_WHITE)


def _draw_clock(picture: BgrPicture, *, centre: tuple[int, int], radius: int) -> None:
    cv2.circle(picture, centre, radius, _BLACK, -1, cv2.LINE_AA)
    cv2.circle(picture, centre, radius - 9, _WHITE, -1, cv2.LINE_AA)
    for hour in range(1, 13):
        _write(picture, str(hour), _on_dial(centre, 30 * hour, radius - 24), scale=0.55, thickness=2, colour=_BLACK)
    for degrees, length, thickness in ((305, 40, 6), (60, 58, 4)):
        cv2.line(picture, centre, _on_dial(centre, degrees, length), _BLACK, thickness, cv2.LINE_AA)


def _draw_orange(picture: BgrPicture, *, centre: tuple[int, int], radius: int) -> None:
    """A ball lit from the upper left."""
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    x, y = (columns - centre[0]) / radius, (rows - centre[1]) / radius
    depth: FloatArray = np.sqrt(np.clip(1 - x * x - y * y, 0, 1))
    light = np.clip(0.5 * depth - 0.45 * x - 0.55 * y, 0, 1) * 0.75 + 0.35
    shine = np.clip(0.62 * depth - 0.5 * x - 0.6 * y, 0, 1) ** 22 * 90
    ball = np.array(_ORANGE_BGR) * light[..., None] + shine[..., None]
    is_ball = x * x + y * y <= 1
    picture[is_ball] = np.clip(ball, 0, 255).astype(np.uint8)[is_ball]


def _on_dial(centre: tuple[int, int], degrees: float, reach: int) -> tuple[int, int]:
    angle = np.deg2rad(degrees - 90)
    return (int(centre[0] + reach * np.cos(angle)), int(centre[1] + reach * np.sin(angle)))


def _write(
    picture: BgrPicture,
    text: str,
    centre: tuple[int, int],
    *,
    scale: float,
    thickness: int,
    colour: _Bgr,
) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    corner = (centre[0] - width // 2, centre[1] + height // 2)
    cv2.putText(picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


if __name__ == "__main__":
    cv2.imwrite(sys.argv[1], draw(), [cv2.IMWRITE_PNG_COMPRESSION, 9])
