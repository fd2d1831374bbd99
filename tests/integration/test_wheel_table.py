"""Every package that a device installs has a wheel for it, and whoever adds one without is told."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

from tests.support.wheel_table import (
    BEGIN,
    NEWEST_GLIBC,
    PINS,
    PYTHONS,
    ROOT,
    Device,
    NoWheelError,
    Pin,
    all_wheels,
    read_pins,
    table,
    wheels_for,
    with_table,
)

_PI = Device("aarch64", "3.11")


def test_every_pinned_package_has_a_wheel_and_stands_in_the_page() -> None:
    # Raspberry Pi OS 12 and JetPack 6, Ubuntu 24.04, Raspberry Pi OS 13; and a PC.
    devices = [_PI, Device("aarch64", "3.12"), Device("aarch64", "3.13"), Device("x86_64", "3.13")]
    found = all_wheels(read_pins(PINS.read_text()), devices)
    page = (ROOT / "docs/device.md").read_text()
    for device, wheels in found.items():
        assert {"numpy", "onnxruntime", "opencv-python-headless"} <= {wheel.name for wheel in wheels}
        for wheel in wheels if device.machine == "aarch64" else ():
            row = re.search(rf"^\| {wheel.name} \| {re.escape(wheel.version)} \|.*$", page, re.MULTILINE)
            assert row is not None, f"{wheel.file}: run python -m tests.support.wheel_table docs/device.md"
            assert wheel.tags.rsplit("-", 1)[1] in row[0]


def _wheel(folder: Path, platform: str) -> Pin:
    file = folder / f"heavy-1.0-cp311-cp311-{platform}.whl"
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr("heavy.py", "")
        wheel.writestr("heavy-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n")
        wheel.writestr(
            "heavy-1.0.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-{platform}\n"
        )
        wheel.writestr("heavy-1.0.dist-info/RECORD", "")
    return Pin("heavy", "1.0", "", frozenset([hashlib.sha256(file.read_bytes()).hexdigest()]))


def test_a_package_without_a_wheel_for_the_device_is_named(tmp_path: Path) -> None:
    pin = _wheel(tmp_path, "manylinux_2_17_x86_64")
    local = ("--no-index", f"--find-links={tmp_path}")
    assert wheels_for(Device("x86_64", "3.11"), [pin], options=local)[0].tags == "cp311-cp311-manylinux_2_17_x86_64"
    with pytest.raises(NoWheelError, match=r"aarch64, Python 3\.11: .*heavy==1\.0"):
        wheels_for(_PI, [pin], options=local)


def test_a_wheel_for_a_newer_glibc_than_the_installer_asks_for_is_none(tmp_path: Path) -> None:
    pin = _wheel(tmp_path, "manylinux_2_34_aarch64")
    with pytest.raises(NoWheelError, match="heavy"):
        wheels_for(_PI, [pin], options=("--no-index", f"--find-links={tmp_path}"))


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    _wheel(tmp_path, "manylinux_2_17_aarch64")
    pinned = Pin("heavy", "1.0", "", frozenset(["0" * 64]))
    with pytest.raises(NoWheelError, match="not among the pinned files"):
        wheels_for(_PI, [pinned], options=("--no-index", f"--find-links={tmp_path}"))


def test_pins_are_read_with_their_markers_and_hashes() -> None:
    text = f"one==1.0 ; python_version < '3.12' \\\n    --hash=sha256:{'a' * 64} \\\n    --hash=sha256:{'b' * 64}\n"
    assert read_pins(text) == [Pin("one", "1.0", "python_version < '3.12'", frozenset(["a" * 64, "b" * 64]))]
    assert len(read_pins(PINS.read_text())) == len(re.findall(r"^[a-z]", PINS.read_text(), re.MULTILINE))


def test_the_table_is_put_between_its_marks(tmp_path: Path) -> None:
    pin = _wheel(tmp_path, "manylinux_2_17_aarch64")
    found = {_PI: wheels_for(_PI, [pin], options=("--no-index", f"--find-links={tmp_path}"))}
    assert "| heavy | 1.0 | cp311: `manylinux_2_17_aarch64` |" in table(found, "aarch64")
    page = (ROOT / "docs/device.md").read_text()
    assert with_table(with_table(page, found), found) == with_table(page, found)
    assert with_table(page, found).startswith(page[: page.index(BEGIN)])


def test_the_installer_asks_for_what_the_wheels_need() -> None:
    script = (ROOT / "edge/install/install.sh").read_text()
    assert f"OLDEST_GLIBC={NEWEST_GLIBC[0]}.{NEWEST_GLIBC[1]} " in script
    assert f"OLDEST_PYTHON={PYTHONS[0]}\n" in script
    assert f"FIRST_UNTRIED_PYTHON=3.{int(PYTHONS[-1].removeprefix('3.')) + 1} " in script
