"""The demo from an empty folder to a paid claim, with the real video where it is at hand."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def measure(say: Callable[[str], None]) -> dict[str, int | float | str]:
    """Run the demo once and return seconds_to_paid_claim, edge_peak_rss_mib, people_counted."""
    assets = Path(os.environ.get("CAIRN_ASSETS", ROOT.parent / "shared" / "assets"))
    video, model = assets / "people_one_by_one.mp4", assets / "yolox_nano_416.onnx"
    has_video = video.is_file() and model.is_file()
    if not has_video:
        say(f"no video in {assets}: measuring the simulated fleet only, people_counted will be -1")
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
        report = Path(folder) / "report.json"
        command = [str(Path(sys.executable).with_name("cairn-sim")), "demo", "--once", "--report", str(report)]
        command += ["--folder", str(Path(folder) / "network")]
        if has_video:
            command += ["--video", str(video), "--model", str(model)]
        started = time.perf_counter()
        outcome = subprocess.run(command, stdout=sys.stderr, check=False, timeout=900)
        seconds = time.perf_counter() - started
        if outcome.returncode != 0:
            raise RuntimeError(f"the demo failed with status {outcome.returncode}")
        told = json.loads(report.read_text())
    return {
        "seconds_to_paid_claim": told["seconds_to_paid_claim"],
        "seconds_in_all": round(seconds, 1),
        "edge_peak_rss_mib": told["edge_peak_rss_mib"],
        "people_counted": told["people_counted"] if has_video else -1,
        "envelopes": told["envelopes"],
        "verdicts_not_accepted": told["envelopes"] - told["accepted"],
    }
