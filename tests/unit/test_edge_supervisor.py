"""When a child that has ended starts again, and what a real child says."""

import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.supervisor import Child, Recipe, RestartBudget, Restarts

BUDGET = RestartBudget(starts=3, within_s=60.0, pause_max_s=30.0)


def test_the_first_ends_cost_a_short_pause_and_the_next_ones_ever_longer_ones() -> None:
    restarts = Restarts(BUDGET)
    assert [restarts.pause_s(now_s) for now_s in (0, 1, 2, 3, 4, 5, 6)] == [0.5, 0.5, 0.5, 1.0, 2.0, 4.0, 8.0]


def test_a_long_good_life_fills_the_budget_again() -> None:
    restarts = Restarts(BUDGET)
    for now_s in range(6):
        restarts.pause_s(now_s)
    assert restarts.pause_s(1_000.0) == 0.5
    assert restarts.count == 7


@given(st.lists(st.floats(0, 500), min_size=1, max_size=200))
def test_a_child_is_never_given_up_and_never_started_without_a_pause(lives_s: list[float]) -> None:
    restarts, now_s = Restarts(BUDGET), 0.0
    for life_s in lives_s:
        pause_s = restarts.pause_s(now_s := now_s + life_s)
        assert 0.5 <= pause_s <= BUDGET.pause_max_s
        now_s += pause_s


@given(st.integers(1, 400))
def test_a_child_that_dies_at_once_starts_no_more_often_than_its_budget_and_the_longest_pause_allow(ends: int) -> None:
    restarts, now_s = Restarts(BUDGET), 0.0
    for _ in range(ends):
        now_s += restarts.pause_s(now_s)
    # Every window holds the budget, some doublings, and then one start in a long pause.
    assert ends <= (BUDGET.starts + 7) * (now_s / BUDGET.within_s + 1) + now_s / 10


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"within_s": 0}, {"pause_max_s": -1}])
def test_a_budget_of_nothing_is_none(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least one start"):
        RestartBudget(**wrong)


def child(program: str, greeting: bytes = b"") -> Child:
    return Child(Recipe("told", lambda: [sys.executable, "-c", program], lambda: greeting, budget=BUDGET))


@pytest.fixture
def running() -> Iterator[list[Child]]:
    children: list[Child] = []
    yield children
    for each in children:
        each.stop(at_most_s=0)


def listen(child: Child, *, until: int, now_s: float = 0.0) -> list[bytes]:
    lines: list[bytes] = []
    give_up_at_s = time.monotonic() + 20
    while len(lines) < until and time.monotonic() < give_up_at_s:
        lines += child.step(now_s)
    return lines


def test_a_child_hears_its_greeting_and_orders_and_is_heard(running: list[Child]) -> None:
    echo = child("import sys\nfor line in sys.stdin: print('heard', line, end='', flush=True)", b"hello\n")
    running.append(echo)
    assert listen(echo, until=1) == [b"heard hello"]
    assert echo.send(b"again\n")
    assert listen(echo, until=1) == [b"heard again"]
    assert (echo.restarts, echo.pid is not None) == (0, True)


def test_a_child_that_ends_is_heard_to_its_last_word_and_started_again_after_its_pause(running: list[Child]) -> None:
    brief = child("print('first'); print('last')")
    running.append(brief)
    assert listen(brief, until=2, now_s=5.0) == [b"first", b"last"]
    give_up_at_s = time.monotonic() + 20
    while brief.pid is not None and time.monotonic() < give_up_at_s:
        brief.step(5.0)
    assert brief.restarts == 1
    assert brief.step(5.4) == []
    assert brief.pid is None
    assert listen(brief, until=2, now_s=5.6) == [b"first", b"last"]


def test_a_child_that_stops_when_its_stdin_closes_is_not_killed(running: list[Child]) -> None:
    polite = child("import sys; sys.stdin.read(); print('bye')")
    running.append(polite)
    polite.step(0.0)
    began_s = time.monotonic()
    polite.stop(at_most_s=20)
    assert time.monotonic() - began_s < 15
    assert polite.pid is None
    assert polite.step(1e9) == []
    assert polite.pid is None, "it must not come back"


def test_a_child_that_babbles_without_a_line_end_is_started_again(running: list[Child]) -> None:
    babbler = child("import sys\nwhile True: sys.stdout.write('x' * 65536)")
    running.append(babbler)
    give_up_at_s = time.monotonic() + 20
    while babbler.restarts == 0 and time.monotonic() < give_up_at_s:
        babbler.step(0.0)
    assert babbler.restarts == 1


def test_a_command_that_is_not_there_is_tried_again(running: list[Child]) -> None:
    absent = Child(Recipe("absent", lambda: ["/nowhere/at/all"], lambda: b"", budget=BUDGET))
    running.append(absent)
    absent.step(0.0)
    assert (absent.pid, absent.restarts) == (None, 1)
    absent.step(0.1)
    assert absent.restarts == 1
    absent.step(1.0)
    assert absent.restarts == 2
