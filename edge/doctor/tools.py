"""The few programs of the machine that the doctor asks: looked up by name, bounded in time, never through a shell."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How a program ended."""

    status: int
    stdout: str
    stderr: str


class Tools:
    """The programs on ``path`` (as in $PATH)."""

    def __init__(self, path: str) -> None:
        """Look for programs in the folders of ``path``, and nowhere else."""
        self._path = path

    def has(self, program: str) -> bool:
        """Whether there is such a program."""
        return shutil.which(program, path=self._path) is not None

    def ask(self, words: Sequence[str]) -> Answer | None:
        """Run a program and return how it ended; None if it is not there, cannot run or takes too long."""
        program = shutil.which(words[0], path=self._path)
        if program is None:
            return None
        try:
            ended = subprocess.run(
                [program, *words[1:]],
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return Answer(ended.returncode, ended.stdout, ended.stderr)
