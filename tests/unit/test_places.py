"""Lines are crossed once a crossing, zones are stayed in for as long as somebody stays."""

import pytest

from edge.sight.places import Marks, Passed, Places, Stayed
from protocol.units import UnixMs

FRAME_PX = (1_000, 1_000)
SIDE_PX = 100.0  # clear of a line means 25 px off it
DOWN_THE_MIDDLE = ((500, 0), (500, 1_000))
ROOM = ((200, 200), (600, 200), (600, 600), (200, 600))


def walk(places: Places, feet: list[tuple[float, float]], *, every_ms: int = 100) -> list[Passed | Stayed]:
    marks = Marks()
    done: list[Passed | Stayed] = []
    for step, point in enumerate(feet):
        done += places.note(marks, point, SIDE_PX, UnixMs(step * every_ms), FRAME_PX)
    return done + places.close(marks, feet[-1], SIDE_PX, UnixMs((len(feet) - 1) * every_ms), FRAME_PX)


def across(begin: int, end: int, *, step: int = 20, y: float = 500.0) -> list[tuple[float, float]]:
    return [(float(x), y) for x in range(begin, end, step if end > begin else -step)]


@pytest.mark.parametrize(
    ("line", "is_forward"),
    [(DOWN_THE_MIDDLE, False), (((500, 1_000), (500, 0)), True)],
    ids=["looking down the picture, its right is on the left", "looking up it, its right is on the right"],
)
def test_forward_is_from_the_left_of_the_line_to_its_right(
    line: tuple[tuple[int, int], tuple[int, int]],
    is_forward: bool,  # noqa: FBT001
) -> None:
    assert walk(Places([line]), across(310, 700)) == [Passed(0, is_forward, UnixMs(1_000))]
    assert [each.is_forward for each in walk(Places([line]), across(690, 300)) if isinstance(each, Passed)] == [
        not is_forward
    ]


def test_who_dithers_on_the_line_crosses_it_once() -> None:
    dithering = [(500.0 + (20 if step % 2 else -20), 500.0) for step in range(30)]
    crossed = walk(Places([DOWN_THE_MIDDLE]), [*across(300, 500), *dithering, *across(500, 700)])
    assert len(crossed) == 1


def test_who_dithers_and_goes_back_has_not_crossed() -> None:
    dithering = [(500.0 + (20 if step % 2 else -20), 500.0) for step in range(30)]
    assert walk(Places([DOWN_THE_MIDDLE]), [*across(300, 500), *dithering, *across(460, 300)]) == []


def test_who_crosses_and_comes_back_crosses_twice() -> None:
    crossed = walk(Places([DOWN_THE_MIDDLE]), [*across(300, 700), *across(700, 300)])
    assert [each.is_forward for each in crossed if isinstance(each, Passed)] == [False, True]


def test_who_walks_around_the_end_of_a_line_does_not_cross_it() -> None:
    half = ((500, 0), (500, 400))
    assert walk(Places([half]), across(300, 700, y=600.0)) == []
    assert len(walk(Places([half]), across(300, 700, y=300.0))) == 1


def test_who_leaves_just_behind_a_line_has_crossed_it() -> None:
    assert len(walk(Places([DOWN_THE_MIDDLE]), across(300, 530))) == 1


def test_who_appears_on_the_line_crosses_nothing_by_walking_off() -> None:
    assert walk(Places([DOWN_THE_MIDDLE]), across(500, 700)) == []


def test_a_slow_camera_sees_a_crossing_between_two_frames() -> None:
    crossed = walk(Places([DOWN_THE_MIDDLE]), [(300.0, 500.0), (700.0, 500.0)], every_ms=1_000)
    assert crossed == [Passed(0, is_forward=False, at_ms=UnixMs(1_000))]


def test_each_line_is_told_by_its_number() -> None:
    lines = [DOWN_THE_MIDDLE, ((600, 0), (600, 1_000))]
    assert [each.line for each in walk(Places(lines), across(300, 800)) if isinstance(each, Passed)] == [0, 1]


def test_a_stay_lasts_from_the_first_look_inside_to_the_last() -> None:
    assert walk(Places(zones=[ROOM]), [*across(0, 1_000, y=400.0), *[(1_000.0, 400.0)] * 30]) == [
        Stayed(0, UnixMs(1_000), UnixMs(2_900))
    ]


def test_who_steps_out_of_a_zone_for_a_second_has_stayed_once() -> None:
    inside, outside = [(400.0, 400.0)] * 20, [(100.0, 400.0)] * 10
    assert walk(Places(zones=[ROOM]), [*inside, *outside, *inside]) == [Stayed(0, UnixMs(0), UnixMs(4_900))]


def test_who_comes_back_after_a_while_has_stayed_twice() -> None:
    inside, outside = [(400.0, 400.0)] * 20, [(100.0, 400.0)] * 30
    assert len(walk(Places(zones=[ROOM]), [*inside, *outside, *inside])) == 2


def test_a_step_into_a_zone_is_no_stay() -> None:
    assert walk(Places(zones=[ROOM]), [(100.0, 400.0), (300.0, 400.0), (100.0, 400.0)]) == []


def test_a_hollow_corner_of_a_zone_is_outside() -> None:
    hook = ((100, 100), (900, 100), (900, 900), (700, 900), (700, 300), (100, 300))
    assert walk(Places(zones=[hook]), [(400.0, 600.0)] * 10) == []
    assert len(walk(Places(zones=[hook]), [(800.0, 600.0)] * 10)) == 1


def test_an_end_inside_ends_the_stay() -> None:
    assert walk(Places(zones=[ROOM]), [(400.0, 400.0)] * 10) == [Stayed(0, UnixMs(0), UnixMs(900))]
