"""Pictures with true boxes for training and for judging, drawn from worlds of given seeds."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firmware_sim.scenes import Scene
from firmware_sim.traffic import TrafficSettings
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from firmware_sim.world import World, WorldSettings, town_vantages
from protocol.classes import BICYCLE, CAR, PERSON
from protocol.units import UnixMs

CLASSES = (PERSON, BICYCLE, CAR)  # the order of the model's classes
LEARN_VISIBLE_PPM = 350_000  # less of a box than this is neither an example nor a counter-example
# Training and judging never share a world: their seeds come from disjoint ranges.
TRAIN_SEEDS = range(1_000_000, 2_000_000)
HELD_OUT_SEEDS = range(9_000_000, 9_001_000)
_WORLD_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame with its truth. Boxes are left, top, right, bottom in pixels, cut at the frame."""

    frame_bgr: npt.NDArray[np.uint8]  # (height, width, 3)
    boxes_px: npt.NDArray[np.float32]  # (count, 4)
    whole_sides_px: npt.NDArray[np.float32]  # (count,): longer side before the cut: says how near and big it is
    labels: npt.NDArray[np.int64]  # (count,), index into CLASSES
    is_plain: npt.NDArray[np.bool_]  # (count,): visible enough to be demanded


def samples(world_seed: int, count: int, *, passes_per_minute: float) -> Iterator[Sample]:
    """Yield ``count`` frames at random moments of one world of two cameras, mostly with somebody in them."""
    dice = random.Random(f"cairn/samples/{world_seed}")
    traffic = TrafficSettings(passes_per_minute=passes_per_minute)
    world = World(world_seed, town_vantages(world_seed, 2), WorldSettings(traffic=traffic))
    scenes = (Scene(world, 0), Scene(world, 1))
    made = 0
    while made < count:
        camera_index, at_ms = dice.randrange(2), UnixMs(dice.randrange(20_000, _WORLD_MS))
        if not world.sights(camera_index, at_ms) and dice.random() < 0.8:
            continue
        made += 1
        yield sample(world, scenes[camera_index], camera_index, at_ms)


def sample(world: World, scene: Scene, camera_index: int, at_ms: UnixMs) -> Sample:
    """Return one camera's frame at ``at_ms`` with its truth."""
    sights = world.sights(camera_index, at_ms)
    boxes = np.array([sight.whole_box_px for sight in sights], np.float32).reshape(-1, 4)
    limits = np.array([FRAME_WIDTH_PX, FRAME_HEIGHT_PX] * 2, np.float32)
    return Sample(
        scene.frame_bgr(at_ms),
        np.clip(boxes, 0, limits),
        (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0.0),
        np.array([CLASSES.index(sight.passer.class_id) for sight in sights], np.int64),
        np.array([sight.visible_ppm >= LEARN_VISIBLE_PPM for sight in sights], np.bool_),
    )
