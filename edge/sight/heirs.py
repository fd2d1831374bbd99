"""Whom nobody watched while he walked: who appears where he may be by now is his *heir* until his way is known.

After a restart or a frozen picture, a person near where somebody should be may be he, or another one who came in while
he went out. Where he stands or goes the same way, it is he; who comes towards where he went is another one. So the
heir is followed as somebody new until he would be reported, and then becomes the old one, or does not.
"""

from typing import Final

from edge.sight.track import Track, Watch

_PACE_MIN: Final = 0.3  # sides a second: slower than this is no direction


def needs_heir(track: Track) -> bool:
    """Say whether ``track``, not seen over a time in which nobody looked, walked, so that its way may tell."""
    return track.blind_ms > 0 and track.is_settled and track.motion.pace >= _PACE_MIN


def is_same(old: Track, heir: Track) -> bool:
    """Say whether ``heir``, followed for some frames, is ``old``."""
    if heir.motion.pace < _PACE_MIN:
        return True
    return old.motion.speed[0] * heir.motion.speed[0] + old.motion.speed[1] * heir.motion.speed[1] >= 0


def inherit(old: Track, heir: Track, watch: Watch) -> None:
    """Let ``old`` go on with what has been seen of ``heir``."""
    old.part.join(heir.part)
    old.detections += heir.detections
    old.motion = heir.motion
    old.whole = heir.whole if all(heir.whole) else old.whole
    old.anchor, old.anchor_at_ms = heir.anchor, heir.anchor_at_ms
    old.peak = heir.peak
    old.blind_ms = old.hidden_ms = old.glimpses = 0
    old.tread(watch, heir.last_seen_ms)
