"""From detections in frames to objects over time: somebody who stands still for 25 s is one observation.

Two-stage association (the idea of ByteTrack: weak detections may continue a track but never begin one), a
constant-velocity Kalman filter per track, classes never mixed. On top of that:

* A track that stood still is held much longer through missed detections than one that was moving.
* Who vanishes in the picture and comes back near where he should be, or near where he was, is the same.
* *Leaving*: whom his own pace has carried out of the picture has left; whoever enters next is another one. But who
  slowed down at the edge to well under his pace has only *stepped aside*: for some seconds, somebody of his size who
  appears where he vanished is he. Geometry and time alone decide; nobody's looks are compared.
* *Blindness*: time in which no frame came (a frozen camera, a restart) counts against nobody, up to a limit.

Pure and deterministic: time is the frame's, the order of detections within a frame is irrelevant, and track ids are
never reused, not even over a restart (tests/property/test_tracker_properties.py).
"""

from collections.abc import Iterable, Sequence

import numpy as np

from edge.detector.detection import Detection
from edge.sight.association import is_covered
from edge.sight.boxes import FloatArray
from edge.sight.claims import Claims, boxes_of, hidden
from edge.sight.finished import BoxPx, FinishedTrack, Seen
from edge.sight.heirs import inherit, is_same, needs_heir
from edge.sight.kalman import Box
from edge.sight.leaving import FramePx
from edge.sight.places import Passed, Places
from edge.sight.track import Track, Watch
from edge.sight.tracker_settings import TrackerSettings
from edge.sight.tracker_state import StateError, restored, saved
from protocol.observation import Crossing, Stay
from protocol.units import PPM_ONE, UnixMs

__all__ = ["Tracker", "TrackerSettings"]

# Two boxes of one class, one of which holds four fifths of the other, are two views of one object (head and body).
_COVER_MIN = 0.8
_JUST_MISSED_MS = 1_000  # the body of such an object may be missed while its head is found


