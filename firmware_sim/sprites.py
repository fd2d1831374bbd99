"""What a passer looks like: flat pictures of persons, bicycles with riders and cars, in the passer's own colours.

A sprite is BGRA uint8 on a canvas that its drawing fills edge to edge, so that scaling the canvas to a box puts
the thing exactly into that box. Drawn facing right; ``stride`` counts the steps of a walk or of turning pedals.
"""

import math
import random
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from protocol.classes import BICYCLE, CAR, PERSON

Image = npt.NDArray[np.uint8]
Colour = tuple[int, int, int, int]
Point = tuple[int, int]

STRIDES = 6  # pictures in one cycle of legs
STRIDE_M = 0.22  # way between two of them
_CANVAS_PX = {PERSON: (64, 160), BICYCLE: (144, 144), CAR: (240, 96)}  # width, height
_SKINS = ((186, 214, 240), (140, 178, 222), (98, 138, 190), (62, 92, 140), (40, 58, 92))
_HAIRS = ((20, 20, 24), (30, 46, 78), (60, 110, 160), (110, 170, 210), (150, 150, 150), (40, 50, 130))


@dataclass(frozen=True, slots=True)
class _Look:
    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    shoes: Colour
    body: Colour
    shape: float  # 0..1: slim to broad, saloon to van
    carries: bool


def _paint(dice: random.Random, least: int = 20, most: int = 235) -> Colour:
    """A quarter of what people wear and drive is grey; the rest has any colour."""
    if dice.random() < 0.25:
        grey = dice.randint(least, most)
        blue, green, red = (min(255, max(0, grey + dice.randint(-12, 12))) for _ in range(3))
        return blue, green, red, 255
    return dice.randint(least, most), dice.randint(least, most), dice.randint(least, most), 255


def _look(look_seed: int) -> _Look:
    dice = random.Random(f"cairn/look/{look_seed}")
    skin, hair = dice.choice(_SKINS), dice.choice(_HAIRS)
    return _Look(
        (*skin, 255),
        (*hair, 255),
        _paint(dice),
        _paint(dice, 10, 150),
        _paint(dice, 10, 90),
        _paint(dice),
        dice.random(),
        dice.random() < 0.4,
    )


def _shade(colour: Colour, gain: float) -> Colour:
    blue, green, red = (min(255, int(part * gain)) for part in colour[:3])
    return blue, green, red, 255


@lru_cache(maxsize=512)
def sprite(class_id: int, look_seed: int, stride: int, direction: int) -> Image:
    """Return the picture of one passer: BGRA uint8 (canvas height, canvas width, 4); do not modify.

    Args:
        class_id: PERSON, BICYCLE or CAR.
        look_seed: what chooses its colours.
        stride: 0..STRIDES-1, the phase of its legs; -1 stands still.
        direction: +1 faces right, -1 left.
    """
    look = _look(look_seed)
    width_px, height_px = _CANVAS_PX[class_id]
    canvas = np.zeros((height_px, width_px, 4), np.uint8)
    if class_id == PERSON:
        _draw_person(canvas, look, stride)
    elif class_id == BICYCLE:
        _draw_bicycle(canvas, look, max(stride, 0))
    else:
        _draw_car(canvas, look)
    # Rolling shade from above: rounds the flat picture a little.
    shade = np.linspace(1.08, 0.82, height_px)[:, None, None]
    canvas[..., :3] = np.clip(canvas[..., :3] * shade, 0, 255).astype(np.uint8)
    return canvas if direction > 0 else np.ascontiguousarray(canvas[:, ::-1])


def _limb(canvas: Image, start: Point, end: Point, colour: Colour, thick_px: int) -> None:
    cv2.line(canvas, start, end, colour, thick_px, cv2.LINE_AA)


