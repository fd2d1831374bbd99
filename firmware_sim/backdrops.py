"""The place behind the passers: one street as one camera sees it when nobody is there."""

import random

import cv2
import numpy as np

from firmware_sim.sprites import Image
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, POST_WIDTH_PX, Vantage

_Bgr = tuple[int, int, int]
_HAZE = 0.35


def backdrop(vantage: Vantage, seed: int) -> Image:
    """Return the empty street, BGR uint8 (FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3), without the lamp post."""
    dice = random.Random(f"cairn/backdrop/{seed}")
    canvas = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3), np.uint8)
    _ground(canvas, vantage, dice)
    _houses(canvas, vantage, dice)
    _street_things(canvas, vantage, dice)
    return _textured(canvas, seed)


def post(seed: int) -> Image:
    """Return the lamp post in front of a lens, BGR uint8 (FRAME_HEIGHT_PX, POST_WIDTH_PX, 3)."""
    dice = random.Random(f"cairn/post/{seed}")
    columns = np.linspace(0.6, 1.3, POST_WIDTH_PX)[None, :, None] * dice.randint(40, 110)
    return np.broadcast_to(columns, (FRAME_HEIGHT_PX, POST_WIDTH_PX, 3)).astype(np.uint8)


def _tone(dice: random.Random, least: int, most: int, tint: int) -> _Bgr:
    grey = dice.randint(least, most)
    blue, green, red = (min(255, max(0, grey + dice.randint(-tint, tint))) for _ in range(3))
    return blue, green, red


def _row_px(vantage: Vantage, depth_m: float) -> int:
    return round(vantage.horizon_px + vantage.focal_px * vantage.height_m / depth_m)


def _ground(canvas: Image, vantage: Vantage, dice: random.Random) -> None:
    """Pavement, road, pavement, seen across: bands by depth, with kerbs and a dashed line."""
    pave, road = _tone(dice, 105, 180, 14), _tone(dice, 60, 115, 8)
    canvas[:] = pave
    near, far = _row_px(vantage, 7.6), _row_px(vantage, 14.4)
    cv2.rectangle(canvas, (0, far), (FRAME_WIDTH_PX, near), road, -1)
    for row in (near, far):
        cv2.line(canvas, (0, row), (FRAME_WIDTH_PX, row), _tone(dice, 150, 200, 6), 2)
    middle, paint = _row_px(vantage, 9.4), _tone(dice, 170, 225, 5)
    dash, start = dice.randint(18, 34), dice.randint(0, 30)
    for left in range(-start, FRAME_WIDTH_PX, 2 * dash):
        cv2.line(canvas, (left, middle), (left + dash, middle), paint, 2)
    joint = tuple(int(part * 0.86) for part in pave)
    for left in range(-40, FRAME_WIDTH_PX + 40, dice.randint(22, 40)):
        cv2.line(canvas, (left, FRAME_HEIGHT_PX), (160 + (left - 160) * 3 // 4, near), joint, 1)


def _houses(canvas: Image, vantage: Vantage, dice: random.Random) -> None:
    """Fronts from the far pavement's end upward, each with its own wall, windows and a door."""
    foot = _row_px(vantage, 17.5)
    canvas[:foot] = _tone(dice, 170, 230, 20)
    left = -dice.randint(0, 40)
    while left < FRAME_WIDTH_PX:
        width = dice.randint(48, 110)
        top = max(0, dice.randint(-30, foot // 4))
        wall = _tone(dice, 70, 200, 35)
        cv2.rectangle(canvas, (left, top), (left + width, foot), wall, -1)
        pane = _tone(dice, 25, 90, 12)
        step = dice.randint(18, 28)
        for column in range(left + 7, left + width - 12, step):
            for row in range(top + 5, foot - 16, 22):
                cv2.rectangle(canvas, (column, row), (column + 9, row + 12), pane, -1)
                cv2.rectangle(canvas, (column, row), (column + 9, row + 12), _tone(dice, 150, 230, 8), 1)
        door = left + dice.randint(8, max(9, width - 20))
        cv2.rectangle(canvas, (door, foot - 24), (door + 11, foot), _tone(dice, 30, 120, 30), -1)
        left += width
    # Haze: who passes stands out from what is behind, as it does through a real lens focused on the street.
    canvas[:foot] = (canvas[:foot] * (1 - _HAZE) + 165.0 * _HAZE).astype(np.uint8)


def _street_things(canvas: Image, vantage: Vantage, dice: random.Random) -> None:
    """Trees, bins and signs at the far pavement's end: upright things that are nobody."""
    for _ in range(dice.randint(1, 4)):
        column, foot = dice.randint(5, FRAME_WIDTH_PX - 5), _row_px(vantage, dice.uniform(16.6, 18.5))
        what = dice.choice(("tree", "bin", "sign"))
        if what == "tree":
            cv2.rectangle(canvas, (column - 2, foot - 26), (column + 2, foot), _tone(dice, 30, 70, 10), -1)
            leaf = (dice.randint(20, 60), dice.randint(70, 130), dice.randint(30, 90))
            cv2.ellipse(canvas, (column, max(foot - 40, 0)), (dice.randint(10, 20), 17), 0, 0, 360, leaf, -1)
        elif what == "bin":
            cv2.rectangle(canvas, (column - 5, foot - 14), (column + 5, foot), _tone(dice, 30, 110, 30), -1)
        else:
            cv2.line(canvas, (column, foot), (column, foot - 38), _tone(dice, 90, 150, 5), 2)
            cv2.circle(canvas, (column, max(foot - 42, 0)), 6, _tone(dice, 60, 220, 60), -1)


def _textured(canvas: Image, seed: int) -> Image:
    """Lay fine and coarse roughness over everything, so that no wall is one flat colour."""
    grain = np.random.default_rng(seed % 2**32)
    fine = grain.normal(0.0, 5.0, (FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 1))
    coarse = cv2.resize(
        grain.normal(0.0, 9.0, (12, 20)), (FRAME_WIDTH_PX, FRAME_HEIGHT_PX), interpolation=cv2.INTER_CUBIC
    )
    rough = canvas.astype(np.float64) + fine + coarse[..., None]
    return cv2.GaussianBlur(np.clip(rough, 0, 255).astype(np.uint8), (3, 3), 0.6).astype(np.uint8)
