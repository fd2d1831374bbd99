"""What the runner is doing, in a sentence, and since when something is wrong."""

from dataclasses import dataclass, replace
from typing import Self

from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class Progress:
    """The runner's own word. ``stepped_at_ms`` is the last step that went well."""

    doing: str = "Starting."
    trouble: str | None = None
    trouble_since_ms: UnixMs | None = None
    stepped_at_ms: UnixMs | None = None

    def went_well(self, doing: str, *, now_ms: UnixMs) -> Self:
        """Return the progress after a step that went well."""
        return replace(self, doing=doing, trouble=None, trouble_since_ms=None, stepped_at_ms=now_ms)

    def went_wrong(self, trouble: str, *, now_ms: UnixMs) -> Self:
        """Return the progress after a step that failed; the trouble began with the first failure in a row."""
        since_ms = now_ms if self.trouble_since_ms is None else self.trouble_since_ms
        return replace(self, trouble=trouble, trouble_since_ms=since_ms)