def _draw_person(canvas: Image, look: _Look, stride: int) -> None:
    swing = 0.0 if stride < 0 else math.sin(2 * math.pi * stride / STRIDES)
    broad = int(10 + 4 * look.shape)
    hip, knee_px, foot_y = (32, 92), int(13 * swing), 152
    for side, gain in ((-1, 0.75), (1, 1.0)):  # the far leg first, darker
        foot = (32 + int(side * (22 * swing or 5)), foot_y - (4 if side * swing < 0 else 0))
        knee = (32 + side * knee_px, 122)
        _limb(canvas, hip, knee, _shade(look.trousers, gain), 13)
        _limb(canvas, knee, foot, _shade(look.trousers, gain), 10)
        cv2.ellipse(canvas, (foot[0] + 4, 155), (9, 4), 0, 0, 360, _shade(look.shoes, gain), -1, cv2.LINE_AA)
    _limb(canvas, (32, 46), (32 - int(20 * swing), 86), _shade(look.top, 0.7), 8)
    cv2.ellipse(canvas, (32, 66), (broad + 4, 34), 0, 0, 360, look.top, -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (32 - broad, 70), (32 + broad, 98), look.top, -1)
    hand = (32 + int(20 * swing), 88)
    _limb(canvas, (32, 46), hand, _shade(look.top, 0.88), 8)
    cv2.circle(canvas, hand, 5, look.skin, -1, cv2.LINE_AA)
    if look.carries:
        cv2.rectangle(canvas, (hand[0] - 9, hand[1]), (hand[0] + 9, hand[1] + 20), look.shoes, -1)
    cv2.circle(canvas, (32, 18), 14, look.hair, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (35, 20), (11, 12), 0, 0, 360, look.skin, -1, cv2.LINE_AA)
    canvas[0:3, 24:40] = look.hair  # touches the top edge
    canvas[157:160, 20:44] = np.where(canvas[157:160, 20:44, 3:] > 0, canvas[157:160, 20:44], 0)


def _draw_bicycle(canvas: Image, look: _Look, stride: int) -> None:
    hubs, radius_px = ((32, 110), (110, 110)), 31
    for hub in hubs:
        cv2.circle(canvas, hub, radius_px, (22, 22, 24, 255), 4, cv2.LINE_AA)
        for spoke in range(0, 360, 45):
            turn = math.radians(spoke + 12 * stride)
            end = (hub[0] + int(28 * math.cos(turn)), hub[1] + int(28 * math.sin(turn)))
            _limb(canvas, hub, end, (90, 90, 95, 255), 1)
    crank, saddle, bar = (66, 112), (50, 70), (98, 66)
    for start, end in ((hubs[0], crank), (hubs[0], saddle), (saddle, crank), (saddle, bar), (crank, bar)):
        _limb(canvas, start, end, look.body, 5)
    _limb(canvas, bar, hubs[1], look.body, 5)
    _limb(canvas, (92, 60), (106, 62), (25, 25, 25, 255), 5)
    turn = 2 * math.pi * stride / STRIDES
    for side, gain in ((-1, 0.72), (1, 1.0)):
        pedal = (66 + int(side * 12 * math.cos(turn)), 112 + int(side * 12 * math.sin(turn)))
        knee = ((saddle[0] + pedal[0]) // 2 + 20, 88)
        _limb(canvas, (50, 66), knee, _shade(look.trousers, gain), 11)
        _limb(canvas, knee, pedal, _shade(look.trousers, gain), 9)
    _limb(canvas, (50, 62), (72, 30), look.top, 21)
    _limb(canvas, (74, 32), (98, 62), _shade(look.top, 0.85), 8)
    cv2.circle(canvas, (80, 13), 12, look.hair, -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (84, 15), (9, 10), 0, 0, 360, look.skin, -1, cv2.LINE_AA)


def _draw_car(canvas: Image, look: _Look) -> None:
    van = look.shape > 0.6
    roof = ((40, 2), (205, 2), (226, 44)) if van else ((70, 2), (160, 2), (196, 40))
    back = (4, 30) if van else (22, 40)
    shell = np.array([(2, 80), back, *roof, (236, 52), (238, 80)], np.int32)
    cv2.fillPoly(canvas, [shell], look.body, cv2.LINE_AA)
    glass = (96, 84, 76, 255)
    for left, right in ((0.06, 0.46), (0.54, 0.96)):
        top = roof[0][0] + np.array([left, right]) * (roof[1][0] - roof[0][0])
        low = (roof[0][0] - 8) + np.array([left, right]) * (roof[2][0] - roof[0][0])
        pane = np.array([(low[0], 36), (top[0], 8), (top[1], 8), (low[1], 36)], np.int32)
        cv2.fillPoly(canvas, [pane], glass, cv2.LINE_AA)
    cv2.line(canvas, (6, 58), (236, 58), _shade(look.body, 0.8), 3, cv2.LINE_AA)
    cv2.rectangle(canvas, (2, 72), (238, 82), _shade(look.body, 0.55), -1)
    for hub in ((50, 78), (190, 78)):
        cv2.circle(canvas, hub, 17, (24, 24, 26, 255), -1, cv2.LINE_AA)
        cv2.circle(canvas, hub, 9, (150, 150, 155, 255), -1, cv2.LINE_AA)
    cv2.ellipse(canvas, (233, 58), (5, 7), 0, 0, 360, (215, 245, 255, 255), -1, cv2.LINE_AA)
    cv2.rectangle(canvas, (2, 50), (8, 62), (40, 40, 200, 255), -1)
