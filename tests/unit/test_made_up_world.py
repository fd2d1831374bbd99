"""The made-up town keeps its promises: one seed, one world; the truth agrees with the geometry."""

from itertools import pairwise

import numpy as np
import pytest

from firmware_sim.traffic import Passer, TrafficSettings, spans_px
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Vantage
from firmware_sim.world import World, WorldSettings, street_of, town_vantages
from protocol.classes import BICYCLE, CAR, PERSON
from protocol.units import UnixMs

TEN_MINUTES_MS = UnixMs(600_000)
START_MS = UnixMs(0)


def _town(seed: int, cameras: int = 2, settings: WorldSettings | None = None) -> World:
    return World(seed, town_vantages(seed, cameras), settings)


def test_the_same_seed_makes_the_same_world() -> None:
    first, again = _town(5), _town(5)
    assert first.visits(0, START_MS, TEN_MINUTES_MS) == again.visits(0, START_MS, TEN_MINUTES_MS)
    assert first.vantages == again.vantages


def test_another_seed_makes_another_world() -> None:
    assert _town(5).visits(0, START_MS, TEN_MINUTES_MS) != _town(6).visits(0, START_MS, TEN_MINUTES_MS)


def test_what_is_asked_first_does_not_change_the_world() -> None:
    asked_late, asked_early = _town(5), _town(5)
    late = asked_late.visits(1, UnixMs(300_000), TEN_MINUTES_MS)
    asked_early.sights(0, UnixMs(10_000))
    asked_early.visits(1, START_MS, UnixMs(60_000))
    assert asked_early.visits(1, UnixMs(300_000), TEN_MINUTES_MS) == late


def test_neighbouring_intervals_share_no_visit_and_miss_none() -> None:
    world = _town(8)
    whole = world.visits(0, START_MS, TEN_MINUTES_MS)
    minutes = [world.visits(0, UnixMs(begin), UnixMs(begin + 60_000)) for begin in range(0, TEN_MINUTES_MS, 60_000)]
    assert sum(minutes, ()) == whole
    assert len(whole) > 60


def test_twenty_seconds_of_usual_traffic_have_several_passes() -> None:
    world = _town(3, 4)
    epochs = [
        len(world.visits(camera, UnixMs(begin), UnixMs(begin + 20_000)))
        for camera in range(4)
        for begin in range(40_000, 640_000, 20_000)
    ]
    assert 3.0 <= sum(epochs) / len(epochs) <= 4.5


@pytest.mark.parametrize("passes_per_minute", [3.0, 24.0])
def test_traffic_density_is_what_was_asked_for(passes_per_minute: float) -> None:
    settings = WorldSettings(traffic=TrafficSettings(passes_per_minute=passes_per_minute))
    visits = [_town(seed, 1, settings).visits(0, UnixMs(60_000), TEN_MINUTES_MS) for seed in range(6)]
    measured = sum(map(len, visits)) / 6 / 9
    # Passers who would hide others for too long stay away: a busy street is a little emptier than asked for.
    assert 0.75 * passes_per_minute <= measured <= 1.25 * passes_per_minute


def test_somebody_during_a_visit_is_in_the_picture_and_nobody_else_is_half_in_it() -> None:
    world = _town(11)
    for camera in range(2):
        visits = world.visits(camera, START_MS, TEN_MINUTES_MS)
        for at_ms in range(30_000, 500_000, 1_937):
            here = {visit.passer_id for visit in visits if visit.enters_ms <= at_ms < visit.leaves_ms}
            middles = {
                sight.passer.passer_id: (sight.whole_box_px[0] + sight.whole_box_px[2]) / 2
                for sight in world.sights(camera, UnixMs(at_ms))
            }
            assert here <= set(middles)
            well_inside = {number for number, middle in middles.items() if 3 <= middle < FRAME_WIDTH_PX - 3}
            assert well_inside <= here


def test_boxes_lie_in_the_frame_and_are_not_empty() -> None:
    world = _town(12)
    seen = [sight for at_ms in range(0, 300_000, 333) for sight in world.sights(0, UnixMs(at_ms))]
    assert len(seen) > 300
    for sight in seen:
        left, top, right, bottom = sight.box_px
        assert 0 <= left < right <= FRAME_WIDTH_PX
        assert 0 <= top < bottom <= FRAME_HEIGHT_PX
        assert 0 <= sight.visible_ppm <= 1_000_000


