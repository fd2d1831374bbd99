"""What the thermal governor does, told as a day in the sun."""

import pytest

from edge.care.thermal import (
    PAUSE,
    STEPS,
    Allowance,
    Governor,
    Heat,
    ThermalError,
    ThermalLimits,
    allowance,
    governed,
    wanted_level,
)

LIMITS = ThermalLimits()


def day(governor: Governor, heat: Heat, *, from_s: int, until_s: int) -> Governor:
    for second in range(from_s, until_s):
        governor = governed(governor, heat, LIMITS, monotonic_ms=second * 1_000, running_mfps=8_000)
    return governor


def test_a_day_in_the_sun() -> None:
    morning = day(Governor(), Heat(55_000), from_s=0, until_s=60)
    assert allowance(morning, Heat(55_000), LIMITS) == Allowance(30_000, None)
    noon = day(morning, Heat(84_000), from_s=60, until_s=120)
    assert noon.level == STEPS
    allowed = allowance(noon, Heat(84_000), LIMITS)
    assert allowed.max_mfps == 1_000
    assert allowed.reason == (
        "At most 1.0 frames a second at 84.0 °C: the board is warm. Give it shade, air or a heat sink."
    )
    peak = day(noon, Heat(93_000), from_s=120, until_s=121)
    paused = allowance(peak, Heat(93_000), LIMITS)
    assert paused.is_pause
    assert paused.reason is not None
    assert paused.reason.startswith("Paused at 93.0 °C")
    assert "below 89.0 °C" in paused.reason
    assert day(peak, Heat(90_000), from_s=121, until_s=300).level == PAUSE  # not cool enough by far
    evening = day(peak, Heat(50_000), from_s=300, until_s=300 + PAUSE * 30)
    assert evening.level == 0


def test_steps_are_fractions_of_what_the_pipeline_really_did() -> None:
    governor = governed(Governor(), Heat(50_000), LIMITS, monotonic_ms=0, running_mfps=8_000)
    warm = governed(governor, Heat(71_000), LIMITS, monotonic_ms=1_000, running_mfps=8_000)
    assert allowance(warm, Heat(71_000), LIMITS).max_mfps == 4_000


def test_the_slow_rate_is_not_taken_for_the_usual_one() -> None:
    governor = governed(Governor(), Heat(50_000), LIMITS, monotonic_ms=0, running_mfps=8_000)
    for second in range(1, 200):
        manages_mfps = 1_000 if governor.level else 8_000
        governor = governed(governor, Heat(71_000), LIMITS, monotonic_ms=second * 1_000, running_mfps=manages_mfps)
    assert allowance(governor, Heat(71_000), LIMITS).max_mfps == 4_000


@pytest.mark.parametrize(
    ("bits", "level", "words"),
    [
        (0b0001, 1, "power supply is too weak"),
        (0b1000, 1, "holds itself back"),
        (0b0010, 2, "holds itself back"),
        (0b0100, 2, "holds itself back"),
    ],
)
def test_an_underfed_board_slows_down_and_says_why(bits: int, level: int, words: str) -> None:
    heat = Heat(45_000, bits)
    assert wanted_level(heat, LIMITS) == level
    slow = governed(Governor(), heat, LIMITS, monotonic_ms=0)
    assert words in str(allowance(slow, heat, LIMITS).reason)


def test_what_was_since_the_start_is_past() -> None:
    assert wanted_level(Heat(45_000, 0xF0000), LIMITS) == 0


def test_a_board_on_its_way_back_says_so() -> None:
    assert "comes back step by step" in str(allowance(Governor(level=2), Heat(40_000), LIMITS).reason)


@pytest.mark.parametrize(
    "wrong",
    [
        {"warm_mdegc": 82_000},
        {"hot_mdegc": 90_000},
        {"least_mfps": 0},
        {"least_mfps": 40_000},
        {"tighten_after_ms": 40_000},
        {"relax_after_ms": 0, "tighten_after_ms": 0},
    ],
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ThermalError, match=r"\[care\]"):
        ThermalLimits(**wrong)
