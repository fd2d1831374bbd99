"""The thermal governor against any weather: hotter is never faster, no swinging, always back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from edge.care.thermal import PAUSE, STEPS, Governor, Heat, ThermalLimits, allowance, governed, wanted_level

LIMITS = ThermalLimits()
mdegc = st.integers(-20_000, 130_000)
heats = st.builds(Heat, st.none() | mdegc, st.none() | st.integers(0, 0xF))
governors = st.builds(
    Governor,
    level=st.integers(0, PAUSE),
    changed_at_ms=st.none() | st.integers(0, 1_000_000),
    usual_mfps=st.none() | st.integers(100, 60_000),
)


def after(heat: Heat, governor: Governor, *, looks: int, every_ms: int = 1_000, from_ms: int = 1_000_000) -> Governor:
    """The governor after the same heat has been seen ``looks`` times."""
    for look in range(looks):
        governor = governed(governor, heat, LIMITS, monotonic_ms=from_ms + look * every_ms)
    return governor


@given(cool=mdegc, more=st.integers(0, 100_000), bits=st.integers(0, 0xF))
def test_hotter_never_deserves_more(cool: int, more: int, bits: int) -> None:
    assert wanted_level(Heat(cool, bits), LIMITS) <= wanted_level(Heat(cool + more, bits), LIMITS)


@given(
    governor=governors, cool=mdegc, more=st.integers(0, 100_000), bits=st.integers(0, 0xF), wait=st.integers(0, 10**6)
)
def test_from_one_standing_hotter_never_means_more_frames(
    governor: Governor, cool: int, more: int, bits: int, wait: int
) -> None:
    now_ms = (governor.changed_at_ms or 0) + wait
    cooler, hotter = Heat(cool, bits), Heat(cool + more, bits)
    after_cool = governed(governor, cooler, LIMITS, monotonic_ms=now_ms)
    after_hot = governed(governor, hotter, LIMITS, monotonic_ms=now_ms)
    assert allowance(after_hot, hotter, LIMITS).max_mfps <= allowance(after_cool, cooler, LIMITS).max_mfps


@given(cool=mdegc, more=st.integers(0, 100_000), governor=governors)
def test_in_the_long_run_hotter_never_means_more_frames(cool: int, more: int, governor: Governor) -> None:
    at_rest = [after(Heat(each), governor, looks=300) for each in (cool, cool + more)]
    assert at_rest[0].level <= at_rest[1].level


@given(looks=st.lists(st.tuples(st.integers(0, 20_000), heats), max_size=80))
def test_no_swinging_faster_than_the_wait_before_a_step_back_up(looks: list[tuple[int, Heat]]) -> None:
    governor, now_ms = Governor(), 0
    changes: list[tuple[int, int]] = []  # when, by how much
    for wait_ms, heat in looks:
        now_ms += wait_ms
        before, governor = governor, governed(governor, heat, LIMITS, monotonic_ms=now_ms)
        if governor.level != before.level:
            changes.append((now_ms, governor.level - before.level))
    for (before_ms, _), (at_ms, by) in pairwise(changes):
        if by < 0:
            assert by == -1
            assert at_ms - before_ms >= LIMITS.relax_after_ms


@given(looks=st.lists(st.tuples(st.integers(0, 20_000), heats), max_size=80))
def test_steps_down_are_one_at_a_time_and_only_the_critical_temperature_stops_everything(
    looks: list[tuple[int, Heat]],
) -> None:
    governor, now_ms, last_down_ms = Governor(), 0, None
    for wait_ms, heat in looks:
        now_ms += wait_ms
        before, governor = governor, governed(governor, heat, LIMITS, monotonic_ms=now_ms, running_mfps=8_000)
        is_critical = heat.soc_mdegc is not None and heat.soc_mdegc >= LIMITS.critical_mdegc
        allowed = allowance(governor, heat, LIMITS)
        if is_critical:
            assert allowed.is_pause
        elif governor.level > before.level:
            assert governor.level == before.level + 1 <= STEPS
            assert last_down_ms is None or now_ms - last_down_ms >= LIMITS.tighten_after_ms
        if governor.level != before.level:
            last_down_ms = now_ms
        assert allowed.is_pause == (governor.level == PAUSE)
        assert allowed.is_pause or allowed.max_mfps >= LIMITS.least_mfps
        assert (allowed.reason is None) == (governor.level == 0)


@given(governor=governors, cool=st.none() | st.integers(-20_000, LIMITS.warm_mdegc - LIMITS.spare_mdegc - 1))
def test_a_board_that_stays_cool_always_comes_back(governor: Governor, cool: int | None) -> None:
    looks = PAUSE * LIMITS.relax_after_ms // 1_000 + 1
    assert after(Heat(cool, 0), governor, looks=looks, from_ms=governor.changed_at_ms or 0).level == 0


@given(level=st.integers(0, STEPS), swing=st.integers(0, LIMITS.spare_mdegc), looks=st.integers(2, 60))
def test_a_temperature_that_trembles_within_the_spare_degrees_moves_nothing(level: int, swing: int, looks: int) -> None:
    """Once at rest, a trembling of less than the hysteresis causes no step at all."""
    high = LIMITS.warm_mdegc + level * 3_000
    governor = after(Heat(high), Governor(), looks=200)
    levels = {governor.level}
    for look in range(looks):
        heat = Heat(high if look % 2 else high - swing)
        governor = governed(governor, heat, LIMITS, monotonic_ms=10**9 + look * 60_000)
        levels.add(governor.level)
    assert len(levels) == 1
