"""The trial as a process of its own: what passes, what fails, and what ends as no trial should."""

import time
from pathlib import Path

import pytest

from edge.models.errands import Outcome, Trying
from tests.conftest import ROOT
from tests.support.hub_world import eventually
from tests.support.model_story import TINY


def tried(trial: Trying) -> Outcome:
    eventually(lambda: trial.outcome() is not None, "the trial ends")
    outcome = trial.outcome()
    assert outcome is not None
    return outcome


def test_a_good_model_passes_and_tells_its_pace() -> None:
    outcome = tried(Trying(TINY, threads=1, monotonic_s=time.monotonic))
    assert outcome.problem is None
    assert outcome.frame_ms >= 1


@pytest.mark.parametrize(
    ("way", "complaint"),
    [("dies", "signal 11"), ("leaves", "status 3"), ("mutters", "nonsense"), ("hangs", "takes too long")],
)
def test_a_trial_that_ends_badly_is_a_failed_one(way: str, complaint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where the child finds the module
    timeout_s = 0.0 if way == "hangs" else 60.0
    trial = Trying(
        Path(f"{way}.onnx"),
        threads=1,
        monotonic_s=time.monotonic,
        timeout_s=timeout_s,
        module="tests.support.model_trials",
    )
    assert complaint in str(tried(trial).problem)


def test_a_trial_that_is_given_up_leaves_no_process_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    trial = Trying(Path("hangs.onnx"), threads=1, monotonic_s=time.monotonic, module="tests.support.model_trials")
    trial.cancel()
    assert tried(trial).problem == "its trial was given up"
