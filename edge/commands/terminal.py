"""A little colour and order on a terminal, without a library: none of it where the output is no terminal."""

import os
import sys
from collections.abc import Mapping
from typing import Final, TextIO

_CODES: Final = {"strong": "1", "soft": "2", "good": "32", "warn": "33", "bad": "31"}
CLEAR_SCREEN: Final = "\x1b[H\x1b[2J"


class Paint:
    """Colours words, or leaves them as they are."""

    def __init__(self, *, is_on: bool) -> None:
        """Colour only if ``is_on``."""
        self._is_on = is_on

    def __call__(self, text: str, tone: str) -> str:
        """Return ``text`` in ``tone``: strong, soft, good, warn or bad."""
        return f"\x1b[{_CODES[tone]}m{text}\x1b[0m" if self._is_on else text


def paint_for(stream: TextIO = sys.stdout, environment: Mapping[str, str] = os.environ) -> Paint:
    """Return the paint for ``stream``; none where it is no terminal or NO_COLOR is set (no-color.org)."""
    return Paint(is_on=stream.isatty() and not environment.get("NO_COLOR"))


def bar(share: float, *, width: int = 20) -> str:
    """Return a bar filled to ``share``, 0 to 1."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def span(ms: int) -> str:
    """Return a span of time for people: the two largest units."""
    seconds = max(0, ms) // 1000
    for size, unit, part, smaller in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {unit} {rest} {smaller}" if rest else f"{seconds // size} {unit}"
    return f"{seconds} s"


def size(count_bytes: int) -> str:
    """Return a number of bytes for people."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count_bytes >= 1 << shift:
            return f"{count_bytes / (1 << shift):.1f} {unit}"
    return f"{count_bytes} B"
