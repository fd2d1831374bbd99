"""``snapshot``: one picture of where the camera looks, so coarse that nobody can be told from anybody else."""

import sys
import time
from argparse import ArgumentParser, Namespace
from typing import Final

from edge.clock import clock_ms
from edge.commands.words import EXIT_PROBLEM, EXIT_WELL, Verbs, add_command
from edge.place import PICTURE_FILE, PICTURE_WANTED_FILE, PICTURES_FOLDER
from edge.status import is_agent_running, read_status

_PATIENCE_S: Final = 10.0


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``snapshot``."""
    add_command(
        verbs,
        common,
        "snapshot",
        snapshot,
        says="have the running agent write one blurred picture, which its health record will mention",
        example="snapshot --dir ./door",
    )


def snapshot(options: Namespace) -> int:
    """Ask the running agent for a picture; print its path."""
    if not is_agent_running(read_status(options.dir), now_ms=clock_ms()):
        print(f"cairn-edge: no agent is running in {options.dir}: start it with `cairn-edge run`", file=sys.stderr)
        return EXIT_PROBLEM
    folder = options.dir / PICTURES_FOLDER
    picture = folder / PICTURE_FILE
    before_ns = picture.stat().st_mtime_ns if picture.exists() else 0
    (folder / PICTURE_WANTED_FILE).touch(mode=0o600)
    give_up_at_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_at_s:
        if picture.exists() and picture.stat().st_mtime_ns != before_ns:
            print(picture)
            return EXIT_WELL
        time.sleep(0.05)
    print("cairn-edge: the camera gave no picture in time: `cairn-edge doctor` says why", file=sys.stderr)
    return EXIT_PROBLEM