class Tracker:
    """Follows objects over the frames of one camera."""

    def __init__(
        self, settings: TrackerSettings | None = None, *, places: Places | None = None, ids_after: int = 0
    ) -> None:
        """Begin with no tracks; ``places`` are watched for crossings and stays, ids begin after ``ids_after``."""
        self._settings = settings or TrackerSettings()
        self._places = places or Places()
        self._tracks: list[Track] = []
        self._next_id = ids_after + 1
        self._now_ms: UnixMs | None = None
        self._looked_at_ms: UnixMs | None = None
        self._watch = self._watch_of(None)

    def update(
        self, detections: Iterable[Detection], at_ms: UnixMs, *, frame_px: FramePx | None = None
    ) -> tuple[Seen, ...]:
        """Take in the detections of the frame at ``at_ms``; return what happened and which tracks ended.

        ``frame_px`` is the frame's width and height. Without it nobody is ever known to have left, and no line is
        crossed.

        Raises:
            ValueError: ``at_ms`` is not later than the frame before.
        """
        elapsed_ms = at_ms - self._looked_at_ms if self._looked_at_ms is not None else 0
        self.rest(at_ms)
        self._looked_at_ms = at_ms
        if frame_px != self._watch.frame_px:
            self._watch = self._watch_of(frame_px)
        seen = self._end_vanished(at_ms)
        # One order whatever the detector's: ids and ties must not depend on it.
        ordered = sorted(detections, key=lambda each: (-each.confidence_ppm, each.class_id, each.box_px))
        for class_id in sorted({each.class_id for each in ordered}):
            seen += self._update_class(class_id, [each for each in ordered if each.class_id == class_id], at_ms)
        self._excuse_hidden(at_ms, elapsed_ms)
        self._settle_heirs()
        for track in self._tracks:
            if track.done and self._is_confirmed(track):
                seen += _done_by(track)
        return _in_order(seen)

    def rest(self, at_ms: UnixMs) -> None:
        """Let time pass up to a frame in which nothing was worth a look; `update` does it by itself.

        Raises:
            ValueError: ``at_ms`` is not later than the frame before.
        """
        if self._now_ms is not None:
            if at_ms <= self._now_ms:
                raise ValueError(
                    f"frame time {at_ms} is not after {self._now_ms}; call finish() before a new recording"
                )
            self._add_blindness(at_ms - self._now_ms)
        self._now_ms = at_ms

    def finish(self) -> tuple[Seen, ...]:
        """End every track and forget the time: the source has ended, or its clock has stepped back."""
        seen = [each for track in self._tracks for each in self._ended(track)]
        self._tracks = []
        self._now_ms = self._looked_at_ms = None
        return _in_order(seen)

    @property
    def alive(self) -> int:
        """How many confirmed tracks are held at present."""
        return sum(self._is_confirmed(track) for track in self._tracks)

    def standing(self) -> tuple[BoxPx, ...] | None:
        """Return where everybody stands who is followed at present; None if somebody walks or is new."""
        if all(self._is_confirmed(track) and self._is_still(track) for track in self._tracks):
            return tuple(track.last_box for track in self._tracks)
        return None

    @property
    def is_missing_somebody(self) -> bool:
        """Whether somebody who is followed was not found at the last look."""
        return any(track.last_seen_ms != self._looked_at_ms for track in self._tracks)

    def state(self) -> bytes:
        """Return what a tracker that takes over after a restart needs to know: a few KiB at most."""
        kept = [track for track in self._tracks if track.heir_of is None]  # the old ones, for the next to find
        return saved(kept, now_ms=self._now_ms, next_id=self._next_id)

    def resume(self, state: bytes, at_ms: UnixMs) -> bool:
        """Go on where a tracker that is no more left off, from its `state`; say whether that was possible.

        Call it before the first frame, at ``at_ms``, the present time. The time between counts as blindness, so a
        state of some seconds ago goes on, and the tracks of an older one are handed over as ended by the next
        `update`. A state that is damaged, or not of the last hour, is ignored (the ids of the latter are not).
        """
        try:
            taken = restored(state)
        except StateError:
            return False
        self._next_id = max(self._next_id, taken.next_id)
        if not 0 < at_ms - taken.now_ms <= self._settings.state_max_ms:
            return False
        self._tracks = list(taken.tracks[: self._settings.tracks_max])
        self._now_ms = UnixMs(taken.now_ms)
        return True

    def _watch_of(self, frame_px: FramePx | None) -> Watch:
        settings = self._settings
        return Watch(
            frame_px=frame_px,
            places=self._places,
            still_reach=settings.still_reach_ppm / PPM_ONE,
            still_after_ms=settings.still_after_ms,
            part_max_ms=settings.max_track_ms,
            overlap_min=settings.overlap_min_ppm / PPM_ONE,
            weak_overlap_min=settings.weak_overlap_min_ppm / PPM_ONE,
        )

    def _update_class(self, class_id: int, seen: Sequence[Detection], at_ms: UnixMs) -> list[Seen]:
        settings = self._settings
        strong = [each for each in seen if each.confidence_ppm >= settings.high_ppm]
        weak = [each for each in seen if settings.low_ppm <= each.confidence_ppm < settings.high_ppm]
        tracks = [track for track in self._tracks if track.class_id == class_id]
        claims = Claims(tracks, at_ms, self._watch, boxes_of([*strong, *weak]))
        matched = claims.take([*strong, *weak], claims.overlaps(strong, weak))
        strong = _rest(strong, matched)
        near = claims.take(strong, claims.nearness(strong, self._may_come_back))
        strong = _rest(strong, near)
        back = claims.take(strong, claims.returns(strong, self._is_aside))
        strong = _rest(strong, back)
        for track, _ in back:
            track.has_returned = True
        matched += [each for each in near if not needs_heir(each[0])] + back
        closed = [track.see(detection, at_ms, self._watch) for track, detection in matched]
        self._drop_second_views([track for track, _ in matched])
        for track, detection in near:
            if needs_heir(track) and len(self._tracks) < settings.tracks_max:
                self._add(detection, at_ms).heir_of = track
        shadows = claims.shadows(unseen_max_ms=_JUST_MISSED_MS)
        strong = [each for each in strong if not any(shadow.falls_on(each.box_px) for shadow in shadows)]
        self._begin(strong, [detection.box_px for _, detection in [*matched, *near]], at_ms)
        return [part for part in closed if part is not None]

    def _settle_heirs(self) -> None:
        """Decide about the heirs who have been followed for long enough."""
        for heir in [track for track in self._tracks if self._is_confirmed(track)]:
            old, heir.heir_of = heir.heir_of, None
            if old is None:
                continue
            is_open = old in self._tracks and old.last_seen_ms < heir.part.first_seen_ms
            if is_open and is_same(old, heir):
                inherit(old, heir, self._watch)
                self._tracks.remove(heir)

    def _excuse_hidden(self, at_ms: UnixMs, elapsed_ms: int) -> None:
        """Who is behind somebody is not gone: the time does not count against him."""
        missed = [track for track in self._tracks if track.last_seen_ms != at_ms]
        if missed and elapsed_ms <= self._settings.blind_after_ms:  # longer ones are blindness already
            nearer = [track.last_box for track in self._tracks if track.last_seen_ms == at_ms]
            for track in hidden(missed, nearer, at_ms, self._watch):
                track.excuse(hidden_ms=elapsed_ms, at_most_ms=self._settings.hidden_max_ms)

    def _drop_second_views(self, seen: Sequence[Track]) -> None:
        """Forget young tracks that turn out to be a part of somebody known, both found in this frame."""
        known = [track.last_box for track in seen if self._is_confirmed(track)]
        young = [track for track in seen if not self._is_confirmed(track)]
        if known and young:
            covered = is_covered(_stacked([t.last_box for t in young]), _stacked(known), cover_min=_COVER_MIN)
            dropped = [track for track, is_part in zip(young, covered, strict=True) if is_part]
            self._tracks = [track for track in self._tracks if track not in dropped]

    def _may_come_back(self, track: Track) -> bool:
        """Say whether somebody near where ``track`` was or should be may be it."""
        is_recent = track.unseen_ms(self._now_ms or 0) <= self._settings.moving_hold_ms
        return is_recent and not self._has_left(track)

    def _begin(self, unmatched: Sequence[Detection], taken: list[Box], at_ms: UnixMs) -> None:
        """Begin a track for each detection that is not a second view of an object in one of the boxes ``taken``."""
        for detection in unmatched:  # most confident first
            if len(self._tracks) >= self._settings.tracks_max:
                return
            if taken and is_covered(boxes_of([detection]), _stacked(taken), cover_min=_COVER_MIN)[0]:
                continue
            self._add(detection, at_ms)
            taken.append(detection.box_px)

    def _add(self, detection: Detection, at_ms: UnixMs) -> Track:
        track = Track.begun(self._next_id, detection, at_ms, self._watch)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _add_blindness(self, elapsed_ms: int) -> None:
        if elapsed_ms > self._settings.blind_after_ms:
            for track in self._tracks:
                track.excuse(blind_ms=elapsed_ms, at_most_ms=self._settings.blind_max_ms)

    def _end_vanished(self, at_ms: UnixMs) -> list[Seen]:
        waiting = [track.heir_of for track in self._tracks if track.heir_of is not None]
        vanished = [
            track for track in self._tracks if track not in waiting and track.unseen_ms(at_ms) > self._hold_ms(track)
        ]
        self._tracks = [track for track in self._tracks if track not in vanished]
        return [each for track in vanished for each in self._ended(track)]

    def _ended(self, track: Track) -> list[Seen]:
        if not self._is_confirmed(track):
            return []
        track.end(self._watch)
        return [*_done_by(track), track.report(continues=False)]

    def _hold_ms(self, track: Track) -> int:
        settings = self._settings
        if self._is_still(track) and self._is_confirmed(track):
            return settings.still_hold_ms
        if self._has_left(track) and not self._is_aside(track):
            return settings.left_hold_ms
        if not self._is_confirmed(track):
            return settings.unconfirmed_hold_ms
        return settings.aside_hold_ms if self._is_aside(track) else settings.moving_hold_ms

    def _is_confirmed(self, track: Track) -> bool:
        return track.detections >= self._settings.confirm_detections

    def _is_still(self, track: Track) -> bool:
        return track.is_still(self._watch)

    def _is_aside(self, track: Track) -> bool:
        return track.is_at_edge(self._watch.frame_px) and track.has_slowed()

    def _has_left(self, track: Track) -> bool:
        # The little speed of somebody who stands carries nobody out, and who is behind somebody may have stopped there.
        if self._is_still(track) or track.is_mostly_hidden(self._now_ms or 0):
            return False
        return track.has_left(self._now_ms or 0, self._watch.frame_px)


def _rest(seen: Sequence[Detection], matched: Sequence[tuple[Track, Detection]]) -> list[Detection]:
    """Return what is still unmatched; by identity, since two detections may be equal."""
    used = {id(detection) for _, detection in matched}
    return [each for each in seen if id(each) not in used]


def _stacked(boxes: Sequence[Box]) -> FloatArray:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _done_by(track: Track) -> list[Seen]:
    """Return, and forget, what ``track`` did and nobody has heard of yet."""
    done, track.done = track.done, []
    about = (track.track_id, track.class_id)
    return [
        Crossing(*about, each.line, each.is_forward, each.at_ms, track.confidence_ppm)
        if isinstance(each, Passed)
        else Stay(*about, each.zone, each.entered_at_ms, each.left_at_ms, track.confidence_ppm)
        for each in done
    ]


def _in_order(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """Sort by track; what it did comes before its end."""
    return tuple(sorted(seen, key=lambda each: (each.track_id, isinstance(each, FinishedTrack), _moment_of(each))))


def _moment_of(each: Seen) -> tuple[int, int]:
    if isinstance(each, FinishedTrack):
        return each.part, 0
    return (each.crossed_at_ms, 0) if isinstance(each, Crossing) else (each.left_at_ms, 1)
