"""Does every pinned package of a device have a wheel for it? Asks the package index, downloads no package.

``python -m tests.support.wheel_table docs/device.md`` rewrites the table there. pip resolves for a machine that this is
not, from metadata alone: with --require-hashes it would fetch every package only to hash it, so the hashes that the
index names are compared with the pinned ones here.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker, default_environment
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT: Final = Path(__file__).resolve().parents[2]
PINS: Final = ROOT / "constraints/edge.txt"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
MACHINES: Final = ("aarch64", "x86_64")
NEWEST_GLIBC: Final = (2, 28)  # install.sh asks for it: OLDEST_GLIBC
BEGIN: Final = "<!-- wheels: python -m tests.support.wheel_table docs/device.md -->"
END: Final = "<!-- end of wheels -->"
# Musl aside, what pip takes on a machine with that glibc: each manylinux down to the first one for aarch64.
_OLDEST_MINOR: Final = 17


class NoWheelError(Exception):
    """A package has no wheel for a device, or another one than the pinned; the message says which."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of the list with its hashes."""

    name: str
    version: str
    marker: str
    sha256: frozenset[str]


@dataclass(frozen=True, slots=True)
class Device:
    """A kind of machine with a Python."""

    machine: str
    python: str

    def platforms(self) -> list[str]:
        """Return the platform tags that pip may use there, best first."""
        major, newest = NEWEST_GLIBC
        tags = [f"manylinux_{major}_{minor}_{self.machine}" for minor in range(newest, _OLDEST_MINOR - 1, -1)]
        return [*tags, f"manylinux2014_{self.machine}", f"linux_{self.machine}"]

    def environment(self) -> dict[str, str]:
        """Return what markers are read against: that machine, not this one."""
        told = {key: str(value) for key, value in default_environment().items()}
        return told | {
            "python_version": self.python,
            "python_full_version": f"{self.python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "platform_machine": self.machine,
            "platform_system": "Linux",
            "sys_platform": "linux",
            "os_name": "posix",
        }


ALL: Final = tuple(Device(machine, python) for machine in MACHINES for python in PYTHONS)


@dataclass(frozen=True, slots=True)
class Wheel:
    """What a device would install."""

    name: str
    version: str
    file: str
    sha256: str

    @property
    def tags(self) -> str:
        """The part of its name that says where it runs."""
        return self.file.removesuffix(".whl").split("-", 2)[2]


def read_pins(text: str) -> list[Pin]:
    """Return the pins in ``text``, a requirements file with hashes."""
    return [
        Pin(found[1], found[2], found[3] or "", frozenset(re.findall(r"sha256:([0-9a-f]{64})", line)))
        for line in text.replace("\\\n", " ").splitlines()
        if (found := re.match(r"([\w.-]+)==(\S+)(?:\s*;\s*(.*?))?\s+--hash", line))
    ]


def wheels_for(device: Device, pins: Iterable[Pin], *, options: Sequence[str] = ()) -> list[Wheel]:
    """Return the wheel of each pin that ``device`` needs.

    Args:
        device: what to resolve for.
        pins: what is pinned.
        options: more for pip, such as where its index is.

    Raises:
        NoWheelError: one has no wheel there, or not a pinned one.
    """
    needed = {
        pin.name: pin for pin in pins if not pin.marker or Marker(pin.marker).evaluate(dict(device.environment()))
    }
    report = _resolve(device, [f"{pin.name}=={pin.version}" for pin in needed.values()], options)
    wheels = [_wheel_of(each) for each in report["install"]]
    for each in report["install"]:
        # pip would compare this with the Python that runs it.
        if device.python not in SpecifierSet(each["metadata"].get("requires_python", "")):
            raise NoWheelError(f"{each['metadata']['name']} is not for Python {device.python}")
    for wheel in wheels:
        if wheel.sha256 not in needed[wheel.name].sha256:
            raise NoWheelError(f"{wheel.file} is not among the pinned files: run constraints/compile.sh")
    missing = needed.keys() - {wheel.name for wheel in wheels}
    if missing:
        raise NoWheelError(f"no word of {', '.join(sorted(missing))} for {device.machine}")
    return sorted(wheels, key=lambda wheel: wheel.name)


def _resolve(device: Device, requirements: list[str], options: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
    command += [
        "--only-binary=:all:",
        "--implementation=cp",
        "--ignore-requires-python",
        f"--python-version={device.python}",
        "--target=nowhere",
    ]
    command += [f"--platform={platform}" for platform in device.platforms()]
    outcome = subprocess.run(
        [*command, "--report=-", *options, *requirements], capture_output=True, text=True, check=False
    )
    if outcome.returncode:
        says = [line for line in outcome.stderr.splitlines() if line.startswith("ERROR")]
        raise NoWheelError(f"{device.machine}, Python {device.python}: {' '.join(says) or outcome.stderr}")
    report: dict[str, Any] = json.loads(outcome.stdout)
    return report


def _wheel_of(told: Mapping[str, Any]) -> Wheel:
    file = told["download_info"]["url"].rsplit("/", 1)[1].partition("#")[0]
    name, version, *_ = parse_wheel_filename(file)
    return Wheel(canonicalize_name(name), str(version), file, told["download_info"]["archive_info"]["hashes"]["sha256"])


def all_wheels(pins: Sequence[Pin], devices: Sequence[Device] = ALL) -> dict[Device, list[Wheel]]:
    """Return the wheels for each of ``devices``. Raises: see `wheels_for`."""
    with ThreadPoolExecutor(len(devices)) as pool:
        return dict(zip(devices, pool.map(lambda device: wheels_for(device, pins), devices), strict=True))


def table(found: Mapping[Device, Sequence[Wheel]], machine: str) -> str:
    """Return a Markdown table: package, version, the tags of its wheels for ``machine``."""
    rows: dict[tuple[str, str], list[str]] = {}
    for device, wheels in found.items():
        if device.machine == machine:
            for wheel in wheels:
                tags = rows.setdefault((wheel.name, wheel.version), [])
                if wheel.tags not in tags:
                    tags.append(wheel.tags)
    lines = [f"| package | version | wheels for {machine} |", "|---|---|---|"]
    lines += [f"| {name} | {version} | {_shortened(tags)} |" for (name, version), tags in sorted(rows.items())]
    return "\n".join(lines)


def _shortened(tags: Sequence[str]) -> str:
    # cp311-cp311-manylinux_2_28_aarch64, cp312-cp312-...: one word for the Pythons, one for the platform.
    by_platform: dict[str, list[str]] = {}
    for each in tags:
        python, abi, platform = each.split("-")
        by_platform.setdefault(platform, []).append("abi3" if abi == "abi3" else python)
    return "; ".join(f"{', '.join(pythons)}: `{platform}`" for platform, pythons in by_platform.items())


def with_table(page: str, found: Mapping[Device, Sequence[Wheel]]) -> str:
    """Return ``page`` with the table between its two marks made anew."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{table(found, 'aarch64')}\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Rewrite the table in the page that the one argument names."""
    page = Path(sys.argv[1])
    try:
        found = all_wheels(read_pins(PINS.read_text()))
    except NoWheelError as error:
        print(error, file=sys.stderr)
        return 1
    page.write_text(with_table(page.read_text(), found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
