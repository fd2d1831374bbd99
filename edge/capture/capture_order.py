"""What a capture process is told, and which cameras need one."""

import re
from typing import Final

import msgspec

_WEBCAM: Final = re.compile(r"(?:webcam:|/dev/video)(\d{1,3})")


class CaptureOrder(msgspec.Struct, frozen=True):
    """The one line it reads."""

    source: str
    memory_fd: int
    ringing_fd: int


def is_live(source: str) -> bool:
    """Whether ``source`` is a webcam or a stream, whose driver may hang; files and folders do not."""
    return "://" in source or webcam_index(source) is not None


def webcam_index(source: str) -> int | None:
    """Return the number of the webcam that ``source`` names; None if it names none."""
    found = _WEBCAM.fullmatch(source)
    return int(found[1]) if found else None
