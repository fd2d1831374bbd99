"""The filter of one track: it learns a steady pace, forgets a false one, and says how much it doubts."""

import numpy as np
import pytest

from edge.sight.kalman import Kalman, place_of
from edge.sight.leaving import Edges, common_with_frame, edges_of, return_score, uncut

FRAME_PX = (640, 360)
SIDE_PX = 100.0


def followed(speed_px_per_s: float, *, every_ms: int, looks: int, jitter_px: float = 0.0) -> Kalman:
    dice = np.random.default_rng(5)
    motion = Kalman((0.0, 0.0, 60.0, 140.0), 0)
    for look in range(1, looks):
        x = speed_px_per_s * look * every_ms / 1000 + dice.normal(0.0, jitter_px)
        motion.correct((x, dice.normal(0.0, jitter_px), 60.0, 140.0), look * every_ms)
    return motion


@pytest.mark.parametrize("every_ms", [33, 100, 500])
@pytest.mark.parametrize("speed_px_per_s", [0.0, 90.0, -250.0])
def test_a_steady_pace_is_learnt_at_any_frame_rate(speed_px_per_s: float, every_ms: int) -> None:
    motion = followed(speed_px_per_s, every_ms=every_ms, looks=40)
    assert motion.speed[0] == pytest.approx(speed_px_per_s, abs=2.0)
    assert motion.speed[1] == pytest.approx(0.0, abs=1e-9)
    left, _, right, _ = motion.expected(motion.at_ms + 1_000)
    assert (left + right) / 2 == pytest.approx(speed_px_per_s * (motion.at_ms + 1_000) / 1000, abs=4.0)


def test_jitter_is_smoothed() -> None:
    steady = followed(0.0, every_ms=100, looks=200, jitter_px=5.0)
    assert abs(steady.place[0]) < 5.0
    assert steady.pace < 0.35


def test_who_stops_is_known_to_stand_within_a_second() -> None:
    motion = followed(100.0, every_ms=100, looks=30)
    stopped_at = 100.0 * 29 * 0.1
    for look in range(30, 42):
        motion.correct((stopped_at, 0.0, 60.0, 140.0), look * 100)
    assert motion.pace < 0.15


def test_doubt_grows_while_nobody_looks_and_shrinks_with_a_look() -> None:
    motion = followed(100.0, every_ms=100, looks=30)
    doubts = [motion.sigma_px(motion.at_ms + later) for later in (0, 500, 1_000, 2_000, 5_000)]
    assert doubts == sorted(doubts)
    assert doubts[0] < 0.05 * SIDE_PX
    assert SIDE_PX < doubts[-1] < 5 * SIDE_PX
    at_ms = motion.at_ms + 2_000
    motion.correct((100.0 * at_ms / 1000, 0.0, 60.0, 140.0), at_ms)
    assert motion.sigma_px(at_ms) < 0.06 * SIDE_PX


def test_sides_stay_positive_whatever_is_seen() -> None:
    motion = Kalman((0.0, 0.0, 100.0, 100.0), 0)
    for look in range(1, 6):
        motion.correct((0.0, 0.0, 1.0, 1.0), look * 100)
    assert min(motion.place[2:]) >= 1.0


def test_the_middle_of_a_box_is_half_way_between_its_edges() -> None:
    assert place_of((10, 20, 31, 60)) == (20.5, 40.0, 21.0, 40.0)


def test_a_box_that_the_edge_cuts_is_made_whole_with_the_size_it_had() -> None:
    place, whole = uncut((600, 100, 640, 250), (60.0, 150.0), FRAME_PX)
    assert place == (630.0, 175.0, 60.0, 150.0)
    assert whole == (60.0, 150.0)
    place, whole = uncut((0, 100, 20, 250), (60.0, 150.0), FRAME_PX)
    assert place[0] == -10.0


def test_a_size_that_was_never_seen_whole_is_not_made_up() -> None:
    place, whole = uncut((0, 100, 20, 250), (0.0, 0.0), FRAME_PX)
    assert place == (10.0, 175.0, 20.0, 150.0)
    assert whole[0] == 0.0


def test_what_is_out_of_the_frame_has_nothing_in_common_with_it() -> None:
    left, top, right, bottom = common_with_frame((650.0, 10.0, 700.0, 90.0), FRAME_PX)
    assert (right - left) * (bottom - top) == 0.0
    assert common_with_frame((-10.0, -10.0, 20.0, 30.0), FRAME_PX) == (0.0, 0.0, 20.0, 30.0)


def test_edges_are_told_apart() -> None:
    assert edges_of((0, 100, 60, 360), FRAME_PX) == Edges(left=True, top=False, right=False, bottom=True)
    assert not any(edges_of((100, 100, 160, 250), FRAME_PX))


@pytest.mark.parametrize(
    ("box", "is_he"),
    [
        ((620, 101, 640, 249), True),  # his size, at his edge
        ((620, 103, 640, 160), True),  # his head
        ((620, 150, 640, 250), False),  # somebody smaller
        ((620, 100, 640, 290), False),  # somebody nearer
        ((0, 100, 20, 250), False),  # at the other edge
        ((500, 100, 560, 250), False),  # in the middle of the picture
    ],
)
def test_who_comes_back_is_known_by_edge_and_size(box: tuple[int, int, int, int], *, is_he: bool) -> None:
    was = (610.0, 100.0, 670.0, 250.0)
    assert (return_score(was, edges_of(was, FRAME_PX), box, FRAME_PX) > 0) == is_he
