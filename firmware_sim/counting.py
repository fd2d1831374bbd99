"""Did the edge agent count right? Its tracks against the world's visits, one to one, by class and time."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edge.detector.detection import Detector
from edge.sight.finished import FinishedTrack
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.tracker import Tracker
from firmware_sim.camera import SimulatedCamera
from firmware_sim.world import Visit, World
from protocol.units import UnixMs

MINUTE_MS = 60_000
_FRAMES_PER_S = 8
_AGREEMENT_MIN = 0.25  # a track of a quarter of a visit still counts it; a glimpse of it does not


@dataclass(frozen=True, slots=True)
class Count:
    """One camera's minutes: how many came by, how many were counted."""

    matched: tuple[tuple[Visit, FinishedTrack], ...]
    missed: tuple[Visit, ...]  # nobody counted them, or together with another
    extra: tuple[FinishedTrack, ...]  # nobody was there, or counted already
    true_by_minute: tuple[int, ...]
    counted_by_minute: tuple[int, ...]

    @property
    def exact_minutes(self) -> int:
        """In how many minutes the counts agree."""
        return sum(t == c for t, c in zip(self.true_by_minute, self.counted_by_minute, strict=True))


def watch(
    world: World, camera_index: int, detector: Detector, *, until_ms: UnixMs, settings: PipelineSettings | None = None
) -> tuple[FinishedTrack, ...]:
    """Return what the edge agent counts from the world's beginning to ``until_ms``: its own pipeline, in virtual time.

    Raises:
        ModelError: the model answered with something that is not boxes.
    """
    clock = _VirtualClock(world.settings.starts_at_ms)
    camera = SimulatedCamera(
        world,
        camera_index,
        frames_per_s=_FRAMES_PER_S,
        now_ms=clock.now_ms,
        ends_at_ms=until_ms,
        sleep_s=clock.sleep_s,
    )
    with camera:
        seen = Pipeline(camera, detector, Tracker(), settings=settings).run(lambda: False)
        return tuple(each for each in seen if isinstance(each, FinishedTrack))


class _VirtualClock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, starts_at_ms: UnixMs) -> None:
        self._now_ms = starts_at_ms

    def now_ms(self) -> UnixMs:
        return self._now_ms

    def sleep_s(self, seconds: float) -> None:
        self._now_ms = UnixMs(self._now_ms + round(seconds * 1000))


def compare(world: World, camera_index: int, tracks: Iterable[FinishedTrack], *, minutes: int) -> Count:
    """Match tracks with the visits that begin in the world's first ``minutes``.

    A matched track counts in its visit's minute, whatever the camera's first frame of it; an unmatched one in its
    own. A track is nobody's unless its time agrees with a visit of its class. Later parts of a long track do not count.
    """
    starts_at_ms = world.settings.starts_at_ms
    ends_at_ms = UnixMs(starts_at_ms + minutes * MINUTE_MS)
    # Also those that come later: a track of theirs is no extra one.
    visits = world.visits(camera_index, starts_at_ms, UnixMs(ends_at_ms + MINUTE_MS))
    whole = [track for track in tracks if track.part == 0]
    pairs = _pairs(visits, whole)
    counted = [visits[index] for index, _ in pairs]
    extra = _without(whole, {number for _, number in pairs})
    in_time = [visit for visit in visits if visit.enters_ms < ends_at_ms]
    missed = [visit for visit in in_time if visit not in counted]
    extra = [track for track in extra if track.first_seen_ms < ends_at_ms]
    true = Counter((visit.enters_ms - starts_at_ms) // MINUTE_MS for visit in in_time)
    found = Counter((visit.enters_ms - starts_at_ms) // MINUTE_MS for visit in counted)
    found.update((track.first_seen_ms - starts_at_ms) // MINUTE_MS for track in extra)
    return Count(
        tuple((visits[index], whole[number]) for index, number in pairs if visits[index].enters_ms < ends_at_ms),
        tuple(missed),
        tuple(extra),
        tuple(true[minute] for minute in range(minutes)),
        tuple(found[minute] for minute in range(minutes)),
    )


def _pairs(visits: Sequence[Visit], tracks: Sequence[FinishedTrack]) -> list[tuple[int, int]]:
    """Pair greedily by how well the times agree, the best first."""
    agreeing = sorted(
        (-agreement, index, number)
        for index, visit in enumerate(visits)
        for number, track in enumerate(tracks)
        if visit.class_id == track.class_id and (agreement := _agreement(visit, track)) >= _AGREEMENT_MIN
    )
    pairs: list[tuple[int, int]] = []
    for _, index, number in agreeing:
        if all(index != taken and number != used for taken, used in pairs):
            pairs.append((index, number))
    return pairs


def _agreement(visit: Visit, track: FinishedTrack) -> float:
    """Return the time they share over the time they take together, 0..1."""
    shared_ms = min(visit.leaves_ms, track.last_seen_ms) - max(visit.enters_ms, track.first_seen_ms)
    together_ms = max(visit.leaves_ms, track.last_seen_ms) - min(visit.enters_ms, track.first_seen_ms)
    return max(shared_ms, 0) / together_ms


def _without(tracks: Sequence[FinishedTrack], used: set[int]) -> list[FinishedTrack]:
    return [track for number, track in enumerate(tracks) if number not in used]
