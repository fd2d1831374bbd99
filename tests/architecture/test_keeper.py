"""The process that holds the key never has pictures or what reads them in its memory, and stays small."""

import subprocess
import sys

import pytest

_HEAVY = ("numpy", "cv2", "onnxruntime", "structlog", "rich", "segno", "onnx")
_PROGRAM = """
import sys
import {module}
print(" ".join(sorted({{name.partition(".")[0] for name in sys.modules}} & set({heavy!r}))))
"""


@pytest.mark.parametrize("module", ["edge.cli", "edge.agent", "edge.status", "edge.confine"])
def test_the_keeper_imports_nothing_that_reads_pictures(module: str) -> None:
    program = _PROGRAM.format(module=module, heavy=_HEAVY)
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == []


def test_the_test_would_notice() -> None:
    program = _PROGRAM.format(module="edge.sight.vision", heavy=_HEAVY)
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"numpy", "cv2"} <= set(outcome.stdout.split())


def test_the_vision_process_never_has_what_signs_or_sends() -> None:
    program = _PROGRAM.format(module="edge.sight.vision", heavy=("nacl", "paho", "sqlite3", "ssl"))
    outcome = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == []
