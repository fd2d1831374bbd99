"""Whoever doubts the bytecode in the package can make it again: the pinned compiler gives the same bytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rewards.contracts

SOURCES = Path(str(rewards.contracts.__file__)).parent


def test_the_sources_compile_to_the_artifacts_byte_for_byte(tmp_path: Path) -> None:
    # Beside this Python first: where no Node is installed, it came with a wheel.
    node = shutil.which("node", path=str(Path(sys.executable).parent)) or shutil.which("node")
    if node is None or not (SOURCES / "node_modules" / "solc").is_dir():
        pytest.fail("the compiler is not installed: run `make setup`, which installs node and rewards/contracts")
    subprocess.run([node, str(SOURCES / "compile.mjs"), "--out", str(tmp_path)], check=True, timeout=120)
    for name in ("CairnRewards", "CairnTestToken"):
        assert (tmp_path / f"{name}.json").read_bytes() == (SOURCES / "artifacts" / f"{name}.json").read_bytes()
