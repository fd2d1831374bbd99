"""Frames that nobody needs: beyond the upper rate, or a picture that is stuck."""

import numpy as np
import pytest

from edge.sight.pace import RateLimit, StuckPicture


@pytest.mark.parametrize(
    ("max_fps", "expected"), [(None, 100), (10.0, 100), (7.0, 70), (5.0, 50), (3.0, 30), (25.0, 100)]
)
def test_so_many_of_ten_frames_a_second_come_through(max_fps: float | None, expected: int) -> None:
    rate = RateLimit(max_fps)
    assert sum(rate.lets_through(at_ms) for at_ms in range(0, 10_000, 100)) == pytest.approx(expected, abs=1)


def test_the_rate_may_change_while_it_runs() -> None:
    rate = RateLimit(None)
    assert sum(rate.lets_through(at_ms) for at_ms in range(0, 1_000, 100)) == 10
    rate.set(2.0)
    assert sum(rate.lets_through(at_ms) for at_ms in range(1_000, 6_000, 100)) == pytest.approx(10, abs=1)
    rate.set(None)
    assert sum(rate.lets_through(at_ms) for at_ms in range(6_000, 7_000, 100)) == pytest.approx(10, abs=1)


def test_a_clock_that_steps_back_does_not_shut_it() -> None:
    rate = RateLimit(5.0)
    assert rate.lets_through(1_000_000)
    assert rate.lets_through(0)


@pytest.mark.parametrize("wrong", [0.0, -1.0])
def test_a_rate_must_be_above_nothing(wrong: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        RateLimit(wrong)


def stuck(levels: list[int]) -> list[bool]:
    watch = StuckPicture()
    return [watch.is_stuck(np.full((48, 64, 3), level, np.uint8), step * 100) for step, level in enumerate(levels)]


def test_a_picture_that_comes_again_after_lively_ones_is_stuck_until_it_changes() -> None:
    assert stuck([1, 2, 3, 4, 4, 4, 5, 6]) == [False] * 4 + [True] * 2 + [False] * 2


def test_a_camera_whose_picture_never_changes_is_not_stuck_but_quiet() -> None:
    assert not any(stuck([7] * 30))


def test_a_picture_that_changes_only_now_and_then_is_never_stuck() -> None:
    assert not any(stuck([1] * 10 + [2] * 10 + [3] * 10 + [4] * 10 + [5] * 10))


def test_a_picture_that_stays_for_long_is_looked_at_again() -> None:
    answers = stuck([1, 2, 3, 4, *[4] * 100])
    assert all(answers[4:50])
    assert not any(answers[60:])
