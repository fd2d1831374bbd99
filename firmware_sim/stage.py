"""What people see while the demo runs: one line a step, a live line for what goes on meanwhile. All on stderr."""

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.status import Status

from firmware_sim.network import Network

_NOTE_EVERY_S: Final = 5.0


class Stage:
    """The progress display; plain lines where stderr is no terminal."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._began_s = time.monotonic()
        self._last_note = ""
        self._noted_s = 0.0  # when a note was last printed where there is no live line

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def step(self, words: str) -> None:
        """Begin a step."""
        self._console.print(f"[dim]{time.monotonic() - self._began_s:5.1f} s[/dim]  {words}")
        self.note("")

    def note(self, words: str) -> None:
        """Say what goes on within the step; replaces the note before."""
        if words == self._last_note:
            return
        self._last_note = words
        if self._status is not None:
            self._status.update(words)
        elif words and time.monotonic() - self._noted_s >= _NOTE_EVERY_S:
            self._noted_s = time.monotonic()
            self._console.print(f"         {words}")

    def pages(self, network: Network) -> None:
        """Tell where to look meanwhile."""
        self._console.print(f"         operator's page     {network.hub_url}")
        self._console.print(f"         contributors' page  {network.rewards_url}")
