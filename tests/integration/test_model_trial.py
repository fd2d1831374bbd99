"""Errands as processes of their own: what passes, what fails, what ends as none should, and what they cannot reach."""

import hashlib
import sys
import time
from pathlib import Path

import pytest

from edge.models.errands import ChildErrand, Outcome, Parcel, fetching, trying
from tests.conftest import ROOT
from tests.support.hub_world import eventually
from tests.support.model_story import PICTURE, TINY, lay_out, manifest

MISBEHAVING = ROOT / "tests" / "support" / "model_trials.py"


def ended(errand: ChildErrand) -> Outcome:
    eventually(lambda: errand.outcome() is not None, "the errand ends")
    outcome = errand.outcome()
    assert outcome is not None
    return outcome


def test_a_good_model_passes_and_tells_its_pace(tmp_path: Path) -> None:
    outcome = ended(trying(lay_out(tmp_path, manifest()), threads=1, monotonic_s=time.monotonic))
    assert outcome.problem is None
    assert outcome.frame_ms >= 1


def test_a_trial_can_open_nothing_beside_the_model(tmp_path: Path) -> None:
    path = lay_out(tmp_path / "model", manifest())
    secret = tmp_path / "device.key"
    secret.write_text("0" * 64)
    path.with_name(PICTURE.name).unlink()
    path.with_name(PICTURE.name).symlink_to(secret)
    outcome = ended(trying(path, threads=1, monotonic_s=time.monotonic))
    assert "missing or broken" in str(outcome.problem)  # where it may be read, the sentence is another


def test_a_parcel_that_nobody_has_is_one_sentence(tmp_path: Path) -> None:
    parcel = Parcel(manifest(), (), ("http://127.0.0.1:9/m",), ("http://127.0.0.1:9/p",), "")
    outcome = ended(fetching(parcel, tmp_path, monotonic_s=time.monotonic))
    assert "Cannot download cairn-tiny-selftest.png from http://127.0.0.1:9/p" in str(outcome.problem)


@pytest.mark.parametrize(
    ("way", "complaint"),
    [("dies", "signal 11"), ("leaves", "status 3"), ("mutters", "nonsense"), ("hangs", "takes too long")],
)
def test_an_errand_that_ends_badly_is_a_failed_one(way: str, complaint: str) -> None:
    timeout_s = 0.0 if way == "hangs" else 60.0
    command = [sys.executable, str(MISBEHAVING), way]
    errand = ChildErrand(command, monotonic_s=time.monotonic, timeout_s=timeout_s, what="the trial")
    assert complaint in str(ended(errand).problem)


def test_an_errand_that_is_given_up_is_over_at_once() -> None:
    errand = ChildErrand(
        [sys.executable, str(MISBEHAVING), "hangs"], monotonic_s=time.monotonic, timeout_s=60.0, what="the trial"
    )
    errand.cancel()
    outcome = errand.outcome()
    assert outcome is not None
    assert outcome.problem == "the trial was given up"


def test_the_tiny_model_is_the_one_that_its_manifest_pins() -> None:
    assert hashlib.sha256(TINY.read_bytes()).hexdigest() in manifest().decode()
