"""Scripted scenes: a few people do one awkward thing before a made-up detector, and the true number is known.

What the detector says is symbolic (boxes, no pictures) and as noisy as a small model: it misses people, jitters their
boxes, is sometimes only half sure, sees a head and a body as two, loses whoever is hidden or half out of the picture.
A script is a function of (kind, seed). A person who steps out of the picture and comes back is one person.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from edge.detector.detection import Detection
from protocol.classes import PERSON
from protocol.units import PPM_ONE, Ppm, UnixMs

FRAME_PX = (640, 360)
LONGEST_ASIDE_MS = 5_500  # who is out of the picture for longer has gone
_WIDTH_SHARE = 0.4  # of a person's height
_SOFTENING_MS = 300  # nobody starts, stops or turns in no time
_NMS_SHARE = 0.65  # two boxes that share this part of their union come out of a detector as one
_JITTER_SHARE = 0.02  # of the height, one standard deviation for each side of the box


class Kind(StrEnum):
    """What is awkward about a scene."""

    STANDSTILL = "standstill"
    CROSSING = "crossing"
    OCCLUSION = "occlusion"
    FREEZE = "freeze"  # no frames for 2 s
    REPEAT = "repeat"  # one picture over and over for 2 s
    RESTART = "restart"  # the watching process is killed and started again
    REENTRY = "reentry"  # slows down at the edge, steps out, comes back
    EDGE = "edge"  # one leaves, another one enters at the same edge
    MEDLEY = "medley"  # several people, a freeze and a restart


@dataclass(frozen=True, slots=True)
class Walker:
    """One person: ``way`` holds (at_ms, middle x in px), in order of time, beginning and ending out of the picture."""

    height_px: float
    foot_px: float
    way: tuple[tuple[int, float], ...]
    lost_ms: tuple[tuple[int, int], ...] = ()  # spans in which the detector does not find this person at all

    @property
    def width_px(self) -> float:
        """How wide the person is."""
        return self.height_px * _WIDTH_SHARE

    def middle_px(self, at_ms: float) -> float | None:
        """Return where the middle is; None before and after the way."""
        if not self.way[0][0] <= at_ms <= self.way[-1][0]:
            return None
        around = [self._on_way(at_ms + offset) for offset in range(-_SOFTENING_MS, _SOFTENING_MS + 1, 100)]
        return sum(around) / len(around)

    def _on_way(self, at_ms: float) -> float:
        if at_ms <= self.way[0][0]:
            return self.way[0][1]
        for (from_ms, start), (until_ms, end) in pairwise(self.way):
            if at_ms <= until_ms:
                return start + (end - start) * (at_ms - from_ms) / (until_ms - from_ms)
        return self.way[-1][1]

    def box_px(self, at_ms: float) -> tuple[float, float, float, float] | None:
        """Return the whole box, which may reach out of the picture; None before and after the way."""
        middle = self.middle_px(at_ms)
        if middle is None:
            return None
        half = self.width_px / 2
        return middle - half, self.foot_px - self.height_px, middle + half, self.foot_px


@dataclass(frozen=True, slots=True)
class Script:
    """One scene."""

    kind: Kind
    seed: int
    walkers: tuple[Walker, ...]
    every_ms: int = 100
    pillars_px: tuple[tuple[float, float], ...] = ()  # columns before everybody
    frozen_ms: tuple[int, int] | None = None  # no new picture in this span
    is_repeating: bool = False  # the camera gives the last picture again meanwhile; otherwise none at all
    dead_ms: tuple[int, int] | None = None  # nobody watches in this span; the watcher is resumed afterwards

    @property
    def people(self) -> int:
        """The truth."""
        return len(self.walkers)

    @property
    def ends_ms(self) -> int:
        """When the last one has gone."""
        return max(walker.way[-1][0] for walker in self.walkers)

    def is_blind(self, at_ms: int) -> bool:
        """Whether no new picture is looked at."""
        return _is_in(self.frozen_ms, at_ms) or _is_in(self.dead_ms, at_ms)

    def frames(self) -> Iterator[tuple[UnixMs, tuple[Detection, ...]]]:
        """Yield what the detector says of each new picture that somebody watches."""
        dice = random.Random(f"cairn/script/{self.kind}/{self.seed}/noise")
        found: tuple[Detection, ...] = ()
        for at_ms in range(0, self.ends_ms + 500, self.every_ms):
            if not _is_in(self.frozen_ms, at_ms):
                found = detections(self, at_ms, dice)
            if not self.is_blind(at_ms):
                yield UnixMs(at_ms), found


Box = tuple[float, float, float, float]


def _is_in(span: tuple[int, int] | None, at_ms: int) -> bool:
    return span is not None and span[0] <= at_ms < span[1]


def detections(script: Script, at_ms: int, dice: random.Random) -> tuple[Detection, ...]:
    """Return what a noisy detector finds at ``at_ms``, in no order."""
    placed = [(walker, box) for walker in script.walkers if (box := walker.box_px(at_ms)) is not None]
    placed.sort(key=lambda each: -each[0].foot_px)  # the nearest first: it hides the others
    nearer: list[Box] = []
    shown: list[Box] = []
    found: list[Detection] = []
    for walker, box in placed:
        cut = _cut(box)
        visible = _visible_share(box, cut, nearer, script.pillars_px)
        nearer.append(box)
        is_lost = any(begin <= at_ms < end for begin, end in walker.lost_ms)
        if cut is None or is_lost or any(_overlap(cut, other) > _NMS_SHARE for other in shown):
            continue
        sure_ppm = _confidence_ppm(visible, dice)
        if sure_ppm:
            shown.append(cut)
            found += _boxes_of(cut, sure_ppm, walker.height_px, dice)
    dice.shuffle(found)
    return tuple(found)


def _boxes_of(cut: Box, sure_ppm: int, height_px: float, dice: random.Random) -> Iterator[Detection]:
    """Yield the jittered box, and now and then the head and shoulders as well."""
    jitter = height_px * _JITTER_SHARE
    whole = _jittered(cut, jitter, dice)
    if whole is not None:
        yield Detection(PERSON, Ppm(sure_ppm), whole)
    if dice.random() < 0.04:
        left, top, right, bottom = cut
        inset = (right - left) * 0.12
        head = _jittered((left + inset, top, right - inset, top + (bottom - top) * 0.42), jitter / 2, dice)
        if head is not None:
            yield Detection(PERSON, Ppm(dice.randrange(300_000, 700_000)), head)


def _confidence_ppm(visible: float, dice: random.Random) -> int:
    """Return how sure the detector is; 0 where it finds nothing."""
    chance = 0.93 if visible > 0.6 else 0.6 if visible > 0.4 else 0.15 if visible > 0.2 else 0.0
    if dice.random() >= chance:  # half of what is missed is seen, but not believed
        return dice.randrange(100_000, 440_000) if visible > 0.2 and dice.random() < 0.5 else 0
    sure = dice.gauss(0.82, 0.07) - max(0.0, 0.6 - visible) * 0.6
    return int(min(max(sure, 0.12), 0.98) * PPM_ONE)


def _jittered(box: Box, jitter: float, dice: random.Random) -> tuple[int, int, int, int] | None:
    left, top, right, bottom = (round(edge + dice.gauss(0.0, jitter)) for edge in box)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, FRAME_PX[0]), min(bottom, FRAME_PX[1])
    return (left, top, right, bottom) if left < right and top < bottom else None


def _cut(box: Box) -> Box | None:
    left, top = max(box[0], 0.0), max(box[1], 0.0)
    right, bottom = min(box[2], float(FRAME_PX[0])), min(box[3], float(FRAME_PX[1]))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _visible_share(box: Box, cut: Box | None, nearer: list[Box], pillars_px: tuple[tuple[float, float], ...]) -> float:
    """Return which part of the box is in the picture and behind nobody, by columns."""
    if cut is None:
        return 0.0
    covers = [(other[0], other[2]) for other in nearer if other[1] < box[3] - (box[3] - box[1]) * 0.4]
    steps = 24
    shown = 0
    for step in range(steps):
        x = box[0] + (box[2] - box[0]) * (step + 0.5) / steps
        is_hidden = any(left <= x < right for left, right in (*covers, *pillars_px))
        shown += cut[0] <= x < cut[2] and not is_hidden
    return shown / steps


def _overlap(one: Box, other: Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return width * height / (areas - width * height)


def can_be_counted(script: Script) -> bool:
    """Say whether somebody with perfect eyes could count: nobody is hidden for good, or just when the watch goes on.

    * Everybody is in plain sight for a second.
    * Whoever is in the picture when a blind span ends is in plain sight at some moment of the second after it.
    """
    watched = [at_ms for at_ms in range(0, script.ends_ms + 500, script.every_ms) if not script.is_blind(at_ms)]
    ends = [span[1] for span in (script.frozen_ms, script.dead_ms) if span is not None]
    for index, walker in enumerate(script.walkers):
        plain = [at_ms for at_ms in watched if _is_plain(script, index, at_ms)]
        if len(plain) * script.every_ms < 1_000:
            return False
        if (
            any(later - earlier > LONGEST_ASIDE_MS for earlier, later in pairwise(plain))
            and script.kind is Kind.REENTRY
        ):
            return False
        for end in ends:
            middle = walker.middle_px(end)
            is_inside = middle is not None and 0 <= middle < FRAME_PX[0]
            if is_inside and not any(end <= at_ms < end + 1_000 for at_ms in plain):
                return False
    return True


def _is_plain(script: Script, index: int, at_ms: int) -> bool:
    walker = script.walkers[index]
    box = walker.box_px(at_ms)
    if box is None or any(begin <= at_ms < end for begin, end in walker.lost_ms):
        return False
    nearer = [
        other_box
        for other in script.walkers
        if other.foot_px > walker.foot_px and (other_box := other.box_px(at_ms)) is not None
    ]
    return _visible_share(box, _cut(box), nearer, script.pillars_px) > 0.6
