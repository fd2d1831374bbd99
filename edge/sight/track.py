"""One object over frames while it is followed: where it is, what it did, what to report. Frame time only, no clock."""

from dataclasses import dataclass, field

from edge.detector.detection import Detection
from edge.sight.finished import BoxPx, FinishedTrack, PathPoint
from edge.sight.kalman import Box, Kalman, Place, place_of
from edge.sight.leaving import FramePx, common_with_frame, edges_of, uncut
from edge.sight.places import Marks, Passed, Places, Stayed
from protocol.units import PPM_ONE, Ppm, UnixMs

_SKETCH_POINTS_MAX = 16
_STILL_PACE = 0.25  # sides a second: faster than this is no swaying
_BEGUN_SHARE = 0.5  # of the reach of a spot: who is so far from its middle, and moves, has begun to walk
_SETTLED_STEPS = 4  # the speed means something after so many looks
_GLIMPSES_MAX = 8
GLIMPSE_SHARE = 0.6  # of the expected area: a box smaller than that ...
GLIMPSE_INSIDE = 0.8  # ... with this much of it inside the expected box is a part of the object
_PART_RATIO = 1.5
_PEAK_LASTS_MS = 5_000
_PEAK_SHARE = 0.8  # as fast as this is still its usual pace
_SLOWED_SHARE = 0.6  # of its own pace shortly before: who leaves so has only stepped aside


