"""How the log looks: one line an event, words and values, on stderr; told at the level it was asked for.

A few lines of our own, because the process that holds the key counts its memory: structlog costs it nine mebibytes of
thirty (measured), and of all it can do the agent needs ``event key=value``.
"""

import sys
import time
import traceback
from dataclasses import dataclass, field
from typing import Final, TextIO

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


@dataclass(slots=True)
class _Told:
    """What the whole process shares: from which level on, and to whom (None: the stderr of that moment)."""

    level: int = _LEVELS["info"]
    sink: TextIO | None = None
    bound: dict[str, object] = field(default_factory=dict)


_told = _Told()


class Log:
    """Events with their values. Any thread may speak: a line is one write."""

    def debug(self, event: str, **values: object) -> None:
        """Tell something for whoever looks closely."""
        _tell("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        """Tell that something went as it should."""
        _tell("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        """Tell of something that did not, and that the agent goes on."""
        _tell("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        """Tell of something that was lost."""
        _tell("error", event, values)

    def exception(self, event: str, **values: object) -> None:
        """Tell of something nobody expected, with its traceback; only inside ``except``."""
        _tell("error", event, {**values, "traceback": traceback.format_exc()})


def get_logger() -> Log:
    """Return the log."""
    return Log()


def configure_log(*, is_verbose: bool, **bound: object) -> None:
    """Say from which level on to tell; ``bound`` stands on every line (a child's name)."""
    _told.level = _LEVELS["debug" if is_verbose else "info"]
    _told.bound = bound


def silence_log() -> None:
    """Tell nothing any more: somebody else does the talking."""
    _told.level = max(_LEVELS.values()) + 1


def _tell(level: str, event: str, values: dict[str, object]) -> None:
    if _LEVELS[level] < _told.level:
        return
    now_ns = time.time_ns()
    seconds, rest_ns = divmod(now_ns, 1_000_000_000)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    words = [f"timestamp='{stamp}.{rest_ns // 1000:06d}Z'", f"level={level!r}", f"event={event!r}"]
    words += [f"{name}={value!r}" for name, value in {**_told.bound, **values}.items()]
    try:
        print(" ".join(words), file=_told.sink or sys.stderr, flush=True)
    except (OSError, ValueError):
        return  # nobody listens any more
