"""What the seeing half hands over: tracks that ended, lines crossed, stays in zones. Free of numpy."""

from dataclasses import dataclass

from protocol.observation import Crossing, Stay
from protocol.units import Ppm, UnixMs

BoxPx = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom exclusive


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


Seen = FinishedTrack | Crossing | Stay  # crossings and stays are ready to be signed as they are
