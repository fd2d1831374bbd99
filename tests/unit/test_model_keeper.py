"""The keeper's way from an offer to a model that has proven itself, and back, over real files and without waiting."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from edge.models.errors import ModelError
from edge.models.keeper import RESTART_VISION
from edge.models.rollout import CRASHES_MAX, SLOW_REPORTS_MAX
from edge.models.trust import Trust
from edge.sending.hearing import UnbelievableError
from protocol.modeloffer import is_included
from tests.support.model_story import ANNA, BEN, DEVICE, NOW_MS, SEED, STRANGER, QuickWorld, manifest, offer


@pytest.fixture
def world(tmp_path: Path) -> QuickWorld:
    """A device on which version 1 has proven itself."""
    made = QuickWorld(tmp_path / "models")
    made.keeper.hear(offer(manifest(version="1"), ANNA, BEN))
    assert made.settle() == 1
    made.prove()
    return made


def hear(world: QuickWorld, version: str, *, index: int = 0, later_ms: int = 1, percent: int = 100) -> None:
    block = offer(manifest(version=version, index=index), ANNA, BEN, issued_at_ms=NOW_MS + later_ms, percent=percent)
    world.keeper.hear(block)


def test_the_processes_with_the_key_load_no_arrays_no_pictures_and_no_runtime() -> None:
    program = (
        "import sys, edge.models.keeping, edge.models.own\n"
        "print([name for name in ('numpy', 'cv2', 'onnxruntime') if name in sys.modules])"
    )
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout == "[]\n"


def test_a_good_offer_is_fetched_tried_and_switched_to_once(world: QuickWorld) -> None:
    hear(world, "2")
    assert world.settle() == 1
    assert world.runs == "2"
    hear(world, "2", later_ms=2)  # the same model again, to more devices
    assert world.settle() == 0
    assert world.fetched == ["1", "2"]
    assert world.begin().runs is not None
    assert world.runs == "2"


def test_a_model_that_fails_its_trial_never_runs_and_is_not_tried_again(world: QuickWorld) -> None:
    world.bad_versions = frozenset({"2"})
    hear(world, "2")
    assert world.settle() == 0
    assert world.keeper.note == "2 fails its self-test"
    hear(world, "2", later_ms=2)
    world.begin()
    hear(world, "2", later_ms=3)
    assert world.settle() == 0
    assert world.runs == "1"
    assert world.fetched == ["1", "2"]
    world.bad_versions = frozenset()
    hear(world, "3", later_ms=4)
    assert world.settle() == 1
    assert world.runs == "3"


def test_a_model_that_is_too_slow_in_its_trial_never_runs(world: QuickWorld) -> None:
    world.frame_ms = 2_001
    hear(world, "2")
    assert world.settle() == 0
    assert "2001 ms a frame are too slow" in str(world.keeper.note)
    assert world.runs == "1"


@pytest.mark.parametrize("trouble", ["crashes", "fails", "slow"])
def test_trouble_on_probation_brings_the_previous_model_back_for_good(world: QuickWorld, trouble: str) -> None:
    hear(world, "2")
    world.settle()
    for _ in range(max(CRASHES_MAX, SLOW_REPORTS_MAX)):
        assert world.runs == "2"
        if trouble == "crashes":
            world.keeper.vision_crashed("the vision was ended by signal 11")
        elif trouble == "fails":
            world.keeper.model_failed("door fails its self-test")
        else:
            world.keeper.vision_works(frame_ms=5_000)
        if world.keeper.step() == RESTART_VISION:
            break
    assert world.runs == "1"
    hear(world, "2", later_ms=9)
    assert world.settle() == 0
    assert world.begin().note is None
    assert world.runs == "1"


def test_probation_is_time_at_work_not_time_that_passes(world: QuickWorld) -> None:
    hear(world, "2")
    world.settle()
    world.now_s += 10_000.0
    world.keeper.step()
    assert world.versions.state().probation is not None  # nothing was seen of it yet
    world.prove()
    assert world.versions.state().probation is None
    for _ in range(9):
        world.keeper.vision_crashed("the camera's cable")
    assert world.settle() == 0
    assert world.runs == "2"


def test_an_offer_waits_until_the_one_before_it_has_proven_itself(world: QuickWorld) -> None:
    hear(world, "2")
    world.settle()
    hear(world, "3", later_ms=2)
    assert world.settle() == 0
    world.prove()
    assert world.settle() == 1
    assert world.runs == "3"


def test_a_device_takes_its_turn_when_the_percentage_reaches_it(world: QuickWorld) -> None:
    turn = next(p for p in range(101) if is_included(DEVICE.public_key, seed=SEED, percent=p))
    hear(world, "2", percent=turn - 1)
    assert world.settle() == 0
    assert world.fetched == ["1"]
    hear(world, "2", percent=turn, later_ms=2)
    assert world.settle() == 1
    hear(world, "2", percent=0, later_ms=3)  # withdrawn: who runs it keeps it
    assert world.settle() == 0
    assert world.runs == "2"


def test_a_withdrawn_offer_is_not_fetched_any_more(world: QuickWorld) -> None:
    world.network_is_up = False
    hear(world, "2")
    world.settle()
    hear(world, "2", percent=0, later_ms=2)
    world.network_is_up = True
    world.now_s += 10_000.0
    assert world.settle() == 0
    assert world.runs == "1"


def test_a_download_that_is_not_wanted_any_more_is_given_up(world: QuickWorld) -> None:
    world.network_hangs = True
    hear(world, "2")
    world.settle()
    hear(world, "2", later_ms=2)  # the same again: it goes on
    world.settle()
    assert [errand.is_cancelled for errand in world.hanging] == [False]
    hear(world, "2", percent=0, later_ms=3)
    world.settle()
    assert [errand.is_cancelled for errand in world.hanging] == [True]
    hear(world, "3", later_ms=4)
    world.settle()
    world.network_hangs = False
    hear(world, "4", later_ms=5)
    assert [errand.is_cancelled for errand in world.hanging] == [True, False]
    assert world.settle() == 1
    assert [errand.is_cancelled for errand in world.hanging] == [True, True]
    assert world.runs == "4"


def test_a_download_that_fails_is_tried_again_ever_more_slowly(world: QuickWorld) -> None:
    world.network_is_up = False
    hear(world, "2")
    tries = []
    for _ in range(4_000):
        before = len(world.fetched)
        world.keeper.step()
        if len(world.fetched) > before:
            tries.append(world.now_s)
        world.now_s += 1.0
    pauses = [second - first for first, second in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert 30 <= pauses[0] <= 32
    assert len(tries) < 10
    assert world.keeper.note == "the network is down"
    world.network_is_up = True
    world.now_s += 3_600.0
    assert world.settle() == 1


def test_an_old_offer_played_again_is_disbelieved_even_after_a_restart(world: QuickWorld) -> None:
    hear(world, "2", later_ms=5)
    world.settle()
    world.prove()
    world.begin()
    with pytest.raises(UnbelievableError, match="issued before"):
        hear(world, "1", later_ms=4)


def test_an_old_model_offered_anew_meets_the_floor(world: QuickWorld) -> None:
    hear(world, "2", index=1)
    world.settle()
    hear(world, "1", later_ms=2)  # while 2 is unproven the hub may still change its mind
    world.prove()
    assert world.versions.state().floors == {"door": 1}
    assert world.settle() == 0
    assert world.runs == "2"


def test_an_offer_that_nobody_who_counts_has_signed_is_refused_with_a_sentence(world: QuickWorld) -> None:
    world.keeper.hear(offer(manifest(version="2"), ANNA, STRANGER, issued_at_ms=NOW_MS + 1))
    assert world.settle() == 0
    assert "signed by 1 of the publishers you trust, 2 must" in str(world.keeper.note)
    assert world.fetched == ["1"]


def test_a_manifest_changed_on_the_disk_does_not_run_the_one_before_it_does(world: QuickWorld) -> None:
    hear(world, "2")
    world.settle()
    world.prove()
    assert world.keeper.runs is not None
    manifest_path = world.keeper.runs.with_suffix(".toml")
    manifest_path.write_bytes(manifest_path.read_bytes().replace(b"score_ppm = 150000", b"score_ppm = 150001"))
    world.begin()
    assert world.runs == "1"


def test_where_nothing_can_be_believed_nothing_runs(world: QuickWorld) -> None:
    world.trust = Trust(frozenset({STRANGER.public_key}), 1)
    with pytest.raises(ModelError, match="0 of the publishers"):
        world.begin()


def test_a_file_named_in_the_settings_is_nobody_else_s_business(tmp_path: Path) -> None:
    world = QuickWorld(tmp_path / "models", asked="/somewhere/mine.onnx")
    world.keeper.hear(offer(manifest(), ANNA, BEN))
    assert world.settle() == 0
    world.keeper.vision_works(frame_ms=1)
    world.keeper.vision_crashed("x")
    world.keeper.close()
    assert world.keeper.runs == Path("/somewhere/mine.onnx")
    assert not (tmp_path / "models").exists()


def test_a_store_without_the_model_says_what_to_add(tmp_path: Path) -> None:
    world = QuickWorld(tmp_path / "models")
    assert world.keeper.runs is None
    assert world.keeper.note == "the model store has no 'door': add it with `cairn-edge model add door`"


def test_a_damaged_state_is_one_sentence(world: QuickWorld) -> None:
    (world.folder / "state.json").write_text("{")
    with pytest.raises(ModelError, match="move it away and add the models again"):
        world.begin()
    assert world.keeper.step() is None  # at work it is only told
    assert "damaged" in str(world.keeper.note)


def test_only_what_something_points_at_stays_on_the_disk(world: QuickWorld) -> None:
    for number in range(2, 6):
        hear(world, str(number), later_ms=number)
        world.settle()
        world.prove()
    state = json.loads((world.folder / "state.json").read_text())
    assert len(list((world.folder / "door").iterdir())) == 2
    assert state["current"]["digest"] != state["previous"]["digest"]
    assert state["candidate"] is None
    assert [path.name for path in (world.folder / ".fetching").iterdir()] == []
