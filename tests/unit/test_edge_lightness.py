"""What runs beside the key, or all day, stays small: neither numpy nor OpenCV nor ONNX Runtime comes in with it."""

import subprocess
import sys

import pytest

LIGHT = [
    "edge.care.health",
    "edge.care.thermal",
    "edge.settings",
    "edge.status_view",
    "edge.status_page.__main__",
    "edge.commands.status",
    "edge.doctor.patient",
    "edge.doctor.disk",
    "edge.doctor.board",
    "edge.doctor.clock",
    "edge.doctor.service",
]
_PROGRAM = """
import importlib, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
heavy = {"numpy", "cv2", "onnxruntime"} & set(sys.modules)
sys.exit(f"brought in {sorted(heavy)}" if heavy else 0)
"""


def test_light_modules_bring_in_nothing_heavy() -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, *LIGHT], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_page_needs_no_web_framework_no_broker_and_no_key() -> None:
    program = (
        "import sys, edge.status_page.__main__ as _\n"
        "third = {'fastapi', 'uvicorn', 'paho', 'sqlite3', 'nacl', 'structlog'} & set(sys.modules)\n"
        "sys.exit(f'brought in {sorted(third)}' if third else 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("heavy", ["edge.doctor.table"])
def test_the_test_above_can_fail(heavy: str) -> None:
    ended = subprocess.run([sys.executable, "-c", _PROGRAM, heavy], capture_output=True, text=True, check=False)
    assert "brought in" in ended.stderr
