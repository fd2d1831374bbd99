"""Not one double count and nobody missed: over two hundred scripted scenes, each with an awkwardness of its own."""

import pytest

from edge.sight.places import Places
from edge.sight.tracker import Tracker, TrackerSettings
from firmware_sim.authors import script
from firmware_sim.scripts import FRAME_PX, Kind, Script, Walker, can_be_counted
from firmware_sim.staging import follow, people_in
from protocol.observation import Crossing

SCENES_A_KIND = 24  # 216 in all
MIDDLE_LINE = Places([((500, 0), (500, 1000))])


@pytest.mark.parametrize("kind", Kind)
def test_every_scene_is_counted_exactly(kind: Kind) -> None:
    scenes = [script(kind, seed) for seed in range(SCENES_A_KIND)]
    errors = {scene.seed: people_in(follow(scene)) - scene.people for scene in scenes}
    wrong = {seed: error for seed, error in errors.items() if error}
    people = sum(scene.people for scene in scenes)
    print(f"{kind}: {len(scenes) - len(wrong)} of {len(scenes)} scenes exact, {people} people")
    assert not wrong


@pytest.mark.parametrize("kind", [Kind.STANDSTILL, Kind.CROSSING, Kind.EDGE])
def test_whoever_walks_through_crosses_the_line_in_the_middle_once(kind: Kind) -> None:
    for seed in range(12):
        scene = script(kind, seed)
        crossed = [each for each in follow(scene, places=MIDDLE_LINE) if isinstance(each, Crossing)]
        # Seen along the line, from top to bottom, the right of the picture is on its left.
        towards_left = sum(walker.way[0][1] > FRAME_PX[0] / 2 for walker in scene.walkers)
        assert sum(each.is_forward for each in crossed) == towards_left, seed
        assert len(crossed) == scene.people, seed


def test_a_scene_is_a_function_of_its_kind_and_seed() -> None:
    for kind in Kind:
        assert script(kind, 5) == script(kind, 5) != script(kind, 6)
        assert list(script(kind, 5).frames()) == list(script(kind, 5).frames())


def test_the_noise_is_such_that_counting_boxes_is_no_help() -> None:
    """The tracker earns its keep: some frames show too few boxes, some too many."""
    scene = script(Kind.STANDSTILL, 3)
    middle_ms = scene.walkers[0].way[2][0] - 1_000
    shown = [len(found) for at_ms, found in scene.frames() if at_ms < middle_ms]
    assert min(shown) == 0
    assert max(shown) > scene.people


def test_who_is_hidden_for_good_makes_no_scene() -> None:
    near = Walker(160.0, 350.0, ((0, -80.0), (6_000, 720.0)))
    behind = Walker(100.0, 300.0, ((0, -80.0), (6_000, 720.0)))
    assert can_be_counted(Script(Kind.CROSSING, 1, (near,)))
    assert not can_be_counted(Script(Kind.CROSSING, 1, (near, behind)))


def test_the_scenes_are_hard_a_tracker_without_patience_fails_them() -> None:
    impatient = TrackerSettings(
        moving_hold_ms=300, still_hold_ms=300, aside_hold_ms=300, blind_max_ms=0, hidden_max_ms=0
    )
    wrong = 0
    for kind in (Kind.STANDSTILL, Kind.OCCLUSION, Kind.FREEZE, Kind.REENTRY):
        for seed in range(6):
            scene = script(kind, seed)
            tracker = Tracker(impatient)
            seen = [each for at, found in scene.frames() for each in tracker.update(found, at, frame_px=FRAME_PX)]
            wrong += people_in((*seen, *tracker.finish())) != scene.people
    assert wrong > 15
