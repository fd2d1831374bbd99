"""The keeper killed with -9 after each durable step of a rollout, good or bad: a model that works is always there."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.model_story import ANNA, BEN, QuickWorld, manifest, offer

FEWEST_STEPS = {"good": 8, "crashing": 8, "failing": 6}  # fetched, placed, and so often written down


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A device on which version 1 has proven itself."""
    folder = tmp_path_factory.mktemp("device") / "models"
    world = QuickWorld(folder)
    world.keeper.hear(offer(manifest(version="1"), ANNA, BEN))
    world.settle()
    world.prove()
    return folder


@pytest.mark.parametrize(("life", "ends_with"), [("good", "2"), ("crashing", "1"), ("failing", "1")])
def test_a_kill_after_any_step_leaves_a_model_that_works_and_the_rollout_goes_on(
    tmp_path: Path, before: Path, life: str, ends_with: str
) -> None:
    command = [sys.executable, "-m", "tests.support.model_lives", life, str(before), str(tmp_path)]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = [json.loads(line) for line in outcome.stdout.splitlines()]
    assert [step["was_killed"] for step in told] == [True] * (len(told) - 1) + [False]
    assert len(told) > FEWEST_STEPS[life]
    assert all(step["works"] for step in told), told
    assert {step["ends_with"] for step in told} == {ends_with}
