"""The keeper killed with -9 after each durable step of a rollout, good or bad: a model that works is always there."""

import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from edge.models.rollout import CRASHES_MAX
from edge.models.versions import ModelVersions
from tests.support.model_story import ANNA, BEN, NOW_MS, QuickWorld, manifest, offer

OFFER = offer(manifest(version="2", index=1), ANNA, BEN, issued_at_ms=NOW_MS + 1)
FEWEST_STEPS = 8  # fetched, placed, and six times written down


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device on which version 1 has proven itself."""
    folder = tmp_path_factory.mktemp("device") / "models"
    world = QuickWorld(folder)
    world.keeper.hear(offer(manifest(version="1"), ANNA, BEN))
    world.settle()
    world.prove()
    return folder


def good(world: QuickWorld) -> None:
    world.keeper.hear(OFFER)
    world.settle()
    world.prove()


def crashing(world: QuickWorld) -> None:
    world.keeper.hear(OFFER)
    world.settle()
    for _ in range(CRASHES_MAX):
        if world.runs == "2":
            world.keeper.vision_crashed("the vision was ended by signal 11")
        world.keeper.step()


def failing(world: QuickWorld) -> None:
    world.bad_versions = frozenset({"2"})
    world.keeper.hear(OFFER)
    world.settle()


def killed_after(step: int, folder: Path, life: Callable[[QuickWorld], None]) -> bool:
    """Live ``life`` in a child that is killed after its durable step number ``step``; whether it came that far."""
    child = os.fork()
    if child == 0:
        steps = count(1)

        def at_step(_says: str) -> None:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            life(QuickWorld(folder, at_step=at_step))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def works(path: Path | None, versions: ModelVersions) -> bool:
    """Whether the vision could open this: the file, its manifest and its picture are those that were signed."""
    if path is None:
        return False
    ref = next(ref for ref in versions.state().kept if versions.path_of(ref) == path)
    head = versions.version(ref).head
    picture = path.with_name(head.selftest.image).read_bytes()
    return (hashlib.sha256(path.read_bytes()).hexdigest(), hashlib.sha256(picture).hexdigest()) == (
        head.sha256,
        head.selftest.image_sha256,
    )


@pytest.mark.parametrize(("life", "ends_with"), [(good, "2"), (crashing, "1"), (failing, "1")])
def test_a_kill_after_any_step_leaves_a_model_that_works_and_the_rollout_goes_on(
    tmp_path: Path, before: Path, life: Callable[[QuickWorld], None], ends_with: str
) -> None:
    steps = 0
    for step in count(1):
        folder = tmp_path / str(step) / "models"
        shutil.copytree(before, folder)
        was_killed = killed_after(step, folder, life)
        survivor = QuickWorld(folder)
        assert works(survivor.keeper.runs, survivor.versions), step
        life(survivor)
        assert survivor.runs == ends_with, step
        assert works(survivor.keeper.runs, survivor.versions), step
        if not was_killed:
            break
        steps = step
    assert steps >= FEWEST_STEPS - 2 * (life is failing)


def test_kill_upon_kill_ends_with_a_model_that_works(tmp_path: Path, before: Path) -> None:
    """Killed after its first step, again and again: trials and starts that never end are counted, and it goes back."""
    folder = tmp_path / "models"
    shutil.copytree(before, folder)
    for step in (1, 2, 3, 2, 1, 3, 2, 2, 1, 1, 1):
        killed_after(step, folder, good)
        survivor = QuickWorld(folder)
        assert works(survivor.keeper.runs, survivor.versions)
        survivor.keeper.close()
