"""A tracker's tracks in a few bytes, so that one process can go on where another one was killed.

msgpack with a version. Whole numbers only: places in eighths of a pixel, times as milliseconds before the state was
made. What a filter doubts is not kept: the one who goes on doubts anew. Written by one tracker, read by the next of
the same device; yet anything else is refused, for a process may die while it writes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.detector.detection import Detection
from edge.errors import EdgeError
from edge.sight.finished import PathPoint
from edge.sight.kalman import Kalman
from edge.sight.places import Marks, Passed, SideOfLine, Stayed
from edge.sight.track import Part, Track
from protocol.classes import COCO_CLASSES
from protocol.units import PPM_ONE, Ppm, UnixMs

_VERSION: Final = 1
_TRACKS_MAX: Final = 40  # those seen last; about 120 bytes each
_SKETCH_POINTS_MAX: Final = 3
_FINE: Final = 8  # parts of a pixel
_SHARP: Final = 1_000  # parts of a side a second

_Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]
_Count = Annotated[int, Meta(ge=1, le=2**32 - 1)]
_Pixel = Annotated[int, Meta(ge=-(2**24), le=2**24)]
_Number = Annotated[int, Meta(ge=0, lt=32)]  # of a line or a zone
_Seen = tuple[Annotated[int, Meta(ge=0, le=PPM_ONE)], tuple[_Pixel, _Pixel, _Pixel, _Pixel]]  # confidence, box


class StateError(EdgeError):
    """The bytes are no state of a tracker."""


class _SavedTrack(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    track_id: _Count
    class_id: Annotated[int, Meta(ge=0, lt=len(COCO_CLASSES))]
    detections: _Count
    part_number: _Natural
    part_detections: _Count
    confidence_sum_ppm: _Natural
    first_seen_ago_ms: _Natural
    last_seen_ago_ms: _Natural
    corrected_ago_ms: _Natural
    blind_ms: _Natural
    hidden_ms: _Natural
    best: _Seen
    last: _Seen
    sketch: Annotated[tuple[tuple[_Natural, _Pixel, _Pixel], ...], Meta(min_length=1, max_length=_SKETCH_POINTS_MAX)]
    sketch_every: _Count
    place: tuple[_Pixel, _Pixel, _Pixel, _Pixel]
    speed: tuple[_Pixel, _Pixel, _Pixel, _Pixel]
    steps: _Count
    anchor: tuple[_Pixel, _Pixel]
    anchor_ago_ms: _Natural
    whole: tuple[_Pixel, _Pixel]
    peak: tuple[_Natural, _Natural]
    sides: tuple[tuple[_Number, bool, _Pixel, _Pixel, _Natural | None], ...]
    inside: tuple[tuple[_Number, _Natural, _Natural], ...]
    passed: tuple[tuple[_Number, bool, _Natural], ...]
    stayed: tuple[tuple[_Number, _Natural, _Natural], ...]


class _State(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=_VERSION, le=_VERSION)]
    now_ms: _Natural
    next_id: _Count
    tracks: Annotated[tuple[_SavedTrack, ...], Meta(max_length=_TRACKS_MAX)]


_DECODER: Final = msgspec.msgpack.Decoder(_State)


@dataclass(frozen=True, slots=True)
class SavedTracks:
    """What a state says."""

    now_ms: int
    next_id: int
    tracks: tuple[Track, ...]


def saved(tracks: Iterable[Track], *, now_ms: int | None, next_id: int) -> bytes:
    """Return the state; of more tracks than it may hold, those that were seen last."""
    now = now_ms or 0
    latest = sorted(tracks, key=lambda track: (-track.last_seen_ms, -track.detections, track.track_id))[:_TRACKS_MAX]
    kept = tuple(_saved(track, now) for track in sorted(latest, key=lambda track: track.track_id))
    return msgspec.msgpack.encode(_State(_VERSION, now, next_id, kept))


def restored(state: bytes) -> SavedTracks:
    """Return what ``state`` says.

    Raises:
        StateError: damaged, of another version, or not a state at all.
    """
    try:
        told = _DECODER.decode(state)
        tracks = tuple(_restored(each, told.now_ms) for each in told.tracks)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StateError(f"not the state of a tracker: {error}") from error
    ids = [track.track_id for track in tracks]
    if len(set(ids)) < len(ids) or (ids and max(ids) >= told.next_id):
        raise StateError("not the state of a tracker: an id is used twice")
    return SavedTracks(told.now_ms, told.next_id, tracks)


def _saved(track: Track, now: int) -> _SavedTrack:
    part, motion, marks = track.part, track.motion, track.marks
    return _SavedTrack(
        track_id=track.track_id,
        class_id=track.class_id,
        detections=track.detections,
        part_number=track.part_number,
        part_detections=part.detections,
        confidence_sum_ppm=part.confidence_sum_ppm,
        first_seen_ago_ms=now - part.first_seen_ms,
        last_seen_ago_ms=now - part.last_seen_ms,
        corrected_ago_ms=now - motion.at_ms,
        blind_ms=track.blind_ms,
        hidden_ms=track.hidden_ms,
        best=(part.best.confidence_ppm, part.best.box_px),
        last=(part.last.confidence_ppm, part.last.box_px),
        sketch=_thinned([(now - point.at_ms, point.x_px, point.y_px) for point in part.sketch]),
        sketch_every=part.sketch_every,
        place=_fine(motion.place),
        speed=_fine(motion.speed),
        steps=motion.steps,
        anchor=(round(track.anchor[0] * _FINE), round(track.anchor[1] * _FINE)),
        anchor_ago_ms=now - track.anchor_at_ms,
        whole=(round(track.whole[0] * _FINE), round(track.whole[1] * _FINE)),
        peak=(round(track.peak[0] * _SHARP), now - track.peak[1] if track.peak[0] else 0),
        sides=tuple(
            (number, side.is_right, *_fine_point(side.clear), _ago(side.over_since_ms, now))
            for number, side in sorted(marks.sides.items())
        ),
        inside=tuple((number, now - since, now - last) for number, (since, last) in sorted(marks.inside.items())),
        passed=tuple((each.line, each.is_forward, now - each.at_ms) for each in track.done if isinstance(each, Passed)),
        stayed=tuple(
            (each.zone, now - each.entered_at_ms, now - each.left_at_ms)
            for each in track.done
            if isinstance(each, Stayed)
        ),
    )


def _restored(told: _SavedTrack, now: int) -> Track:
    if not told.last_seen_ago_ms <= told.first_seen_ago_ms <= now:
        raise ValueError("a track ends before it begins")
    best, last = (Detection(told.class_id, Ppm(ppm), box) for ppm, box in (told.best, told.last))
    last_seen_ms = UnixMs(now - told.last_seen_ago_ms)
    part = Part(
        UnixMs(now - told.first_seen_ago_ms),
        last_seen_ms,
        best,
        last,
        told.part_detections,
        told.confidence_sum_ppm,
        [PathPoint(UnixMs(now - ago_ms), x, y) for ago_ms, x, y in told.sketch],
        told.sketch_every,
    )
    done: list[Passed | Stayed] = [Passed(line, forward, UnixMs(now - ago)) for line, forward, ago in told.passed]
    done += [Stayed(zone, UnixMs(now - since), UnixMs(now - ago)) for zone, since, ago in told.stayed]
    x, y, width, height = (value / _FINE for value in told.place)
    vx, vy, growth_x, growth_y = (value / _FINE for value in told.speed)
    return Track(
        track_id=told.track_id,
        class_id=told.class_id,
        motion=Kalman(
            (x, y, width, height), now - told.corrected_ago_ms, speed=(vx, vy, growth_x, growth_y), steps=told.steps
        ),
        part=part,
        anchor=(told.anchor[0] / _FINE, told.anchor[1] / _FINE),
        anchor_at_ms=now - told.anchor_ago_ms,
        detections=told.detections,
        part_number=told.part_number,
        whole=(told.whole[0] / _FINE, told.whole[1] / _FINE),
        peak=(told.peak[0] / _SHARP, now - told.peak[1]),
        blind_ms=told.blind_ms,
        hidden_ms=told.hidden_ms,
        marks=Marks(
            {
                number: SideOfLine(is_right, (at_x / _FINE, at_y / _FINE), None if ago is None else now - ago)
                for number, is_right, at_x, at_y, ago in told.sides
            },
            {number: (now - since, now - last) for number, since, last in told.inside},
        ),
        done=done,
    )


def _thinned(points: list[tuple[int, int, int]]) -> tuple[tuple[int, int, int], ...]:
    """Return the first and up to two more points, evenly apart."""
    every = max(1, -(-len(points) // _SKETCH_POINTS_MAX))
    return tuple(points[::every])


def _fine(values: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    a, b, c, d = (round(value * _FINE) for value in values)
    return a, b, c, d


def _fine_point(point: tuple[float, float]) -> tuple[int, int]:
    return round(point[0] * _FINE), round(point[1] * _FINE)


def _ago(at_ms: int | None, now: int) -> int | None:
    return None if at_ms is None else now - at_ms