def test_the_farthest_comes_first_and_only_the_nearer_hides() -> None:
    world = _town(4)
    for at_ms in range(0, 200_000, 250):
        sights = world.sights(1, UnixMs(at_ms))
        assert all(far.depth_m >= near.depth_m for far, near in pairwise(sights))
        if sights and sights[-1].whole_box_px[0] >= 0 and sights[-1].whole_box_px[2] <= FRAME_WIDTH_PX:
            inside = min(sights[-1].whole_box_px[3], FRAME_HEIGHT_PX) - sights[-1].whole_box_px[1]
            whole = sights[-1].whole_box_px[3] - sights[-1].whole_box_px[1]
            assert sights[-1].visible_ppm >= 900_000 * inside / whole


def test_cameras_of_one_street_witness_the_same_passers() -> None:
    world = _town(9, 4)
    assert world.witnesses(0) == (1,)
    assert world.witnesses(3) == (2,)
    there, facing = (
        {visit.passer_id for visit in world.visits(camera, UnixMs(60_000), UnixMs(400_000))} for camera in (0, 1)
    )
    assert len(there & facing) >= 0.9 * len(there | facing)
    elsewhere = {visit.passer_id for visit in world.visits(2, START_MS, TEN_MINUTES_MS)}
    assert not elsewhere & there


def test_all_classes_come_by_and_some_persons_stand_still() -> None:
    world = _town(2)
    visits = world.visits(0, START_MS, TEN_MINUTES_MS)
    assert {visit.class_id for visit in visits} == {PERSON, BICYCLE, CAR}
    stands_ms = []
    for at_ms in range(0, 600_000, 1_000):
        for sight in world.sights(0, UnixMs(at_ms)):
            points = sight.passer.waypoints
            stands_ms += [later - earlier for (earlier, a), (later, b) in pairwise(points) if a == b]
    assert max(stands_ms) >= 5_000


def test_passers_come_and_go_out_of_every_cameras_sight() -> None:
    for seed in range(20):
        world = _town(seed)
        for at_ms in range(0, 120_000, 5_000):
            for camera in range(2):
                for sight in world.sights(camera, UnixMs(at_ms)):
                    _assert_unseen_at_ends(world, sight.passer)


def _assert_unseen_at_ends(world: World, passer: Passer) -> None:
    for vantage in world.vantages:
        street = street_of(world.seed, vantage.block_index)
        ends_ms = np.array([passer.comes_at_ms, passer.goes_at_ms], np.float64)
        left, right, *_ = spans_px(passer, street, vantage, ends_ms)
        assert bool(np.all((right < 0) | (left > FRAME_WIDTH_PX)))


def test_a_camera_position_is_near_the_town() -> None:
    world = _town(1, 6)
    base = world.settings.base_udeg
    places = {world.position_udeg(camera) for camera in range(6)}
    assert len(places) == 6
    assert all(abs(place[0] - base[0]) < 5_000 and abs(place[1] - base[1]) < 9_000 for place in places)


def test_the_middle_of_the_view_is_the_middle_of_the_frame() -> None:
    looks_north = Vantage(0, (0.0, 0.0), 4.0, 0.0, 90.0, 250_000, "wall")
    column, row, depth = looks_north.project(np.array([0.0, 10.0, 0.0]), np.array([10.0, 10.0, -5.0]))
    assert column[0] == pytest.approx(160)
    assert row[0] == pytest.approx(48 + 160 * 4 / 10)  # horizon + focal length * height / depth
    assert column[1] == pytest.approx(320)  # 45 degrees to the right: the frame's edge
    assert np.isnan(depth[2])  # behind the camera


def test_a_world_that_begins_late_is_empty_before() -> None:
    world = _town(1, 1, WorldSettings(starts_at_ms=UnixMs(1_700_000_000_000)))
    assert world.visits(0, UnixMs(1_699_999_000_000), UnixMs(1_700_000_000_000)) == ()
    assert len(world.visits(0, UnixMs(1_700_000_000_000), UnixMs(1_700_000_300_000))) > 20


def test_a_question_years_after_the_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="start it nearer"):
        _town(1).visits(0, START_MS, UnixMs(1_700_000_000_000))


@pytest.mark.parametrize("shares", [{PERSON: 1}, {PERSON: 1_500_000, CAR: -500_000}, {17: 1_000_000}])
def test_impossible_traffic_is_refused(shares: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="class_shares_ppm"):
        TrafficSettings(class_shares_ppm=shares)


def test_a_passer_needs_growing_times() -> None:
    with pytest.raises(ValueError, match="grow in time"):
        Passer(1, PERSON, (0.5, 0.4, 1.7), 0.0, ((5, 0.0), (5, 1.0)), 1)


def test_a_town_has_cameras() -> None:
    with pytest.raises(ValueError, match="at least one camera"):
        town_vantages(1, 0)
