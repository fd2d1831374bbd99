"""From detections in frames to objects over time: somebody who stands still for 25 s is one observation.

Two-stage association (the idea of ByteTrack: weak detections may continue a track but never begin one), a
constant-velocity prediction per track, classes never mixed. On top of that: a track that stood still is held much
longer through missed detections than one that was moving, and somebody who vanishes for a moment and comes back
near joins the same track. Pure and deterministic: time is the frame's, the order of detections within a frame is
irrelevant, and track ids are never reused (tests/property/test_tracker_properties.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.association import is_covered, nearness_scores, overlap_scores, pair
from edge.boxes import FloatArray
from edge.detector.detection import Detection
from edge.track import FinishedTrack, Track
from protocol.units import PPM_ONE, UnixMs


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """When detections are one object. Distances are in mean sides of the object's box.

    Raises:
        ValueError: thresholds out of order or out of range.
    """

    high_ppm: int = 450_000  # a detection this confident may begin a track
    low_ppm: int = 100_000  # one this confident may continue it
    confirm_detections: int = 5  # fewer than this is never reported
    unconfirmed_hold_ms: int = 1_000
    moving_hold_ms: int = 2_500  # how long a vanished object may take to come back
    left_hold_ms: int = 400  # the same for one that was on its way out of the picture and must have left it
    still_hold_ms: int = 20_000  # the same for one that stood still
    still_after_ms: int = 2_000  # standing on one spot for this long is standing still
    still_reach_ppm: int = 200_000  # how far one spot reaches
    overlap_min_ppm: int = 200_000  # intersection over union that makes a strong detection the same object
    weak_overlap_min_ppm: int = 400_000  # the same for a weak detection
    max_track_ms: int = 600_000  # a longer stay is reported in parts
    tracks_max: int = 256  # more objects at once than this are not begun

    def __post_init__(self) -> None:
        if not 0 <= self.low_ppm <= self.high_ppm <= PPM_ONE:
            raise ValueError(f"need 0 <= {self.low_ppm=} <= {self.high_ppm=} <= {PPM_ONE}")
        holds = (self.unconfirmed_hold_ms, self.moving_hold_ms, self.left_hold_ms, self.still_hold_ms)
        if min(*holds, self.still_after_ms, self.max_track_ms, self.confirm_detections, self.tracks_max) < 1:
            raise ValueError("times, confirm_detections and tracks_max must be at least 1")


# Beyond overlap, an object may be this far from where it should be, plus so much per second out of sight.
_REACH_NOW = 0.5
_REACH_PER_S = 0.4
_SIDE_RATIO_MAX = 1.8
# Two boxes of one class, one of which holds nine tenths of the other, are two views of one object (head and body).
_COVER_MIN = 0.9


class Tracker:
    """Follows objects over the frames of one camera."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        """Begin with no tracks."""
        self._settings = settings or TrackerSettings()
        self._tracks: list[Track] = []
        self._next_id = 1
        self._now_ms: UnixMs | None = None

    def update(
        self, detections: Iterable[Detection], at_ms: UnixMs, *, frame_px: tuple[int, int] | None = None
    ) -> tuple[FinishedTrack, ...]:
        """Take in the detections of the frame at ``at_ms``; return the tracks that ended, and parts of long ones.

        ``frame_px`` is the frame's width and height. With it, who walks out of the picture is not taken for the next
        one to walk in at the same edge; without it, nobody is ever known to have left.

        Raises:
            ValueError: ``at_ms`` is not later than the frame before.
        """
        if self._now_ms is not None and at_ms <= self._now_ms:
            raise ValueError(f"frame time {at_ms} is not after {self._now_ms}; call finish() before a new recording")
        self._now_ms = at_ms
        finished = self._end_vanished(at_ms, frame_px)
        # One order whatever the detector's: ids and ties must not depend on it.
        ordered = sorted(detections, key=lambda each: (-each.confidence_ppm, each.class_id, each.box_px))
        for class_id in sorted({each.class_id for each in ordered}):
            same_class = [each for each in ordered if each.class_id == class_id]
            finished += self._update_class(class_id, same_class, at_ms)
        return _in_order(finished)

    def finish(self) -> tuple[FinishedTrack, ...]:
        """End every track and forget the time: the source has ended, or its clock has stepped back."""
        finished = [track.report(continues=False) for track in self._tracks if self._is_confirmed(track)]
        self._tracks = []
        self._now_ms = None
        return _in_order(finished)

    @property
    def alive(self) -> int:
        """How many confirmed tracks are held at present."""
        return sum(self._is_confirmed(track) for track in self._tracks)

    def _update_class(self, class_id: int, seen: Sequence[Detection], at_ms: UnixMs) -> list[FinishedTrack]:
        settings = self._settings
        tracks = [track for track in self._tracks if track.class_id == class_id]
        strong = [each for each in seen if each.confidence_ppm >= settings.high_ppm]
        weak = [each for each in seen if settings.low_ppm <= each.confidence_ppm < settings.high_ppm]
        matched = self._match(tracks, strong, _overlap(tracks, strong, at_ms, settings.overlap_min_ppm))
        tracks, strong = _rest(tracks, strong, matched)
        again = self._match(tracks, weak, _overlap(tracks, weak, at_ms, settings.weak_overlap_min_ppm))
        tracks, _ = _rest(tracks, weak, again)
        tracks = [track for track in tracks if at_ms - track.last_seen_ms <= settings.moving_hold_ms]
        back = self._match(tracks, strong, _nearness(tracks, strong, at_ms))
        _, strong = _rest(tracks, strong, back)
        matched = matched + again + back
        closed = [
            track.see(
                detection,
                at_ms,
                still_reach=settings.still_reach_ppm / PPM_ONE,
                part_max_ms=settings.max_track_ms,
            )
            for track, detection in matched
        ]
        self._begin(strong, [detection for _, detection in matched], at_ms)
        return [part for part in closed if part is not None]

    @staticmethod
    def _match(tracks: Sequence[Track], seen: Sequence[Detection], scores: FloatArray) -> list[tuple[Track, Detection]]:
        return [(tracks[row], seen[column]) for row, column in pair(scores)]

    def _begin(self, unmatched: Sequence[Detection], matched: Sequence[Detection], at_ms: UnixMs) -> None:
        """Begin a track for each detection that is not a second view of an object already followed."""
        taken = list(matched)
        for detection in unmatched:  # most confident first
            if len(self._tracks) >= self._settings.tracks_max:
                return
            if taken and is_covered(_boxes([detection]), _boxes(taken), cover_min=_COVER_MIN)[0]:
                continue
            self._tracks.append(Track(self._next_id, detection, at_ms))
            self._next_id += 1
            taken.append(detection)

    def _end_vanished(self, at_ms: UnixMs, frame_px: tuple[int, int] | None) -> list[FinishedTrack]:
        vanished = [
            track
            for track in self._tracks
            if at_ms - track.last_seen_ms > self._hold_ms(track, has_left=_has_left(track, at_ms, frame_px))
        ]
        self._tracks = [track for track in self._tracks if track not in vanished]
        return [track.report(continues=False) for track in vanished if self._is_confirmed(track)]

    def _hold_ms(self, track: Track, *, has_left: bool) -> int:
        is_still = track.stood_still_ms() >= self._settings.still_after_ms
        if has_left and not is_still:  # the little speed of somebody who stands carries nobody out
            return self._settings.left_hold_ms
        if not self._is_confirmed(track):
            return self._settings.unconfirmed_hold_ms
        return self._settings.still_hold_ms if is_still else self._settings.moving_hold_ms

    def _is_confirmed(self, track: Track) -> bool:
        return track.detections >= self._settings.confirm_detections


def _has_left(track: Track, at_ms: UnixMs, frame_px: tuple[int, int] | None) -> bool:
    """Whether the track's own speed has by now carried its middle out of a frame of ``frame_px``."""
    if frame_px is None:
        return False
    left, top, right, bottom = track.motion.predicted(at_ms)
    is_inside = 0 < left + right < 2 * frame_px[0] and 0 < top + bottom < 2 * frame_px[1]
    return not is_inside


