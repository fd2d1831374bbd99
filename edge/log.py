"""How the log looks: one line an event, on stderr: ``time level event name=value ...``.

On the standard library alone: the process that holds the key has 35 MiB, and a library for logging would take ten.
"""

import logging
import sys
import time
from typing import Final, TextIO

_ROOT: Final = logging.getLogger("cairn-edge")


class Log:
    """Where a module says what happened: an event in the past tense, and facts with their units."""

    def debug(self, event: str, **facts: object) -> None:
        """Say what only somebody who looks for something wants to know."""
        _say(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Say what an owner may want to know."""
        _say(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Say what went wrong and was mended."""
        _say(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Say what somebody must act on."""
        _say(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: object) -> None:
        """Say what somebody must act on, with the traceback of the exception that is being handled."""
        _ROOT.error(_line(event, facts), exc_info=True)


class _StderrOfTheMoment(logging.StreamHandler[TextIO]):
    """Writes to what is stderr when it writes, not to what was stderr when it was made."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def get_logger() -> Log:
    """Return the log of a module."""
    return Log()


def configure_log(*, is_verbose: bool) -> None:
    """Say what from now on: events from INFO up, or all."""
    _ROOT.setLevel(logging.DEBUG if is_verbose else logging.INFO)


def _say(level: int, event: str, facts: dict[str, object]) -> None:
    if _ROOT.isEnabledFor(level):
        _ROOT.log(level, _line(event, facts))


def _line(event: str, facts: dict[str, object]) -> str:
    return " ".join([f"event={event!r}", *(f"{name}={value!r}" for name, value in facts.items())])


def _begin() -> None:
    formatter = logging.Formatter(
        "timestamp=%(asctime)s.%(msecs)03dZ level=%(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = _StderrOfTheMoment()
    handler.setFormatter(formatter)
    _ROOT.addHandler(handler)
    _ROOT.setLevel(logging.INFO)
    _ROOT.propagate = False


_begin()
