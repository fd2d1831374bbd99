"""Scripted scenes played: to the tracker as boxes, or to the whole seeing half as pictures."""

from itertools import combinations

import cv2
import numpy as np

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import Frame
from edge.sight.finished import FinishedTrack, Seen
from edge.sight.places import Places
from edge.sight.tracker import Tracker
from firmware_sim.backdrops import backdrop
from firmware_sim.scenes import put
from firmware_sim.scripts import FRAME_PX, Script, Walker
from firmware_sim.sprites import STRIDE_M, STRIDES, Image, sprite
from firmware_sim.vantage import FRAME_WIDTH_PX
from firmware_sim.world import town_vantages
from protocol.classes import PERSON
from protocol.units import UnixMs

_SCALE = FRAME_WIDTH_PX / FRAME_PX[0]
_BODY_M, _BREADTH_M = 1.72, 0.56
_NEAR_M, _FAR_M = 6.5, 15.5  # from the camera to the middle of each pavement
_MEETING_PX = 80.0
_NEAR_FROM_PX = 285.0  # whose feet are lower in the script's frame than this walks on the near one
_NOISE_SIGMA = 3.0


def follow(script: Script, *, places: Places | None = None) -> tuple[Seen, ...]:
    """Return what trackers see of ``script``: one after the other, where the watcher is killed and resumed."""
    tracker = Tracker(places=places)
    seen: list[Seen] = []
    is_killed = False
    for at_ms, detections in script.frames():
        if script.dead_ms is not None and at_ms >= script.dead_ms[1] and not is_killed:
            is_killed = True
            state = tracker.state()
            tracker = Tracker(places=places)
            tracker.resume(state, at_ms)
        seen += tracker.update(detections, at_ms, frame_px=FRAME_PX)
    return (*seen, *tracker.finish())


def people_in(seen: tuple[Seen, ...]) -> int:
    """Return how many people were counted."""
    return sum(isinstance(each, FinishedTrack) and each.part == 0 for each in seen)


def can_be_staged(script: Script) -> bool:
    """Say whether nobody meets another one on one pavement of the staged street: both would be in one place."""
    for one, other in combinations(script.walkers, 2):
        if _is_near(one) != _is_near(other):
            continue
        for at_ms in range(0, script.ends_ms, script.every_ms):
            here, there = one.middle_px(at_ms), other.middle_px(at_ms)
            if here is not None and there is not None and abs(here - there) < _MEETING_PX:
                return False
    return True


def _is_near(walker: Walker) -> bool:
    return walker.foot_px > _NEAR_FROM_PX


class StagedCamera(ClosesOnExit):
    """Draws a script's pictures from ``begins_ms`` on; a camera that is stuck gives one picture again, or none."""

    def __init__(self, script: Script, *, begins_ms: int = 0) -> None:
        """Draw until everybody has gone."""
        self._script = script
        self._at_ms = begins_ms
        self._index = 0
        self._vantage = town_vantages(script.seed, 1)[0]
        self._empty = backdrop(self._vantage, script.seed)
        self._grain = np.random.default_rng(script.seed)
        self._last = self._empty

    def read(self) -> Frame | None:
        """Return the next frame; see ``Camera.read``."""
        frozen = self._script.frozen_ms
        while frozen is not None and frozen[0] <= self._at_ms < frozen[1] and not self._script.is_repeating:
            self._at_ms += self._script.every_ms
        at_ms = self._at_ms
        if at_ms >= self._script.ends_ms + 500:
            return None
        if frozen is None or not frozen[0] <= at_ms < frozen[1]:
            self._last = self._drawn(at_ms)
        self._at_ms += self._script.every_ms
        self._index += 1
        return Frame(self._last.copy(), UnixMs(at_ms), self._index - 1)

    def _drawn(self, at_ms: int) -> Image:
        picture = self._empty.copy()
        for walker in sorted(self._script.walkers, key=lambda each: each.foot_px):  # the farthest first
            middle = walker.middle_px(at_ms)
            if middle is not None:
                put(picture, _picture_of(walker, at_ms), self._box_px(walker, middle * _SCALE))
        noise = self._grain.normal(0.0, _NOISE_SIGMA, picture.shape).astype(np.int16)
        return np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)

    def _box_px(self, walker: Walker, middle_px: float) -> tuple[float, float, float, float]:
        """Return where the person stands: on the near pavement or the far one, as large as people are there.

        The detector has learnt the size of people at each distance; the scripts know nothing of cameras.
        """
        depth_m = (_NEAR_M if _is_near(walker) else _FAR_M) - (walker.foot_px - _NEAR_FROM_PX) / 100 * 0.3
        scale = self._vantage.focal_px / depth_m
        foot = self._vantage.horizon_px + scale * self._vantage.height_m
        half = _BREADTH_M * scale / 2
        return middle_px - half, foot - _BODY_M * scale, middle_px + half, foot

    def close(self) -> None:
        """Nothing is open."""


def _picture_of(walker: Walker, at_ms: int) -> Image:
    now_px, before_px = walker.middle_px(at_ms) or 0.0, walker.middle_px(at_ms - 40) or 0.0
    gone_m = now_px / walker.height_px * _BODY_M
    stride = -1 if abs(now_px - before_px) < 0.1 else int(abs(gone_m) / STRIDE_M) % STRIDES
    return sprite(PERSON, round(walker.height_px * 1_000), stride, 1 if now_px >= before_px else -1)
