"""One object over frames: where it is, where it will be, and what to report about it. Frame time only, no clock."""

from dataclasses import dataclass, field

import numpy as np

from edge.boxes import BoxPx, FloatArray
from edge.detector.detection import Detection
from protocol.units import Ppm, UnixMs

# A constant-velocity alpha-beta filter: how much of the surprise goes into the place and into the speed once
# the track is old. A young track trusts the detector more (the first steps of the equivalent Kalman filter).
_ALPHA_MIN = 0.5
_BETA_MIN = 0.15
_SKETCH_POINTS_MAX = 16


@dataclass(frozen=True, slots=True)
class PathPoint:
    """Where an object stood: the middle of its box's lower edge."""

    at_ms: UnixMs
    x_px: int
    y_px: int


@dataclass(frozen=True, slots=True)
class FinishedTrack:
    """What a track amounts to: one object over an interval, or one part of a very long stay.

    A stay longer than ``TrackerSettings.max_track_ms`` is reported in parts with one ``track_id``: ``part`` counts
    from 0, and ``continues`` says that a further part follows. Count objects by ``part == 0``.
    """

    track_id: int
    class_id: int
    part: int
    continues: bool
    first_seen_ms: UnixMs
    last_seen_ms: UnixMs
    confidence_ppm: Ppm  # mean over the part's detections, floored
    detections: int
    last_box_px: BoxPx
    best_box_px: BoxPx  # the box of the most confident detection, the earliest of equals
    path: tuple[PathPoint, ...]  # at most 16 points, evenly thinned, in time order


@dataclass(slots=True)
class Motion:
    """A box's middle and sides with constant velocity, in pixels and pixels per millisecond."""

    place: FloatArray  # centre x, centre y, width, height
    speed: FloatArray
    at_ms: UnixMs
    steps: int = 1

    @classmethod
    def starting_at(cls, box: FloatArray, at_ms: UnixMs) -> "Motion":
        """Begin at ``box`` (left, top, right, bottom), at rest."""
        return cls(place=_centred(box), speed=np.zeros(4), at_ms=at_ms)

    def predicted(self, at_ms: UnixMs) -> FloatArray:
        """Return the box (left, top, right, bottom) expected at ``at_ms``; the sides keep their size."""
        centre = self.place[:2] + self.speed[:2] * (at_ms - self.at_ms)
        half = self.place[2:] / 2
        return np.concatenate([centre - half, centre + half])

    def correct(self, box: FloatArray, at_ms: UnixMs) -> None:
        """Take in the box seen at ``at_ms``, later than everything taken in before."""
        elapsed_ms = at_ms - self.at_ms
        self.steps += 1
        count = self.steps
        alpha = max(_ALPHA_MIN, 2 * (2 * count - 1) / (count * (count + 1)))
        beta = max(_BETA_MIN, 6 / (count * (count + 1)))
        expected = self.place + self.speed * elapsed_ms
        surprise = _centred(box) - expected
        self.place = expected + min(alpha, 1.0) * surprise
        self.speed = self.speed + min(beta, 1.0) * surprise / elapsed_ms
        self.at_ms = at_ms


@dataclass(slots=True)
class Part:
    """What has been seen since the track, or its present part, began."""

    first_seen_ms: UnixMs
    last_seen_ms: UnixMs
    best: Detection
    last: Detection
    detections: int = 0
    confidence_sum_ppm: int = 0
    sketch: list[PathPoint] = field(default_factory=list)
    sketch_every: int = 1

    def add(self, detection: Detection, at_ms: UnixMs) -> None:
        """Count ``detection`` in."""
        if self.detections % self.sketch_every == 0:
            left, _, right, bottom = detection.box_px
            self.sketch.append(PathPoint(at_ms, (left + right) // 2, bottom))
        if len(self.sketch) == _SKETCH_POINTS_MAX:  # thin to every other point, and from now on take half as many
            self.sketch = self.sketch[::2]
            self.sketch_every *= 2
        self.detections += 1
        self.confidence_sum_ppm += detection.confidence_ppm
        self.last_seen_ms = at_ms
        self.last = detection
        if detection.confidence_ppm > self.best.confidence_ppm:
            self.best = detection


class Track:
    """A track while it lives; the tracker feeds it."""

    def __init__(self, track_id: int, detection: Detection, at_ms: UnixMs) -> None:
        """Begin with ``detection``."""
        box = np.array(detection.box_px, dtype=np.float64)
        self.track_id = track_id
        self.class_id = detection.class_id
        self.motion = Motion.starting_at(box, at_ms)
        self.detections = 1
        self._part_number = 0
        self._part = _begin_part(detection, at_ms)
        self._anchor = self.motion.place.copy()
        self._anchor_at_ms = at_ms

    @property
    def last_seen_ms(self) -> UnixMs:
        """When the object was last detected."""
        return self._part.last_seen_ms

    @property
    def last_box(self) -> FloatArray:
        """The last detected box."""
        return np.array(self._part.last.box_px, dtype=np.float64)

    def stood_still_ms(self) -> int:
        """For how long, up to its last detection, the object has not left its spot."""
        return self.last_seen_ms - self._anchor_at_ms

    def see(self, detection: Detection, at_ms: UnixMs, *, still_reach: float, part_max_ms: int) -> FinishedTrack | None:
        """Take in a detection; return the part that it closes, if the present part is older than ``part_max_ms``.

        ``still_reach`` is how far the middle may wander, in mean sides of the box, and still be the same spot.
        """
        closed = None
        if at_ms - self._part.first_seen_ms >= part_max_ms:
            closed = self.report(continues=True)
            self._part_number += 1
            self._part = _begin_part(detection, at_ms)
        else:
            self._part.add(detection, at_ms)
        self.detections += 1
        box = np.array(detection.box_px, dtype=np.float64)
        self.motion.correct(box, at_ms)
        here = _centred(box)
        if float(np.hypot(*(here[:2] - self._anchor[:2]))) > still_reach * float(here[2:].mean()):
            self._anchor, self._anchor_at_ms = here, at_ms
        return closed

    def report(self, *, continues: bool) -> FinishedTrack:
        """Return what the present part amounts to."""
        part = self._part
        return FinishedTrack(
            track_id=self.track_id,
            class_id=self.class_id,
            part=self._part_number,
            continues=continues,
            first_seen_ms=part.first_seen_ms,
            last_seen_ms=part.last_seen_ms,
            confidence_ppm=Ppm(part.confidence_sum_ppm // part.detections),
            detections=part.detections,
            last_box_px=part.last.box_px,
            best_box_px=part.best.box_px,
            path=tuple(part.sketch),
        )


def _begin_part(detection: Detection, at_ms: UnixMs) -> Part:
    part = Part(first_seen_ms=at_ms, last_seen_ms=at_ms, best=detection, last=detection)
    part.add(detection, at_ms)
    return part


def _centred(box: FloatArray) -> FloatArray:
    sides = box[2:] - box[:2]
    return np.concatenate([box[:2] + sides / 2, sides])
