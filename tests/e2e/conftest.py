"""Two demos at the same time, since a demo mostly waits for its epochs: one with the video, one that stays up."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import ROOT


class Demo:
    """`make demo` with some words, in a terminal session of its own; what it says goes to files."""

    def __init__(self, place: Path, *words: str) -> None:
        self.folder = place / "network"
        self.report = place / "report.json"
        self._out, self._err = place / "out.txt", place / "err.txt"
        command = ["make", "demo", *words, f"REPORT={self.report}", f"FOLDER={self.folder}"]
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err, start_new_session=True)

    def stdout(self) -> str:
        """What it has said so far for programs."""
        return self._out.read_text()

    def stderr(self) -> str:
        """What it has said so far to people."""
        return self._err.read_text()

    def interrupt(self) -> int:
        """Press Ctrl-C, wait for the end and return the exit status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)


@dataclass(frozen=True)
class Demos:
    """What was started."""

    of_the_video: Demo
    standing: Demo


@pytest.fixture(scope="session")
def demos(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demos]:
    video = [f"VIDEO={assets / 'people_one_by_one.mp4'}", f"MODEL={assets / 'yolox_nano_416.onnx'}"]
    begun = Demos(
        of_the_video=Demo(tmp_path_factory.mktemp("video"), "ONCE=1", *video),
        standing=Demo(tmp_path_factory.mktemp("standing"), "EPOCHS=2", "EPOCH_SECONDS=8", "DEVICES=2"),
    )
    try:
        yield begun
    finally:
        for demo in (begun.of_the_video, begun.standing):
            demo.interrupt()
