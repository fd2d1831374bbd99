"""A status as a busy agent writes it, with the fields of a later release too; and the page as a process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.status_view import STATUS_FILE
from tests.support.edge_story import clock_ms, key_pair

BUSY: dict[str, Any] = {
    "device": key_pair("device").public_key.did,
    "network": "lakeside",
    "release": "0.1.0",
    "boot": 4,
    "is_running": True,
    "trouble": None,
    "frames": 41_230,
    "fps": 9.6,
    "tracks": 312,
    "people": 201,
    "model": "yolox-nano",
    "provider": "CPUExecutionProvider",
    "inference_ms_mean": 21.4,
    "inference_p50_us": 20_900,
    "inference_p95_us": 26_400,
    "inferred_ppm": 612_000,
    "envelopes_signed": 148,
    "receipts": {"accepted": 139, "duplicate": 4, "clock_skew": 2},
    "outbox_envelopes": 3,
    "outbox_bytes": 1_912,
    "outbox_refused": 0,
    "outbox_oldest_ms": 4_100,
    "outbox_classes": {"tracks": 2, "health": 1},
    "gaps": 0,
    "disk_writes_per_h": 402,
    "is_connected": True,
    "is_enrolled": True,
    "is_adopted": False,
    "adoption_code": "7KQ-2M9-XW4",
    "beacon_round": 7,
    "beacon_age_ms": 1_900,
    "processes": [
        {"name": "keeper", "pid": 812, "restarts": 0, "rss_kib": 27_912},
        {"name": "vision", "pid": 815, "restarts": 1, "rss_kib": 91_340},
        {"name": "capture", "pid": 822, "restarts": 3, "rss_kib": 44_800},
        {"name": "sensing", "pid": 818, "restarts": 0, "rss_kib": 19_020},
    ],
    "peak_rss_kib": 28_400,
    "health": {
        "soc_mdegc": 61_250,
        "throttled_bits": 0,
        "disk_free_mib": 21_840,
        "disk_wear_ppm": 200_000,
        "clock_source": 1,
        "clock_offset_ms": -12,
        "gnss_fix": 3,
        "gnss_satellites": 11,
    },
    "a_field_of_a_later_release": {"position": [52.520008, 13.404954], "camera": "rtsp://me:secret@10.0.0.7/"},
}

_STARTED_AT_MS = clock_ms() - 5_025_000


def write_status(directory: Path, **changes: object) -> dict[str, Any]:
    """Write the status of an agent that is at work this moment."""
    now_ms = clock_ms()
    signed = {
        "sequence": 1_482,
        "signed_at_ms": now_ms - 3_200,
        "observations": 5,
        "says": "person for 12 s, 87 % sure",
    }
    news = {"started_at_ms": _STARTED_AT_MS, "updated_at_ms": now_ms, "last_signed": signed}
    said: dict[str, Any] = {**BUSY, **news, **changes}
    draft = directory / f"{STATUS_FILE}.new"
    draft.write_text(json.dumps(said))
    draft.replace(directory / STATUS_FILE)
    return said


@dataclass
class ServedPage:
    """The page of a device as its supervisor starts it."""

    running: subprocess.Popen[str]
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])


@contextmanager
def served_page(directory: Path, *more: str) -> Iterator[ServedPage]:
    """Start the page's process on any free port and end it."""
    command = [sys.executable, "-m", "edge.status_page", "--dir", str(directory), "--port", "0", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline()
            assert running.stderr is not None
            assert line, running.stderr.read()
            yield ServedPage(running, json.loads(line)["http"])
        finally:
            running.terminate()
            running.wait(10)