@dataclass(frozen=True, slots=True)
class Watch:
    """What every look at a track needs to know."""

    frame_px: FramePx | None
    places: Places
    still_reach: float  # how far the middle may wander, in mean sides of the box, and still be the same spot
    still_after_ms: int  # standing on one spot for this long is standing still
    part_max_ms: int
    overlap_min: float
    weak_overlap_min: float


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

    @classmethod
    def of(cls, detection: Detection, at_ms: UnixMs) -> "Part":
        """Begin with ``detection``."""
        part = cls(first_seen_ms=at_ms, last_seen_ms=at_ms, best=detection, last=detection)
        part.add(detection, at_ms)
        return part

    def add(self, detection: Detection, at_ms: UnixMs) -> None:
        """Count ``detection`` in."""
        if self.detections % self.sketch_every == 0:
            left, _, right, bottom = detection.box_px
            self._sketch(PathPoint(at_ms, (left + right) // 2, bottom))
        self.detections += 1
        self.confidence_sum_ppm += detection.confidence_ppm
        self.last_seen_ms = at_ms
        self.last = detection
        if detection.confidence_ppm > self.best.confidence_ppm:
            self.best = detection

    def join(self, later: "Part") -> None:
        """Count in what ``later`` has seen."""
        for point in later.sketch:
            self._sketch(point)
        self.detections += later.detections
        self.confidence_sum_ppm += later.confidence_sum_ppm
        self.last_seen_ms, self.last = later.last_seen_ms, later.last
        if later.best.confidence_ppm > self.best.confidence_ppm:
            self.best = later.best

    def _sketch(self, point: PathPoint) -> None:
        self.sketch.append(point)
        if len(self.sketch) == _SKETCH_POINTS_MAX:  # thin to every other point, and from now on take half as many
            self.sketch = self.sketch[::2]
            self.sketch_every *= 2


@dataclass(slots=True, eq=False)
class Track:
    """A track while it lives; the tracker feeds it."""

    track_id: int
    class_id: int
    motion: Kalman
    part: Part
    anchor: tuple[float, float]  # the spot on which it stands, if it stands
    anchor_at_ms: int
    detections: int = 1
    part_number: int = 0
    whole: tuple[float, float] = (0.0, 0.0)  # width and height while the frame's edge did not cut it; 0: never seen
    peak: tuple[float, int] = (0.0, 0)  # its best pace (sides a second) of late, and when
    glimpses: int = 0  # how often in a row only a part of it was seen
    heir_of: "Track | None" = None  # who it may be; see edge/sight/heirs.py
    has_returned: bool = False  # it stepped out of the picture, and the next look is the first one since
    blind_ms: int = 0  # of the time since it was last seen: how long nobody looked
    hidden_ms: int = 0  # likewise: how long somebody stood before it
    marks: Marks = field(default_factory=Marks)
    done: list[Passed | Stayed] = field(default_factory=list)  # not handed over yet

    @classmethod
    def begun(cls, track_id: int, detection: Detection, at_ms: UnixMs, watch: Watch) -> "Track":
        """Begin with ``detection``."""
        place = place_of(detection.box_px)
        track = cls(track_id, detection.class_id, Kalman(place, at_ms), Part.of(detection, at_ms), place[:2], at_ms)
        if watch.frame_px is not None:
            _, track.whole = uncut(detection.box_px, track.whole, watch.frame_px)
        track.tread(watch, at_ms)
        return track

    @property
    def last_seen_ms(self) -> UnixMs:
        """When the object was last detected."""
        return self.part.last_seen_ms

    @property
    def last_box(self) -> BoxPx:
        """The last detected box."""
        return self.part.last.box_px

    @property
    def area_px(self) -> float:
        """How large it is."""
        return self.motion.place[2] * self.motion.place[3]

    @property
    def is_settled(self) -> bool:
        """Whether its size and speed mean something."""
        return self.motion.steps >= _SETTLED_STEPS

    def excuse(self, *, blind_ms: int = 0, hidden_ms: int = 0, at_most_ms: int) -> None:
        """Count time in which nobody looked, or nobody could have seen it, each up to a limit."""
        self.blind_ms = min(self.blind_ms + blind_ms, at_most_ms)
        self.hidden_ms = min(self.hidden_ms + hidden_ms, at_most_ms)

    def is_mostly_hidden(self, at_ms: int) -> bool:
        """Say whether most of the time since it was last seen somebody stood before it."""
        return self.hidden_ms > 0 and 2 * self.hidden_ms >= at_ms - self.last_seen_ms

    def unseen_ms(self, at_ms: int) -> int:
        """For how long somebody has looked for it in vain."""
        return at_ms - self.last_seen_ms - self.blind_ms - self.hidden_ms

    def stood_still_ms(self) -> int:
        """For how long, up to its last detection, the object has not left its spot."""
        return self.last_seen_ms - self.anchor_at_ms

    def is_still(self, watch: Watch) -> bool:
        """Say whether it stood still when last seen, and had not begun to walk."""
        if self.stood_still_ms() < watch.still_after_ms:
            return False
        return self.motion.pace < _STILL_PACE or self._off_anchor() < _BEGUN_SHARE * watch.still_reach

    def expected(self, at_ms: int, watch: Watch) -> Box:
        """Return the box expected at ``at_ms``; who stands still stays, however little his speed."""
        return self.motion.expected(self.motion.at_ms if self.is_still(watch) else at_ms)

    def has_left(self, at_ms: int, frame_px: FramePx | None) -> bool:
        """Say whether its own speed has by now carried its middle out of the frame, beyond doubt."""
        if frame_px is None:
            return False
        left, top, right, bottom = self.motion.expected(at_ms)
        outside_px = max(
            -(left + right) / 2, (left + right) / 2 - frame_px[0], -(top + bottom) / 2, (top + bottom) / 2 - frame_px[1]
        )
        return outside_px >= 0 and outside_px >= self.motion.sigma_px(at_ms) - self.motion.side_px * 0.1

    def is_at_edge(self, frame_px: FramePx | None) -> bool:
        """Say whether the frame's edge cut it when it was last seen."""
        return frame_px is not None and any(edges_of(self.motion.expected(self.motion.at_ms), frame_px))

    def has_slowed(self) -> bool:
        """Say whether it was much slower when last seen than shortly before."""
        return self.motion.pace < _SLOWED_SHARE * self.peak[0]

    def see(self, detection: Detection, at_ms: UnixMs, watch: Watch) -> FinishedTrack | None:
        """Take in a detection; return the part that it closes, if the present part is older than allowed."""
        closed = None
        if at_ms - self.part.first_seen_ms >= watch.part_max_ms:
            closed = self.report(continues=True)
            self.part_number += 1
            self.part = Part.of(detection, at_ms)
        else:
            self.part.add(detection, at_ms)
        self.detections += 1
        self.blind_ms = self.hidden_ms = 0
        if not self.has_returned and self._is_glimpse(detection.box_px, at_ms, watch.frame_px):
            self.glimpses += 1
            return closed
        self.glimpses = 0
        place = place_of(detection.box_px)
        if watch.frame_px is not None:
            place, self.whole = uncut(detection.box_px, self.whole, watch.frame_px)
        if self.has_returned:  # his way back has nothing to do with his way out
            self.has_returned = False
            self.motion = self._motion_of_return(detection.box_px, at_ms, watch.frame_px)
            self.peak = (self.peak[0], at_ms)
        elif not self.is_settled and _is_another_part(self.motion.place, place):
            self.motion = Kalman(place, at_ms)
        else:
            self.motion.correct(place, at_ms)
            self._remember_pace(at_ms)
        if self._off_anchor() > watch.still_reach:
            self.anchor, self.anchor_at_ms = self.motion.place[:2], at_ms
        self.tread(watch, at_ms)
        return closed

    def end(self, watch: Watch) -> None:
        """Note what its last step amounts to."""
        if watch.frame_px is not None and not watch.places.is_empty:
            feet, side_px = self._feet()
            self.done += watch.places.close(self.marks, feet, side_px, self.last_seen_ms, watch.frame_px)

    def report(self, *, continues: bool) -> FinishedTrack:
        """Return what the present part amounts to."""
        part = self.part
        return FinishedTrack(
            track_id=self.track_id,
            class_id=self.class_id,
            part=self.part_number,
            continues=continues,
            first_seen_ms=part.first_seen_ms,
            last_seen_ms=part.last_seen_ms,
            confidence_ppm=self.confidence_ppm,
            detections=part.detections,
            last_box_px=part.last.box_px,
            best_box_px=part.best.box_px,
            path=tuple(part.sketch),
        )

    @property
    def confidence_ppm(self) -> Ppm:
        """The present part's mean, floored."""
        return Ppm(min(self.part.confidence_sum_ppm // self.part.detections, PPM_ONE))

    def _is_glimpse(self, box: BoxPx, at_ms: int, frame_px: FramePx | None) -> bool:
        """Say whether ``box`` is only a part of the object, half hidden: it tells that it is there, but not where.

        Who is seen in part time after time has changed its shape.
        """
        if not self.is_settled or self.glimpses >= _GLIMPSES_MAX:
            return False
        expected = common_with_frame(self.motion.expected(at_ms), frame_px)
        area = (box[2] - box[0]) * (box[3] - box[1])
        if area >= GLIMPSE_SHARE * (expected[2] - expected[0]) * (expected[3] - expected[1]):
            return False
        width = min(box[2], expected[2]) - max(box[0], expected[0])
        height = min(box[3], expected[3]) - max(box[1], expected[1])
        return max(width, 0.0) * max(height, 0.0) >= GLIMPSE_INSIDE * area

    def _motion_of_return(self, box: BoxPx, at_ms: int, frame_px: FramePx | None) -> Kalman:
        """Return the motion of somebody who comes back: of the old size, and along the edge where he was."""
        x, y, width, height = self.motion.place
        if frame_px is not None:
            (new_x, new_y, _, _), _ = uncut(box, (width, height), frame_px)
            edges = edges_of(box, frame_px)
            x, y = (new_x, y) if edges.left or edges.right else (x, new_y)
        return Kalman((x, y, width, height), at_ms, steps=_SETTLED_STEPS)

    def _off_anchor(self) -> float:
        """Return how far from its spot it is, in mean sides of the box; by the filter, which no single box misleads."""
        x, y, _, _ = self.motion.place
        return float(((x - self.anchor[0]) ** 2 + (y - self.anchor[1]) ** 2) ** 0.5) / self.motion.side_px

    def _feet(self) -> tuple[tuple[float, float], float]:
        x, y, _, height = self.motion.place
        return (x, y + height / 2), self.motion.side_px

    def tread(self, watch: Watch, at_ms: UnixMs) -> None:
        """Note on which side of every line, and in which zones, it is at ``at_ms``."""
        if watch.frame_px is not None and not watch.places.is_empty:
            feet, side_px = self._feet()
            self.done += watch.places.note(self.marks, feet, side_px, at_ms, watch.frame_px)

    def _remember_pace(self, at_ms: int) -> None:
        peak, peak_at_ms = self.peak
        pace = self.motion.pace
        if self.is_settled and (at_ms - peak_at_ms > _PEAK_LASTS_MS or pace >= _PEAK_SHARE * peak):
            self.peak = (pace if at_ms - peak_at_ms > _PEAK_LASTS_MS else max(pace, peak), at_ms)


def _is_another_part(before: Place, now: Place) -> bool:
    """Say whether first a head was seen and then the body, or the other way round: no way to tell a speed."""
    return not 1 / _PART_RATIO <= now[3] / before[3] <= _PART_RATIO
