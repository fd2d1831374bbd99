"""Which frames the model need not see: nothing moves, and whoever is there is known to stand.

* Something moves, or somebody is followed who walks, is new, or is missing: every frame.
* Everybody stands: a look now and then, and at once when something moves elsewhere than where they stand.
* Nobody there and nothing moves: a look every few seconds, in case somebody came so slowly that he was not noticed.

Why it never changes a count: a track begins, walks and ends under motion, and standing needs no looks (the tracker
holds those who stand for 20 s). tests/integration/test_gate.py compares.
"""

from dataclasses import dataclass

from edge.camera.frame import BgrPicture
from edge.sight.motion import Motion
from edge.sight.tracker import Tracker
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How often the model looks although nothing moves."""

    linger_ms: int = 500  # so long after the last motion every frame counts
    standing_look_ms: int = 1_000  # at those who stand
    missing_look_ms: int = 250  # while one of those who stand was not found
    idle_look_ms: int = 2_000  # at an empty picture


class Gate:
    """Decides frame by frame; one camera's."""

    def __init__(self, settings: GateSettings | None = None) -> None:
        """Begin open."""
        self._settings = settings or GateSettings()
        self._motion = Motion()
        self._moved_at_ms: int | None = None
        self._looked_at_ms: int | None = None

    def wants(self, picture: BgrPicture, at_ms: UnixMs, tracker: Tracker) -> bool:
        """Take in a frame; say whether the model should look at it, which it then does."""
        standing = tracker.standing()
        if self._motion.is_in(picture, at_ms, standing=standing or ()):
            self._moved_at_ms = at_ms
        is_wanted = standing is None or self._is_due(at_ms, self._patience_ms(tracker))
        if is_wanted:
            self._looked_at_ms = at_ms
        return is_wanted

    def forget(self) -> None:
        """Forget the times: the clock has stepped back."""
        self._moved_at_ms = self._looked_at_ms = None

    def _is_due(self, at_ms: int, patience_ms: int) -> bool:
        has_moved = self._moved_at_ms is not None and at_ms - self._moved_at_ms <= self._settings.linger_ms
        return has_moved or self._looked_at_ms is None or at_ms - self._looked_at_ms >= patience_ms

    def _patience_ms(self, tracker: Tracker) -> int:
        settings = self._settings
        if tracker.is_missing_somebody:
            return settings.missing_look_ms
        return settings.standing_look_ms if tracker.alive else settings.idle_look_ms