def _overlap(tracks: Sequence[Track], seen: Sequence[Detection], at_ms: UnixMs, iou_min_ppm: int) -> FloatArray:
    if not tracks or not seen:
        return np.zeros((len(tracks), len(seen)))
    expected = np.stack([track.motion.predicted(at_ms) for track in tracks])
    return overlap_scores(expected, _boxes(seen), iou_min=iou_min_ppm / PPM_ONE)


def _nearness(tracks: Sequence[Track], seen: Sequence[Detection], at_ms: UnixMs) -> FloatArray:
    """Score by distance from where a track should be or from where it was last seen, whichever is nearer."""
    if not tracks or not seen:
        return np.zeros((len(tracks), len(seen)))
    unseen_ms = np.array([at_ms - track.last_seen_ms for track in tracks], dtype=np.float64)
    reach = _REACH_NOW + _REACH_PER_S * unseen_ms / 1000
    boxes = _boxes(seen)
    nearness = [
        nearness_scores(np.stack(places), boxes, reach=reach, side_ratio_max=_SIDE_RATIO_MAX)
        for places in ([t.motion.predicted(at_ms) for t in tracks], [t.last_box for t in tracks])
    ]
    return np.maximum(nearness[0], nearness[1])


def _rest(
    tracks: Sequence[Track], seen: Sequence[Detection], matched: Sequence[tuple[Track, Detection]]
) -> tuple[list[Track], list[Detection]]:
    """Return what is still unmatched; by identity, since two detections may be equal."""
    tracks_used = {id(track) for track, _ in matched}
    seen_used = {id(detection) for _, detection in matched}
    return [t for t in tracks if id(t) not in tracks_used], [d for d in seen if id(d) not in seen_used]


def _boxes(detections: Sequence[Detection]) -> FloatArray:
    return np.array([each.box_px for each in detections], dtype=np.float64).reshape(-1, 4)


def _in_order(finished: Iterable[FinishedTrack]) -> tuple[FinishedTrack, ...]:
    return tuple(sorted(finished, key=lambda each: (each.track_id, each.part)))
