"""What one camera sees at one moment, as a picture: the world of firmware_sim/world.py drawn with sprites.

Deterministic: a frame is a function of (world seed, camera, moment). The truth of a frame is ``World.sights``.
Frames are BGR uint8 (192, 320, 3). Light changes with drifting clouds and from day to dusk and back.
"""

import math
import random

import cv2
import numpy as np

from firmware_sim.backdrops import backdrop, post
from firmware_sim.sprites import STRIDE_M, STRIDES, Image, sprite
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, POST_WIDTH_PX
from firmware_sim.world import Sight, World
from protocol.classes import CAR
from protocol.units import UnixMs

DAY_MS = 24 * 60_000  # a day of this world, so that a short run meets daylight and dusk
_NOISE_MARGIN_PX = 64
_NOISE_SIGMA = 3.0
_DARKEST = 0.5  # gain of the sensor at dusk


class Scene:
    """One camera of a world as a source of pictures."""

    def __init__(self, world: World, camera_index: int) -> None:
        """Draw the empty street once; later calls only add who is there."""
        self._world = world
        self._camera_index = camera_index
        self._vantage = world.vantages[camera_index]
        dice = random.Random(f"cairn/{world.seed}/scene/{camera_index}")
        seed = dice.getrandbits(32)
        self._empty = backdrop(self._vantage, seed)
        self._post = post(seed)
        self._cloud_ms = dice.uniform(11_000, 23_000)
        self._day_offset_ms = dice.randrange(DAY_MS)
        self._tint = np.array([dice.uniform(0.94, 1.06) for _ in range(3)])
        grain = np.random.default_rng(seed)
        shape = (FRAME_HEIGHT_PX + _NOISE_MARGIN_PX, FRAME_WIDTH_PX + _NOISE_MARGIN_PX, 3)
        self._noise = np.rint(grain.normal(0.0, _NOISE_SIGMA, shape)).astype(np.int16)
        self._noise_seed = seed

    def frame_bgr(self, at_ms: UnixMs) -> Image:
        """Return what the camera sees at ``at_ms``: a new array, BGR uint8 (192, 320, 3)."""
        frame = self._empty.copy()
        for sight in self._world.sights(self._camera_index, at_ms):  # the farthest first
            _shadow(frame, sight)
            put(frame, self._picture(sight, at_ms), sight.whole_box_px)
        left_px = self._vantage.post_left_px
        if left_px is not None:
            frame[:, left_px : left_px + POST_WIDTH_PX] = self._post
        lit = np.asarray(cv2.LUT(frame, self._light(at_ms)), np.uint8)
        return self._noisy(lit, at_ms)

    def daylight(self, at_ms: UnixMs) -> float:
        """How light it is, from ``_DARKEST`` (dusk) to 1 (noon), without the clouds."""
        phase = 2 * math.pi * (at_ms + self._day_offset_ms) / DAY_MS
        # Cut at the top: most of the day is bright.
        return _DARKEST + (1 - _DARKEST) * max(0.0, min(1.0, 0.6 + 0.72 * math.cos(phase)))

    def _light(self, at_ms: UnixMs) -> Image:
        """Return the look-up table (1, 256, 3) of this moment's light."""
        cloud = 0.06 * math.sin(2 * math.pi * at_ms / self._cloud_ms)
        day = self.daylight(at_ms)
        # Dusk is bluer than noon.
        tint = self._tint * np.array([1.0 + 0.18 * (1 - day), 1.0, 1.0 - 0.12 * (1 - day)])
        levels = np.arange(256)[:, None] * (day * (1 + cloud) * tint)[None, :]
        return np.asarray(np.clip(levels, 0, 255)[None], np.uint8)

    def _noisy(self, lit: Image, at_ms: UnixMs) -> Image:
        """Add sensor noise: a window of a fixed sheet, moved by a hash of the moment."""
        mixed = (at_ms * 0x9E3779B97F4A7C15 + self._noise_seed) & (2**64 - 1)
        down, right = (mixed >> 33) % _NOISE_MARGIN_PX, (mixed >> 45) % _NOISE_MARGIN_PX
        window = self._noise[down : down + FRAME_HEIGHT_PX, right : right + FRAME_WIDTH_PX]
        return np.asarray(cv2.add(lit, window, dtype=cv2.CV_8U), np.uint8)

    def _picture(self, sight: Sight, at_ms: UnixMs) -> Image:
        passer = sight.passer
        along_m = float(passer.along_m(np.array(float(at_ms))))
        moved_m = float(passer.along_m(np.array(float(at_ms - 40))))
        stands = along_m == moved_m
        stride = -1 if stands else int(along_m / STRIDE_M) % STRIDES
        if passer.class_id == CAR:
            stride = 0
        faces = passer.direction(at_ms) * self._world.screen_sign(self._camera_index)
        return sprite(passer.class_id, passer.look_seed, stride, faces)


def put(frame: Image, picture: Image, box: tuple[float, float, float, float]) -> None:
    """Scale a sprite to its box and lay it over the frame, cut at the frame's edges."""
    left, top, right, bottom = (round(edge) for edge in box)
    width, height = max(right - left, 1), max(bottom - top, 1)
    scaled = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    from_x, to_x = max(-left, 0), min(width, FRAME_WIDTH_PX - left)
    from_y, to_y = max(-top, 0), min(height, FRAME_HEIGHT_PX - top)
    if from_x >= to_x or from_y >= to_y:
        return
    cut = scaled[from_y:to_y, from_x:to_x]
    under = frame[top + from_y : top + to_y, left + from_x : left + to_x]
    # Integers: alpha 0..255 times colour fits in 16 bits.
    alpha = cut[..., 3:].astype(np.uint16)
    under[:] = (cut[..., :3] * alpha + under * (255 - alpha) + 127) // 255


def _shadow(frame: Image, sight: Sight) -> None:
    left, _, right, bottom = (round(edge) for edge in sight.whole_box_px)
    half_height = max((right - left) // 16, 1)
    top, low = max(bottom - half_height, 0), min(bottom + half_height + 1, FRAME_HEIGHT_PX)
    columns = slice(max(left, 0), min(right, FRAME_WIDTH_PX))
    if top < low and columns.start < columns.stop:
        frame[top:low, columns] = frame[top:low, columns] // 4 * 3
