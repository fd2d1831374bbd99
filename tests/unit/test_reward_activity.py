"""Activity: one vantage an epoch, time slots instead of counts, and times that can be claimed only within bounds."""

import hashlib

import pytest

from protocol.identity import PublicKey
from protocol.observation import Position, Quantity, Reading, Track
from protocol.units import Ppm, Udeg, UnixMs
from rewards.domain.activity import AcceptedEnvelope, DeviceActivity, SlotClock, activities, observed_at_ms
from rewards.domain.vantage import Cell, Vantage
from tests.support.own_words import ALL_KINDS, CROSSING, GAP, HEALTH, OWN_WORDS, STAY, STUCK, SUCCESSION, TRACK

CLOCK = SlotClock(UnixMs(1_200_000), UnixMs(2_400_000), 12)  # slots of 100 seconds
DEVICE = PublicKey.of_raw(hashlib.sha256(b"device").digest())
HERE = Position(Udeg(52_520_049), Udeg(13_405_000), 0, -1)
THERE = Position(Udeg(52_530_000), Udeg(13_405_000), 0, -1)


def _envelope(
    *observed: int, sequence: int = 1, created: int = 2_400_000, received: int = 2_399_999, place: Position = HERE
) -> AcceptedEnvelope:
    return AcceptedEnvelope(
        DEVICE, sequence, place, UnixMs(created), UnixMs(received), tuple(UnixMs(at_ms) for at_ms in observed)
    )


@pytest.mark.parametrize(
    ("observed_ms", "slot"),
    [(1_200_000, 0), (1_299_999, 0), (1_300_000, 1), (2_399_999, 11), (0, 0), (9_000_000, 11)],
)
def test_an_observation_falls_into_the_slot_of_its_time_clipped_to_the_epoch(observed_ms: int, slot: int) -> None:
    assert CLOCK.slot_of(UnixMs(observed_ms), _envelope(created=9_000_000, received=9_000_000)) == slot


@pytest.mark.parametrize("bound", ["created", "received"])
def test_nothing_is_observed_after_its_envelope_was_signed_or_received(bound: str) -> None:
    envelope = _envelope(created=1_350_000) if bound == "created" else _envelope(received=1_350_000)
    assert CLOCK.slot_of(UnixMs(2_399_000), envelope) == 1


def test_many_observations_in_one_slot_are_worth_one() -> None:
    (many,) = activities([_envelope(*range(1_200_000, 1_290_000, 1_000))], CLOCK)
    assert (many.slots, many.observations) == (frozenset({0}), 90)


def test_a_device_stands_where_its_lowest_active_sequence_says_in_any_order_of_arrival() -> None:
    heartbeat = _envelope(sequence=1, place=THERE)
    first = _envelope(1_200_000, sequence=2)
    later = _envelope(1_900_000, sequence=3, place=THERE)
    for order in ([heartbeat, first, later], [later, first, heartbeat]):
        (activity,) = activities(order, CLOCK)
        assert activity.vantage == Vantage.of(HERE)
        assert activity.slots == {0, 7}
        assert (activity.envelopes, activity.observations) == (3, 2)


def test_a_device_without_observations_is_heard_but_stands_nowhere() -> None:
    assert activities([_envelope()], CLOCK) == (DeviceActivity(DEVICE, None, frozenset(), 1, 0),)


def test_slots_without_a_vantage_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="exactly an active device"):
        DeviceActivity(DEVICE, None, frozenset({1}), 1, 1)


def test_the_time_of_a_track_is_when_it_was_last_seen_and_of_a_reading_when_it_was_measured() -> None:
    track = Track(1, 0, UnixMs(5), UnixMs(9), Ppm(1), 1, continues=False, sketch=b"")
    assert observed_at_ms([track, Reading(Quantity.PRESSURE_PA, UnixMs(7), 100_000, 1)]) == (9, 7)


def test_only_tracks_and_readings_earn_a_slot() -> None:
    assert observed_at_ms(ALL_KINDS) == (TRACK.last_seen_ms, STUCK.measured_at_ms)
    for kind in (CROSSING, STAY, GAP, HEALTH, SUCCESSION):
        assert observed_at_ms([kind]) == ()
    (silent,) = activities([_envelope(*observed_at_ms([CROSSING, STAY, *OWN_WORDS, SUCCESSION]))], CLOCK)
    assert (silent.vantage, silent.slots, silent.envelopes, silent.observations) == (None, frozenset(), 1, 0)


@pytest.mark.parametrize(
    ("heading_mdeg", "octant"),
    [(-1, -1), (0, 0), (22_499, 0), (22_500, 1), (90_000, 2), (337_499, 7), (337_500, 0), (359_999, 0)],
)
def test_a_heading_becomes_the_nearest_of_eight_directions(heading_mdeg: int, octant: int) -> None:
    assert Vantage.of(Position(Udeg(0), Udeg(0), 0, heading_mdeg)).octant == octant


def test_a_few_metres_are_one_vantage_and_the_antimeridian_is_one_place() -> None:
    def at(lat_udeg: int, lon_udeg: int) -> Vantage:
        return Vantage.of(Position(Udeg(lat_udeg), Udeg(lon_udeg), 0, -1))

    assert at(52_520_000, 13_405_000) == at(52_520_099, 13_405_099)
    assert at(52_520_000, 13_405_000) != at(52_520_100, 13_405_000)
    assert at(0, 180_000_000) == at(0, -180_000_000)
    assert at(-1, 0) == Vantage(-1, 0, -1)  # floors below zero too: no grid square is twice as large


def test_a_cell_is_a_hundred_grid_lines_wide_on_both_sides_of_zero() -> None:
    assert Vantage(99, -1, 0).cell == Cell(0, -1)
    assert Vantage(100, -100, 0).cell == Cell(1, -1)
    assert Vantage(-101, -101, 0).cell == Cell(-2, -2)


def test_a_ninth_direction_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="eight directions"):
        Vantage(0, 0, 8)
