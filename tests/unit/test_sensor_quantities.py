"""What cannot be is refused; what does not change for longer than its kind can is told and flagged."""

import pytest

from edge.sensors.quantities import NATURES, FlatlineWatch, checked, words_for
from edge.sensors.sensor import SensorError
from protocol.observation import Quantity, Reading, ReadingFlag
from protocol.units import UnixMs

HOUR_S = 3_600


def reading(value: int, quantity: Quantity = Quantity.TEMPERATURE_MDEGC) -> Reading:
    return Reading(quantity, UnixMs(0), value, 1)


def flagged_after_s(
    before: list[int], value: int, quantity: Quantity = Quantity.TEMPERATURE_MDEGC, *, every_s: int = 60
) -> int:
    """Return after how long ``value`` is flagged by a watch that has seen ``before``, each two of the period apart."""
    watch = FlatlineWatch()
    for index, seen in enumerate(before):
        assert watch.judged(reading(seen, quantity), at_s=-1_000_000 + index).flags == 0
    for at_s in range(0, 60 * HOUR_S, every_s):
        judged = watch.judged(reading(value, quantity), at_s=at_s)
        assert judged.value == value
        if judged.flags:
            assert judged.flags == ReadingFlag.STUCK
            return at_s
    raise AssertionError("never flagged")


def test_every_quantity_has_its_nature() -> None:
    assert set(NATURES) == set(Quantity)


@pytest.mark.parametrize("quantity", Quantity)
def test_the_ends_of_the_possible_are_possible_and_one_beyond_is_not(quantity: Quantity) -> None:
    nature = NATURES[quantity]
    for value in (nature.least, nature.most):
        assert checked(reading(value, quantity), name="x").value == value
    for value in (nature.least - 1, nature.most + 1):
        with pytest.raises(SensorError, match="which cannot be"):
            checked(reading(value, quantity), name="x")


def test_a_finer_sensor_is_suspected_sooner() -> None:
    assert flagged_after_s([20_010, 20_000], 20_100) == 1 * HOUR_S  # steps of 0.01 degC
    assert flagged_after_s([20_062, 20_000], 20_100) == pytest.approx(6.2 * HOUR_S, abs=60)  # a ds18b20
    assert flagged_after_s([20_000, 21_000], 22_000) == 24 * HOUR_S  # whole degrees
    assert flagged_after_s([20_001, 20_000], 20_100) == HOUR_S // 2


def test_a_sensor_that_never_changed_has_a_day() -> None:
    assert flagged_after_s([], 20_000) == 24 * HOUR_S


@pytest.mark.parametrize(
    ("quantity", "value"),
    [
        (Quantity.ILLUMINANCE_MLUX, 0),
        (Quantity.PM2_5_NG_M3, 0),
        (Quantity.RELATIVE_HUMIDITY_PPM, 0),
        (Quantity.RELATIVE_HUMIDITY_PPM, 1_000_000),
    ],
)
def test_night_clean_air_and_fog_may_last_two_days(quantity: Quantity, value: int) -> None:
    assert flagged_after_s([500_000, 500_100], value, quantity) == 48 * HOUR_S


def test_a_sensor_that_is_read_rarely_is_judged_by_ten_readings() -> None:
    assert flagged_after_s([20_010, 20_000], 20_100, every_s=5 * HOUR_S) == 9 * 5 * HOUR_S


def test_any_change_ends_it_and_the_quantities_of_one_sensor_are_apart() -> None:
    watch = FlatlineWatch()
    for minute in range(60):
        watch.judged(reading(20_000), at_s=minute * 60)
        assert watch.judged(reading(90_000 + minute, Quantity.PRESSURE_PA), at_s=minute * 60).flags == 0
    assert watch.judged(reading(20_001), at_s=25 * HOUR_S).flags == 0
    assert watch.judged(reading(20_001), at_s=25 * HOUR_S + 60).flags == 0


def test_readings_have_words() -> None:
    assert words_for(reading(-21_437)) == "-21.437 degC"
    assert words_for(reading(482_500, Quantity.RELATIVE_HUMIDITY_PPM)) == "48.25 %RH"
