"""The installer and the unit, as far as they can be checked without installing: refusals, shell, hardening."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT

_INSTALL = ROOT / "edge/install"


def _run(root: Path, *words: str, programs: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run install.sh below ``root``; ``programs`` (name to shell line) stand before the system's."""
    folder = root / "programs"
    folder.mkdir(parents=True)
    for name, line in (programs or {}).items():
        (folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (folder / name).chmod(0o755)
    environment = {"PATH": f"{folder}:{os.environ['PATH']}", "HOME": str(root), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["sh", str(_INSTALL / "install.sh"), "--root", str(root / "root"), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("programs", "says"),
    [
        ({"uname": '[ "$1" = -m ] && echo armv7l || echo Linux', "getconf": "echo 32"}, "no armv7l). A Pi 3, 4, 5"),
        # Raspberry Pi OS 32-bit on a Pi 5 runs a 64-bit kernel.
        ({"uname": '[ "$1" = -m ] && echo aarch64 || echo Linux', "getconf": "echo 32"}, "aarch64 kernel, 32-bit prog"),
        ({"uname": '[ "$1" = -m ] && echo riscv64 || echo Linux'}, "no wheels of ONNX Runtime for riscv64"),
        ({"uname": "echo Darwin"}, "the agent runs on Linux; this is Darwin"),
        ({"getconf": '[ "$1" = LONG_BIT ] && echo 64'}, "no glibc (Alpine?)"),
        ({"getconf": '[ "$1" = LONG_BIT ] && echo 64 || echo glibc 2.9'}, "glibc 2.9 is too old"),
        ({"df": "echo; echo / 9 9 102400 9% /"}, "has 100 MiB free and needs 900: make room"),
    ],
)
def test_a_machine_that_cannot_run_the_agent_is_told_why(tmp_path: Path, programs: dict[str, str], says: str) -> None:
    outcome = _run(tmp_path, "--from", str(ROOT), programs=programs)
    assert outcome.returncode == 1
    assert says in outcome.stderr.replace("\n", " ")
    assert not list((tmp_path / "root").glob("opt/cairn/[0-9]*"))


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["--colour"], 2, "--colour is not an option"),
        (["--wheel"], 2, "--wheel needs a value"),
        (["--purge"], 2, "--purge goes with --uninstall"),
        (["--wheel", "a.whl", "--from", "b"], 2, "exclude each other"),
        (["--settle", "soon"], 2, "whole seconds"),
        (["--wheel", "nowhere.whl"], 1, "there is no file nowhere.whl"),
        (["--wheel", str(_INSTALL / "install.sh")], 1, "is not a wheel"),
        (["--from", str(_INSTALL)], 1, "is not a checkout"),
        (["--uninstall"], 0, "There is no agent in"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(tmp_path: Path, words: list[str], status: int, says: str) -> None:
    outcome = _run(tmp_path, *words)
    assert outcome.returncode == status
    assert says in outcome.stderr


def test_help_shows_an_example_on_stdout(tmp_path: Path) -> None:
    outcome = _run(tmp_path, "--help")
    assert outcome.returncode == 0
    assert "Example: sudo sh install.sh --wheel" in outcome.stdout


def test_a_python_that_is_too_old_is_refused_by_name(tmp_path: Path) -> None:
    wheel = tmp_path / "cairn_network-1-py3-none-any.whl"
    shutil.make_archive(str(wheel), "zip", _INSTALL)
    Path(f"{wheel}.zip").rename(wheel)
    # A Python that answers every question with no.
    programs = {f"python3{minor}": "exit 1" for minor in ("", ".11", ".12", ".13", ".14")}
    outcome = _run(tmp_path, "--wheel", str(wheel), programs=programs)
    assert outcome.returncode == 1
    assert "Python 3.11 or newer with venv is needed" in outcome.stderr


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    lock = tmp_path / "root/opt/cairn/.lock"
    lock.parent.mkdir(parents=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        outcome = _run(tmp_path, "--from", str(ROOT))
    assert outcome.returncode == 1
    assert "another install.sh is at work" in outcome.stderr


def test_every_shell_script_is_clean() -> None:
    scripts = [*_INSTALL.glob("*.sh"), *ROOT.glob("constraints/*.sh"), ROOT / "tests/system-packages.sh"]
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    outcome = subprocess.run([shellcheck, *map(str, scripts)], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout


def test_systemd_accepts_the_unit_and_its_template(tmp_path: Path) -> None:
    command = tmp_path / "cairn-edge"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    text = (_INSTALL / "cairn-edge.service").read_text().replace("/usr/local/bin/cairn-edge", str(command))
    unit = tmp_path / "cairn-edge.service"
    unit.write_text(text)
    verified = _systemd("verify", "--man=no", "--recursive-errors=no", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    unit.write_text(text.replace("ProtectHome=yes", "ProtectHouse=yes"))
    assert "ProtectHouse" in _systemd("verify", "--man=no", "--recursive-errors=no", str(unit)).stderr


def test_the_unit_is_hardened() -> None:
    # In tenths: 1.5 of 10 and a little for other releases of systemd.
    outcome = _systemd("security", "--offline=true", "--threshold=18", str(_INSTALL / "cairn-edge.service"))
    assert outcome.returncode == 0, outcome.stdout


def test_the_unit_lets_children_lock_themselves_in() -> None:
    settings = re.findall(r"^(\w+)=(.*)$", (_INSTALL / "cairn-edge.service").read_text(), re.MULTILINE)
    allowed = {call for name, calls in settings if name == "SystemCallFilter" for call in calls.split()}
    assert {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= allowed
    assert ("StartLimitIntervalSec", "0") in settings
    assert ("Restart", "always") in settings
    assert ("Environment", "ORT_DISABLE_TELEMETRY=1") in settings


def _systemd(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
