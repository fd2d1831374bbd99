"""The house: rooms import what they may, files stay small, banned words stay out, nothing of this machine leaks in."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("protocol", "edge", "hub", "rewards", "firmware_sim")
_LOG = ROOT / "edge" / "log.py"
BANNED_WORDS = {"item", "items", "data", "info", "manager", "helper", "helpers", "util", "utils", "process", "handle"}


def _sources() -> list[Path]:
    return sorted(
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if not {"node_modules", "versions"} & set(path.parts)
    )


def test_imports_keep_to_the_floor_plan() -> None:
    outcome = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_no_module_is_longer_than_three_screens() -> None:
    long = {str(p.relative_to(ROOT)): n for p in _sources() if (n := len(p.read_text().splitlines())) > 350}
    assert not long


def test_no_public_name_is_a_banned_word() -> None:
    found = []
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if path == _LOG:  # a log's levels have their names everywhere
                continue
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith(
                "_"
            ):
                words = set(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name).lower().split("_"))
                if words & BANNED_WORDS:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert not found


def test_no_float_decides_about_money_verdicts_or_bytes() -> None:
    found = []
    for room in ("protocol", "hub/domain", "rewards/domain"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                is_float = (isinstance(node, ast.Constant) and isinstance(node.value, float)) or (
                    isinstance(node, ast.Name) and node.id == "float"
                )
                if is_float or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)):
                    found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")
    assert not found


@pytest.mark.parametrize("room", ROOMS)
def test_no_room_has_an_empty_promise(room: str) -> None:
    promises = re.compile(r"NotImplementedError|\bTODO\b|\bFIXME\b")
    found = [str(p.relative_to(ROOT)) for p in (ROOT / room).rglob("*.py") if promises.search(p.read_text())]
    assert not found


def test_no_registry_host_and_no_home_folder_stands_in_a_tracked_file() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hosts = re.compile(r'"resolved":\s*"https?:|registry\s*=\s*"?https?:|--(extra-)?index-url|/(root|home)/\w+/')
    found = []
    for name in filter(None, tracked.split("\0")):
        path = ROOT / name
        if path.suffix in {".onnx", ".png", ".car", ".jpg"} or not path.is_file() or path == Path(__file__):
            continue
        if hosts.search(path.read_text(errors="replace")):
            found.append(name)
    assert not found
