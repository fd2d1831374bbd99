"""The README's command, once with the real video: what it counts is paid on chain, and the numbers agree."""

import json
import subprocess
import time
from pathlib import Path

import psutil

from tests.conftest import ROOT
from tests.e2e.conftest import Demos


def test_the_demo_counts_the_people_of_the_video_and_pays_for_them(assets: Path, demos: Demos) -> None:
    truth = json.loads((assets / "ground_truth.json").read_text())["people_one_by_one.mp4"]
    demo = demos.of_the_video
    assert demo.process.wait(600) == 0, demo.stdout()[-2_000:] + demo.stderr()[-4_000:]
    report = json.loads(demo.report.read_text())

    assert report["people_counted"] == truth["unique_persons"] == 6
    claimed_for, claim = report["claimed_for"], report["claim"]
    assert claimed_for["name"] == "video"
    owned = [device for device in report["devices"] if device["owner"] == claim["account"]]
    assert [device["name"] for device in owned] == ["video"]
    assert int(claim["paid_wei"]) == int(claimed_for["share_wei"]) > 0
    assert report["accepted"] == report["envelopes"] - report["verdicts"].get("duplicate", 0) > 0
    assert claim["audited_epochs"] == len(report["epochs"])
    assert all(epoch["segments"] and epoch["manifest"] and epoch["verdicts"] for epoch in report["epochs"])
    assert sum(device["tracks"] > 0 for device in report["devices"]) == len(report["devices"])
    simulated = [device for device in report["devices"] if device["came_by"] is not None]
    true, counted = (sum(device[name] for device in simulated) for name in ("came_by", "tracks"))
    assert true > 10
    assert abs(counted - true) <= 2 + true // 5, "counts stay near the truth even on a busy machine"
    for word in (claim["root"], claim["transaction"], report["epochs"][-1]["verdicts"], "people"):
        assert word in demo.stdout()


def test_a_wrong_word_is_answered_with_a_sentence(tmp_path: Path) -> None:
    command = ["make", "demo", "ONCE=1", "VIDEO=/no/such/video.mp4", f"FOLDER={tmp_path / 'network'}"]
    outcome = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode != 0
    assert "there is no file /no/such/video.mp4" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (tmp_path / "network").exists()


def test_what_dies_on_the_way_fails_the_demo_with_its_log(tmp_path: Path) -> None:
    """ONCE=1 never ends with 0 unless a claim was paid and verified."""
    folder = tmp_path / "network"
    command = ["make", "demo", "ONCE=1", "DEVICES=1", "EPOCH_SECONDS=60", f"FOLDER={folder}"]
    demo = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline_s = time.monotonic() + 90
        while not (folder / "devices" / "sim-1" / "status.json").exists():
            assert demo.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        hub = [child for child in psutil.process_iter(["cmdline"]) if _is_hub_of(child, folder)]
        assert hub
        hub[0].kill()
        _, talk = demo.communicate(timeout=60)
    finally:
        demo.kill()
    assert demo.returncode != 0
    assert "hub stopped with status -9; its log ends:" in talk
    assert "Traceback" not in talk
    gone_by_s = time.monotonic() + 10
    while left := [words for words in _command_lines() if str(folder) in words]:
        assert time.monotonic() < gone_by_s, left
        time.sleep(0.1)


def _is_hub_of(child: psutil.Process, folder: Path) -> bool:
    words = child.info["cmdline"] or []
    return "serve" in words and str(folder / "hub") in words


def _command_lines() -> list[str]:
    return [" ".join(child.info["cmdline"] or []) for child in psutil.process_iter(["cmdline"])]
