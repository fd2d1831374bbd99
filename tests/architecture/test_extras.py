"""Each extra installs and imports alone: a room needs nothing that only another room's extra brings."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {"edge": "edge", "hub": "hub", "rewards": "rewards", "firmware_sim": "sim"}

# Runs in a fresh interpreter: refuse every third-party module that the extra does not bring, then import the room.
# Left out: what no room imports by itself, and keys in a token, which the extra [hsm] brings.
_PROGRAM = """
import importlib, pkgutil, sys
room, allowed, known = sys.argv[1], set(sys.argv[2].split(",")), set(sys.argv[3].split(","))

class Gate:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in known and top not in allowed:
            raise ModuleNotFoundError(f"{name} is not among what the extra of {room} brings")
        return None

sys.meta_path.insert(0, Gate())
package = importlib.import_module(room)
for module in pkgutil.walk_packages(package.__path__, room + "."):
    if not any(word in module.name for word in ("migrations", "training", "token_key")):
        importlib.import_module(module.name)
"""


def _closure(extra: str) -> set[str]:
    """Return the names of all distributions that `cairn-network[extra]` installs."""
    seen: set[tuple[str, str]] = set()
    waiting = [("cairn-network", ""), ("cairn-network", extra)]
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            requirements = distribution(name).requires or []
        except PackageNotFoundError:  # for another platform or Python
            continue
        for requirement in requirements:
            words, _, marker = requirement.partition(";")
            if "extra ==" in marker and (not wanted or not re.search(rf"extra == ['\"]{wanted}['\"]", marker)):
                continue
            parts = re.match(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?", words)
            assert parts is not None, requirement
            waiting.append((_normal(parts[1]), ""))
            waiting += [(_normal(parts[1]), each.strip()) for each in (parts[2] or "").split(",") if each.strip()]
    return {name for name, _ in seen}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_with_nothing_but_its_own_extra(room: str) -> None:
    owners = {top: {_normal(name) for name in names} for top, names in packages_distributions().items()}
    closure = _closure(ROOMS[room])
    allowed = {top for top, names in owners.items() if names & closure}
    outcome = subprocess.run(
        [sys.executable, "-c", _PROGRAM, room, ",".join(sorted(allowed)), ",".join(sorted(owners))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr[-1_500:]


def test_the_gate_refuses_what_an_extra_does_not_bring() -> None:
    outcome = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "hub", "msgspec", "msgspec,sqlalchemy,fastapi"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome.returncode != 0
    assert "is not among what the extra of hub brings" in outcome.stderr
