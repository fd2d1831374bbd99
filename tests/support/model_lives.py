"""Rollouts that are killed with -9 after each of their durable steps, each in a child of this one-threaded process.

    python -m tests.support.model_lives LIFE BEFORE FOLDER

Copies the store BEFORE for every step, lives LIFE there until it is killed, and then once more to its end. Prints one
JSON line a step; the last is that of the life that was not killed.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

from edge.models.rollout import CRASHES_MAX
from edge.models.versions import ModelVersions
from tests.support.model_story import ANNA, BEN, NOW_MS, QuickWorld, manifest, offer

OFFER: Final = offer(manifest(version="2", index=1), ANNA, BEN, issued_at_ms=NOW_MS + 1)


def good(world: QuickWorld) -> None:
    world.keeper.hear(OFFER)
    world.settle()
    world.prove()


def crashing(world: QuickWorld) -> None:
    world.keeper.hear(OFFER)
    world.settle()
    for _ in range(CRASHES_MAX):
        if world.runs == "2":
            world.keeper.vision_crashed("the vision was ended by signal 11")
        world.keeper.step()


def failing(world: QuickWorld) -> None:
    world.bad_versions = frozenset({"2"})
    world.keeper.hear(OFFER)
    world.settle()


LIVES: Final[dict[str, Callable[[QuickWorld], None]]] = {"good": good, "crashing": crashing, "failing": failing}


def killed_after(step: int, folder: Path, life: Callable[[QuickWorld], None]) -> bool:
    """Live ``life`` in a child that is killed after its durable step number ``step``; whether it came that far."""
    child = os.fork()
    if child == 0:
        steps = count(1)

        def at_step(_says: str) -> None:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            life(QuickWorld(folder, at_step=at_step))
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def works(path: Path | None, versions: ModelVersions) -> bool:
    """Whether the vision could open this: the file, its manifest and its picture are those that were signed."""
    if path is None:
        return False
    ref = next(ref for ref in versions.state().kept if versions.path_of(ref) == path)
    head = versions.version(ref).head
    picture = path.with_name(head.selftest.image).read_bytes()
    found = (hashlib.sha256(path.read_bytes()).hexdigest(), hashlib.sha256(picture).hexdigest())
    return found == (head.sha256, head.selftest.image_sha256)


def main() -> None:
    life, before, folder = LIVES[sys.argv[1]], Path(sys.argv[2]), Path(sys.argv[3])
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - a life's log is long and always the same
    for step in count(1):
        store = folder / str(step)
        shutil.copytree(before, store)
        was_killed = killed_after(step, store, life)
        survivor = QuickWorld(store)
        worked = works(survivor.keeper.runs, survivor.versions)
        life(survivor)
        worked = worked and works(survivor.keeper.runs, survivor.versions)
        print(json.dumps({"was_killed": was_killed, "works": worked, "ends_with": survivor.runs}))
        if not was_killed:
            return


if __name__ == "__main__":
    main()
