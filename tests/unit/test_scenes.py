"""Pictures of the made-up town: the same moment is the same picture, and passers are where the truth says."""

import cv2
import numpy as np
import numpy.typing as npt

from firmware_sim.scenes import DAY_MS, Scene
from firmware_sim.sprites import STRIDES, sprite
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from firmware_sim.world import World, town_vantages
from protocol.classes import BICYCLE, CAR, PERSON
from protocol.units import UnixMs


def _scene(seed: int, camera: int = 0) -> tuple[World, Scene]:
    world = World(seed, town_vantages(seed, 2))
    return world, Scene(world, camera)


def _empty_moment(world: World) -> UnixMs:
    return next(UnixMs(at_ms) for at_ms in range(0, 600_000, 100) if not world.sights(0, UnixMs(at_ms)))


def test_a_frame_is_a_function_of_seed_camera_and_moment() -> None:
    _, scene = _scene(3)
    _, again = _scene(3)
    again.frame_bgr(UnixMs(1_000))
    moment = UnixMs(61_125)
    assert np.array_equal(scene.frame_bgr(moment), again.frame_bgr(moment))


def test_frames_of_other_moments_cameras_and_seeds_differ() -> None:
    _, scene = _scene(3)
    frame = scene.frame_bgr(UnixMs(61_125))
    for other in (scene.frame_bgr(UnixMs(61_250)), _scene(3, 1)[1].frame_bgr(UnixMs(61_125))):
        assert not np.array_equal(frame, other)
    assert not np.array_equal(frame, _scene(4)[1].frame_bgr(UnixMs(61_125)))


def test_a_frame_is_a_picture() -> None:
    frame = _scene(3)[1].frame_bgr(UnixMs(90_000))
    assert frame.shape == (FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3)
    assert frame.dtype == np.uint8
    assert float(frame.std()) > 10


def test_a_passer_changes_the_picture_inside_its_box_and_nowhere_far_from_it() -> None:
    world, scene = _scene(6)
    empty = _smooth(scene, _empty_moment(world))
    stands_out = []
    for at_ms in range(20_000, DAY_MS // 2, 1_700):
        sights = world.sights(0, UnixMs(at_ms))
        if len(sights) != 1 or sights[0].visible_ppm < 900_000 or scene.daylight(UnixMs(at_ms)) < 0.9:
            continue
        frame = _smooth(scene, UnixMs(at_ms))
        # Light drifts between the two moments: compare after taking each channel's usual gain out.
        gain = np.median(frame / np.maximum(empty, 1), axis=(0, 1))
        change = np.abs(frame - np.minimum(empty * gain, 255)).mean(axis=2)
        left, top, right, bottom = sights[0].box_px
        inside = change[top:bottom, left:right].mean()
        outside = change.copy()
        outside[max(top - 12, 0) : bottom + 12, max(left - 4, 0) : right + 4] = 0
        stands_out.append(bool(inside > 3 * outside.mean()))
    # Now and then somebody wears the colour of the wall behind.
    assert len(stands_out) >= 20
    assert sum(stands_out) >= 0.9 * len(stands_out)


def _smooth(scene: Scene, at_ms: UnixMs) -> npt.NDArray[np.float64]:
    return cv2.blur(scene.frame_bgr(at_ms), (5, 5)).astype(np.float64)  # the sensor's noise is not the question


def test_day_turns_to_dusk_and_back() -> None:
    _, scene = _scene(5)
    light = [scene.daylight(UnixMs(at_ms)) for at_ms in range(0, DAY_MS, DAY_MS // 48)]
    assert max(light) == 1.0
    assert 0.4 < min(light) < 0.6
    bright = scene.frame_bgr(UnixMs(light.index(max(light)) * (DAY_MS // 48))).mean()
    dark = scene.frame_bgr(UnixMs(light.index(min(light)) * (DAY_MS // 48))).mean()
    assert dark < 0.7 * bright


def test_every_sprite_fills_its_canvas_from_edge_to_edge() -> None:
    for class_id in (PERSON, BICYCLE, CAR):
        for look_seed in range(12):
            for stride in range(-1, STRIDES):
                alpha = sprite(class_id, look_seed, stride, 1)[..., 3] > 128
                rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
                height, width = alpha.shape
                assert rows[0] <= 0.04 * height
                assert rows[-1] >= 0.93 * height
                if class_id != PERSON:  # a person is narrower while the legs pass each other
                    assert columns[0] <= 0.04 * width
                    assert columns[-1] >= 0.96 * width


def test_turning_round_mirrors_a_sprite() -> None:
    assert np.array_equal(sprite(CAR, 7, 0, 1)[:, ::-1], sprite(CAR, 7, 0, -1))
