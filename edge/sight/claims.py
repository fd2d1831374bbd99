"""The tracks of one class that no detection of this frame has continued yet, and which detections may continue them."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edge.detector.detection import Detection
from edge.sight.association import pair, reach_scores
from edge.sight.boxes import FloatArray, areas_of, pairwise_common_area
from edge.sight.finished import BoxPx
from edge.sight.kalman import Box
from edge.sight.leaving import common_with_frame, edges_of, return_score
from edge.sight.track import GLIMPSE_INSIDE, GLIMPSE_SHARE, Track, Watch

# Beyond overlap, an object may be this far from where it should be, plus so much per second out of sight.
_REACH_NOW = 0.5
_REACH_PER_S = 0.4
_REACH_PER_BLIND_S = 0.8  # and this on top where nobody looked: it may have begun to walk meanwhile
_SIDE_RATIO_MAX = 1.8
_SIDE_RATIO_BLIND_MAX = 1.25  # where it may be anywhere, its size must tell
_PART_OVERLAP_MIN = 0.5
_WEAK_WORTH = 0.7
_HIDDEN_SHARE = 0.4  # of the box: with so little left of it a detector often finds nothing
_GROWTH_MAX = 2.2  # of the area, from one look to the next
_KNOWN_MS = 1_000  # for so long a track's size is known well

Match = tuple[Track, Detection]


class Shadow(NamedTuple):
    """What is in ``box`` and not larger than ``area_max_px`` is a part of somebody known."""

    box: Box
    area_max_px: float

    def falls_on(self, box: BoxPx) -> bool:
        """Say whether ``box`` is such a part."""
        area = (box[2] - box[0]) * (box[3] - box[1])
        return area <= self.area_max_px and _common(self.box, box) >= GLIMPSE_INSIDE * area


class Claims:
    """Takes the tracks one after the other as detections continue them."""

    def __init__(self, tracks: list[Track], at_ms: int, watch: Watch, everybody: FloatArray) -> None:
        """Begin with all tracks of one class; ``everybody`` are the boxes (n, 4) that this frame is sure of."""
        self.tracks = tracks
        self._at_ms = at_ms
        self._frame_px = watch.frame_px
        self._everybody = everybody
        self._overlap_min = watch.overlap_min
        self._weak_overlap_min = watch.weak_overlap_min
        self._unclipped = [track.expected(at_ms, watch) for track in tracks]
        self._expected = [common_with_frame(box, watch.frame_px) for box in self._unclipped]

    def take(self, seen: Sequence[Detection], scores: FloatArray) -> list[Match]:
        """Give each detection the track it continues, the best scores first; those tracks are free no longer."""
        if not scores.any():
            return []
        pairs = pair(scores)
        matched = [(self.tracks[row], seen[column]) for row, column in pairs]
        taken = {row for row, _ in pairs}
        self.tracks = [track for row, track in enumerate(self.tracks) if row not in taken]
        self._expected = [box for row, box in enumerate(self._expected) if row not in taken]
        self._unclipped = [box for row, box in enumerate(self._unclipped) if row not in taken]
        return matched

    def overlaps(self, strong: Sequence[Detection], weak: Sequence[Detection]) -> FloatArray:
        """Score by overlap with where each track should be, ``strong`` detections before ``weak`` ones."""
        if not self.tracks or not (strong or weak):
            return np.zeros((len(self.tracks), len(strong) + len(weak)))
        expected, boxes = _stacked(self._expected), boxes_of([*strong, *weak])
        common = pairwise_common_area(expected, boxes)
        if not common.any():
            return common
        areas, area = areas_of(expected)[:, None], areas_of(boxes)[None, :]
        iou = common / np.maximum(areas + area - common, 1e-9)
        # What is much smaller than a known track must lie inside it, and nobody doubles from one look to the next.
        is_plausible = (area >= GLIMPSE_SHARE * areas) | (common >= GLIMPSE_INSIDE * area)
        is_plausible &= area <= _GROWTH_MAX * areas
        for row, track in enumerate(self.tracks):
            if track.blind_ms > 0:
                ratio = area[0] / max(areas[row, 0], 1e-9)
                is_plausible[row] = np.maximum(ratio, 1 / ratio) <= _SIDE_RATIO_BLIND_MAX**2
            elif not track.is_settled or self._at_ms - track.last_seen_ms > _KNOWN_MS:
                is_plausible[row] = True
        least = np.full(boxes.shape[0], self._overlap_min)
        least[len(strong) :] = self._weak_overlap_min
        # What may be a part of somebody else in this frame must fit well.
        least[self._parts(boxes)] = max(_PART_OVERLAP_MIN, self._weak_overlap_min)
        scores = np.where((iou >= least) & is_plausible, iou, 0.0)
        # A weak detection continues a track only where it fits much better than a strong one.
        scores[:, len(strong) :] *= _WEAK_WORTH
        return scores

    def _parts(self, boxes: FloatArray) -> npt.NDArray[np.bool_]:
        """Say for each box whether it may be the head, or another part, of somebody in this frame."""
        everybody = self._everybody
        if len(everybody) < 2:
            return np.zeros(len(boxes), np.bool_)
        common, areas = pairwise_common_area(boxes, everybody), areas_of(everybody)[None, :]
        area = areas_of(boxes)[:, None]
        parts: npt.NDArray[np.bool_] = np.any(
            (common >= GLIMPSE_INSIDE * area) & (area <= GLIMPSE_SHARE * areas), axis=1
        )
        return parts

    def nearness(self, seen: Sequence[Detection], may_come_back: Callable[[Track], bool]) -> FloatArray:
        """Score by distance from the way between where a track was last seen and where it should be by now."""
        if not self.tracks or not seen:
            return np.zeros((len(self.tracks), len(seen)))
        ways = (_stacked(t.motion.expected(t.motion.at_ms) for t in self.tracks), _stacked(self._unclipped))
        is_open = np.array([may_come_back(track) for track in self.tracks])
        unseen_s = np.array([self._at_ms - track.last_seen_ms for track in self.tracks]) / 1000
        blind_s = np.array([track.blind_ms for track in self.tracks]) / 1000
        reach = np.where(is_open, _REACH_NOW + _REACH_PER_S * unseen_s + _REACH_PER_BLIND_S * blind_s, 0.0)
        boxes = boxes_of(seen)
        ratios = np.where(blind_s > 0, _SIDE_RATIO_BLIND_MAX, _SIDE_RATIO_MAX)
        scores = reach_scores(ways, boxes, reach=reach, side_ratio_max=ratios)
        return np.where(self._parts(boxes)[None, :], 0.0, scores)

    def returns(self, seen: Sequence[Detection], is_aside: Callable[[Track], bool]) -> FloatArray:
        """Score who appears at the edge behind which a track stepped aside by how well its size agrees."""
        scores = np.zeros((len(self.tracks), len(seen)))
        if self._frame_px is not None:
            for row, track in enumerate(self.tracks):
                if is_aside(track):
                    was = track.motion.expected(track.motion.at_ms)
                    cut_by = edges_of(was, self._frame_px)
                    scores[row] = [return_score(was, cut_by, each.box_px, self._frame_px) for each in seen]
        return scores

    def shadows(self, *, unseen_max_ms: int) -> list[Shadow]:
        """Return where a part of each free track that was missed just now may be found."""
        return [
            Shadow(_around(track.last_box, expected), GLIMPSE_SHARE * track.area_px)
            for track, expected in zip(self.tracks, self._unclipped, strict=True)
            if track.unseen_ms(self._at_ms) <= unseen_max_ms
        ]


def hidden(tracks: Sequence[Track], nearer: Sequence[BoxPx], at_ms: int, watch: Watch) -> list[Track]:
    """Return the tracks that are mostly behind a ``nearer`` box, where they should be or where they were."""
    found = []
    for track in tracks:
        places = (common_with_frame(track.expected(at_ms, watch), watch.frame_px), track.last_box)
        if any(_is_behind(place, other) for place in places for other in nearer):
            found.append(track)
    return found


def _is_behind(box: Box, other: BoxPx) -> bool:
    area = (box[2] - box[0]) * (box[3] - box[1])
    return area > 0 and other[3] > box[3] and _common(box, other) >= _HIDDEN_SHARE * area


def _around(one: BoxPx, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _common(one: Box, other: BoxPx) -> float:
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return float(max(width, 0.0) * max(height, 0.0))


def _stacked(boxes: Iterable[Box]) -> FloatArray:
    return np.array(list(boxes), dtype=np.float64).reshape(-1, 4)


def boxes_of(detections: Sequence[Detection]) -> FloatArray:
    """Return the boxes of detections, (n, 4)."""
    return np.array([each.box_px for each in detections], dtype=np.float64).reshape(-1, 4)
