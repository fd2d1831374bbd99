"""When detections are one object: the tracker's numbers, valid from birth."""

from dataclasses import dataclass

from protocol.units import PPM_ONE


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
    aside_hold_ms: int = 6_000  # the same for one that slowed down at the edge before it vanished there
    still_hold_ms: int = 20_000  # the same for one that stood still
    still_after_ms: int = 2_000  # standing on one spot for this long is standing still
    still_reach_ppm: int = 200_000  # how far one spot reaches
    overlap_min_ppm: int = 200_000  # intersection over union that makes a strong detection the same object
    weak_overlap_min_ppm: int = 400_000  # the same for a weak detection
    blind_after_ms: int = 1_000  # frames farther apart than this: nobody looked in between
    blind_max_ms: int = 8_000  # so much of that time counts against nobody
    hidden_max_ms: int = 30_000  # and so much of the time that somebody was behind somebody else
    state_max_ms: int = 3_600_000  # the state of a tracker that ended longer ago is ignored
    max_track_ms: int = 600_000  # a longer stay is reported in parts
    tracks_max: int = 256  # more objects at once than this are not begun

    def __post_init__(self) -> None:
        if not 0 <= self.low_ppm <= self.high_ppm <= PPM_ONE:
            raise ValueError(f"need 0 <= {self.low_ppm=} <= {self.high_ppm=} <= {PPM_ONE}")
        holds = (self.unconfirmed_hold_ms, self.moving_hold_ms, self.left_hold_ms, self.aside_hold_ms)
        others = (self.still_hold_ms, self.still_after_ms, self.blind_after_ms, self.max_track_ms)
        if min(*holds, *others, self.confirm_detections, self.tracks_max) < 1:
            raise ValueError("times, confirm_detections and tracks_max must be at least 1")
        if min(self.blind_max_ms, self.hidden_max_ms, self.state_max_ms) < 0:
            raise ValueError("blind_max_ms, hidden_max_ms and state_max_ms must not be negative")
