"""What a device saw in each of the last sixty minutes, from counters that only grow. Pure."""

from dataclasses import dataclass
from typing import Final

from edge.status_view import StatusView

MINUTES: Final = 60
_MINUTE_MS: Final = 60_000


@dataclass(slots=True)
class Minute:
    """One minute."""

    minute_ms: int  # when it began
    frames: int = 0
    tracks: int = 0
    people: int = 0


class Minutes:
    """The last hour, minute by minute; begins with the first look."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._before: StatusView | None = None
        self._minutes: dict[int, Minute] = {}

    def look(self, view: StatusView, *, now_ms: int) -> None:
        """Take in one status; what happened since the look before belongs to this minute."""
        before, self._before = self._before, view
        minute_ms = now_ms - now_ms % _MINUTE_MS
        minute = self._minutes.setdefault(minute_ms, Minute(minute_ms))
        if before is not None:
            is_same_run = before.started_at_ms == view.started_at_ms
            for name in ("frames", "tracks", "people"):
                now, then = getattr(view, name), getattr(before, name) if is_same_run else 0
                setattr(minute, name, getattr(minute, name) + max(0, now - then))
        for old_ms in [each for each in self._minutes if not 0 <= minute_ms - each < MINUTES * _MINUTE_MS]:
            del self._minutes[old_ms]

    def past(self, *, now_ms: int) -> list[Minute]:
        """Return the last hour up to this minute, oldest first; where nobody looked there is nothing."""
        last_ms = now_ms - now_ms % _MINUTE_MS
        times = range(last_ms - (MINUTES - 1) * _MINUTE_MS, last_ms + 1, _MINUTE_MS)
        return [self._minutes.get(each, Minute(each)) for each in times]
