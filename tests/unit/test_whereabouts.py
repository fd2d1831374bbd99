"""Which position goes into an envelope: rules, in order, and never more exact than is known."""

import msgspec
import pytest

from edge.keeping.builder import coarsened
from edge.sensors.fix import Fix
from edge.sensors.whereabouts import PlaceRules, Whereabouts, is_good, whereabouts
from edge.settings import PositionSettings
from protocol.observation import Position
from protocol.units import Udeg, UnixMs
from tests.support.sensor_story import NOW_MS

SETTINGS = PositionSettings(lat_udeg=Udeg(1_000_000), lon_udeg=Udeg(2_000_000), heading_mdeg=90_000, source="gnss")
RULES = SETTINGS.rules()
GOOD = Fix(
    measured_at_ms=NOW_MS,
    dimension=3,
    lat_udeg=Udeg(52_520_508),
    lon_udeg=Udeg(13_404_500),
    accuracy_mm=5_000,
    satellites=8,
    hdop_milli=1_000,
)


def later(by_ms: int) -> UnixMs:
    return UnixMs(NOW_MS + by_ms)


def moved(lat_udeg: int, at_ms: UnixMs = NOW_MS) -> Fix:
    return msgspec.structs.replace(GOOD, lat_udeg=lat_udeg, measured_at_ms=at_ms)


def where(fix: Fix | None, last: Whereabouts | None = None, *, now_ms: UnixMs = NOW_MS) -> Whereabouts:
    return whereabouts(fix, RULES, last, now_ms=now_ms)


def test_without_gnss_the_settings_count_whatever_the_receiver_says() -> None:
    plain = PositionSettings(lat_udeg=Udeg(1), lon_udeg=Udeg(2)).rules()
    assert whereabouts(GOOD, plain, None, now_ms=NOW_MS).position == Position(Udeg(1), Udeg(2), 10_000, -1)


def test_a_good_fix_is_the_position_and_the_heading_stays_the_settings() -> None:
    assert where(GOOD).position == Position(Udeg(52_520_508), Udeg(13_404_500), 5_000, 90_000)


@pytest.mark.parametrize(
    "changed",
    [
        {"satellites": 3},
        {"hdop_milli": 5_001},
        {"accuracy_mm": None},
        {"dimension": 0, "lat_udeg": None, "lon_udeg": None},
    ],
)
def test_a_fix_that_is_not_good_enough_is_not_used(changed: dict[str, object]) -> None:
    bad = msgspec.structs.replace(GOOD, **changed)
    assert not is_good(bad, RULES)
    assert where(bad).position == Position(Udeg(1_000_000), Udeg(2_000_000), 1_000_000, 90_000)


def test_two_dimensions_are_enough_unless_three_are_asked_for() -> None:
    flat = msgspec.structs.replace(GOOD, dimension=2)
    strict = msgspec.structs.replace(SETTINGS, gnss_min_dimension=3).rules()
    assert is_good(flat, RULES)
    assert not is_good(flat, strict)


def test_what_a_receiver_does_not_tell_is_not_held_against_it() -> None:
    assert is_good(msgspec.structs.replace(GOOD, satellites=None, hdop_milli=None), RULES)


def test_the_last_good_fix_holds_for_a_while_and_ages_by_a_metre_a_second() -> None:
    first = where(GOOD)
    no_fix = Fix(measured_at_ms=later(100_000), dimension=0)
    held = where(no_fix, first, now_ms=later(100_000))
    assert held.position == Position(Udeg(52_520_508), Udeg(13_404_500), 105_000, 90_000)
    silent = where(None, held, now_ms=later(300_000))
    assert silent.position.accuracy_mm == 305_000
    over = where(None, silent, now_ms=later(300_001))
    assert over.position == Position(Udeg(1_000_000), Udeg(2_000_000), 1_000_000, 90_000)
    assert where(None, over, now_ms=later(300_002)).good is None
    assert where(moved(1, later(400_000)), over, now_ms=later(400_000)).position.lat_udeg == 1


def test_the_settings_are_never_believed_more_than_they_say() -> None:
    vague = msgspec.structs.replace(SETTINGS, accuracy_mm=9_000_000).rules()
    assert whereabouts(None, vague, None, now_ms=NOW_MS).position.accuracy_mm == 9_000_000


def test_a_fix_from_the_future_does_not_count_after_the_clock_stepped_back() -> None:
    assert where(None, where(GOOD), now_ms=later(-1)).position.lat_udeg == 1_000_000


def test_a_device_at_the_edge_of_a_square_does_not_flicker_between_two() -> None:
    squares = set()
    last = None
    for second in range(60):
        wobble = moved(52_520_000 + (second % 7 - 3) * 10, later(second * 1_000))  # 3.3 m about the edge
        last = where(wobble, last, now_ms=later(second * 1_000))
        squares.add(coarsened(last.position, grid_udeg=RULES.grid_udeg).lat_udeg)
        told = last.position
        far_mm = abs(told.lat_udeg - (wobble.lat_udeg or 0)) * 112
        assert coarsened(told, grid_udeg=RULES.grid_udeg).accuracy_mm >= far_mm
    assert squares == {52_519_500}


def test_whoever_is_told_to_be_in_a_square_that_he_just_left_is_less_exact() -> None:
    last = where(moved(52_519_990))
    assert where(moved(52_520_030), last).position == Position(
        Udeg(52_519_990), Udeg(13_404_500), 5_000 + 31 * 112, 90_000
    )


def test_a_device_that_moves_on_takes_its_square_along() -> None:
    last = where(moved(52_520_010))
    last = where(moved(52_521_100), last)  # 11 m outside with 5 m of accuracy
    assert last.position.lat_udeg == 52_521_100


def test_an_exact_grid_follows_every_fix() -> None:
    exact: PlaceRules = msgspec.structs.replace(SETTINGS, grid_udeg=1).rules()
    last = whereabouts(moved(10), exact, None, now_ms=NOW_MS)
    assert whereabouts(moved(11), exact, last, now_ms=NOW_MS).position.lat_udeg == 11
