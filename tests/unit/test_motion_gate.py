"""When the model may rest: nothing moves, or all who are there are known to stand."""

import numpy as np
import numpy.typing as npt
import pytest

from edge.detector.detection import Detection
from edge.sight.gate import Gate
from edge.sight.motion import Motion
from edge.sight.tracker import Tracker
from protocol.classes import PERSON
from protocol.units import Ppm, UnixMs

Picture = npt.NDArray[np.uint8]
HEIGHT_PX, WIDTH_PX = 216, 384


class Street:
    """A noisy picture of a textured wall, lit as told, with grey people before it."""

    def __init__(self, *, noise: float = 3.0) -> None:
        self._dice = np.random.default_rng(7)
        self._wall = self._dice.uniform(60, 180, (HEIGHT_PX // 8, WIDTH_PX // 8, 3)).repeat(8, 0).repeat(8, 1)
        self._noise = noise

    def picture(self, *, light: float = 1.0, people: tuple[int, ...] = ()) -> Picture:
        lit = self._wall * light
        for x in people:
            lit[60:180, x : x + 48] = 30 * light
        noisy = lit + self._dice.normal(0, self._noise, lit.shape)
        return np.clip(noisy, 0, 255).astype(np.uint8)


def openings(pictures: list[Picture], *, every_ms: int = 100) -> list[bool]:
    motion = Motion()
    return [motion.is_in(picture, step * every_ms) for step, picture in enumerate(pictures)]


def test_noise_alone_is_no_motion() -> None:
    street = Street()
    assert openings([street.picture() for _ in range(100)])[5:] == [False] * 95


def test_a_walker_is_motion_in_every_frame() -> None:
    street = Street()
    before = [street.picture() for _ in range(20)]
    walk = [street.picture(people=(x,)) for x in range(0, 320, 8)]
    assert all(openings([*before, *walk])[20:])


def test_who_stands_is_motion_no_longer_and_leaves_no_ghost() -> None:
    street = Street()
    before = [street.picture() for _ in range(20)]
    standing = [street.picture(people=(150,)) for _ in range(150)]
    after = [street.picture() for _ in range(150)]
    opened = openings([*before, *standing, *after])
    assert opened[20]
    assert not any(opened[100:170])
    assert opened[170]
    assert not any(opened[250:])


def test_clouds_are_no_motion() -> None:
    street = Street()
    lit = [street.picture(light=1.0 + 0.1 * np.sin(step / 20)) for step in range(200)]
    assert sum(openings(lit)[5:]) <= 2


def test_a_lamp_that_is_switched_on_opens_once_and_not_for_ever() -> None:
    street = Street()
    dark, bright = ([street.picture(light=light) for _ in range(50)] for light in (0.4, 1.3))
    opened = openings([*dark, *bright])
    assert sum(opened[55:]) == 0


def test_a_knocked_camera_opens_and_then_learns_the_new_view() -> None:
    street = Street()
    steady = [street.picture() for _ in range(30)]
    knocked = [np.ascontiguousarray(np.roll(street.picture(), 37, axis=1)) for _ in range(30)]
    opened = openings([*steady, *knocked])
    assert opened[30]
    assert not any(opened[35:])


def test_leaves_that_always_move_are_known_after_a_while() -> None:
    street = Street()
    dice = np.random.default_rng(3)
    pictures = []
    for _ in range(400):
        picture = street.picture()
        picture[:40, :80] = dice.integers(40, 160, (5, 10, 3)).repeat(8, 0).repeat(8, 1)
        pictures.append(picture)
    assert sum(openings(pictures)[200:]) < 60


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (1080, 1920), (33, 57)])
def test_pictures_of_any_size_are_taken(shape: tuple[int, int]) -> None:
    assert openings([np.full((*shape, 3), 90, np.uint8)] * 3) == [True, False, False]


def test_another_size_is_learnt_anew() -> None:
    assert openings([np.zeros((90, 160, 3), np.uint8), np.zeros((160, 90, 3), np.uint8)]) == [True, True]


class Watch:
    """A gate and a tracker together, shown a street where one person may be."""

    def __init__(self) -> None:
        self.gate, self.tracker, self.street = Gate(), Tracker(), Street()
        self.at_ms = 0

    def show(self, person: int | None, *, frames: int, is_found: bool = True) -> int:
        """Return how many of the frames the model was asked about."""
        looks = 0
        for _ in range(frames):
            self.at_ms += 100
            picture = self.street.picture(people=() if person is None else (person,))
            if self.gate.wants(picture, UnixMs(self.at_ms), self.tracker):
                looks += 1
                box = (person or 0, 60, (person or 0) + 48, 180)
                found = [Detection(PERSON, Ppm(900_000), box)] if person is not None and is_found else []
                self.tracker.update(found, UnixMs(self.at_ms), frame_px=(WIDTH_PX, HEIGHT_PX))
            else:
                self.tracker.rest(UnixMs(self.at_ms))
        return looks


def test_an_empty_street_is_looked_at_every_two_seconds() -> None:
    watch = Watch()
    watch.show(None, frames=20)
    assert 8 <= watch.show(None, frames=200) <= 11


def test_who_walks_is_looked_at_in_every_frame() -> None:
    watch = Watch()
    watch.show(None, frames=20)
    assert [watch.show(x, frames=1) for x in range(0, 300, 10)] == [1] * 30


def test_who_stands_is_looked_at_once_a_second_and_counted_once() -> None:
    watch = Watch()
    watch.show(150, frames=40)
    assert 18 <= watch.show(150, frames=200) <= 24
    assert watch.tracker.alive == 1
    assert watch.show(None, frames=1) == 1  # gone: at once
    assert len(watch.tracker.finish()) == 1


def test_who_stands_and_is_not_found_is_looked_for_more_often() -> None:
    watch = Watch()
    watch.show(150, frames=60)
    watch.show(150, frames=10, is_found=False)
    assert watch.show(150, frames=40, is_found=False) >= 12


def test_a_clock_that_stepped_back_does_not_close_the_gate_for_long() -> None:
    watch = Watch()
    watch.show(None, frames=50)
    watch.at_ms = -10_000
    watch.gate.forget()
    watch.tracker.finish()
    assert watch.show(None, frames=5) >= 1
