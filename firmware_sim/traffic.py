"""Who comes by: persons, bicycles and cars of one street, each with a true path through time.

A street's passers are drawn one after the other from one seeded stream, so the same seed gives the same street
whatever is asked first. Three rules keep a street countable (tested in tests/property/test_any_world.py): nobody
hides another one from a camera for longer than ``longest_occlusion_ms``, nobody meets another one at the edge of a
camera's picture, and nobody stops where a camera would see half of him.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from firmware_sim.crowding import STEP_MS, Trace, is_clash
from firmware_sim.vantage import FRAME_WIDTH_PX, POST_WIDTH_PX, FloatArray, Street, Vantage
from protocol.classes import BICYCLE, CAR, PERSON
from protocol.units import PPM_ONE, UnixMs

HALF_STREET_M = 22.0  # a street runs from -22 m to +22 m; its cameras look at the middle
STREET_WIDTH_M = 9.0  # from the middle of one pavement to the middle of the other
IDS_PER_BLOCK = 1_000_000
LONGEST_WAIT_MS = 11_200  # how much later than due a passer may come, so that it hides nobody
LONGEST_STAY_MS = 60_000  # nobody stays on a street longer: 44 m at 1 m/s and one stop of 14 s
_WAIT_STEP_MS = 4 * STEP_MS
_STOP_TRIES = 8
_STOP_REACH_M = 12.0  # stops lie within this distance of the street's middle
_WHOLE_SHARE = 0.9  # a stop shows at least this part of the passer, or nothing


@dataclass(frozen=True, slots=True)
class Kind:
    """How big and how fast one class is. A bicycle counts with its rider as one bicycle."""

    length_m: tuple[float, float]  # along its way, least and most
    breadth_m: float
    height_m: tuple[float, float]
    speed_m_s: tuple[float, float]
    lanes: tuple[tuple[float, int], ...]  # across_m, direction (0: either)
    sway_m: float  # how far from the middle of its lane
    stop_ppm: int  # how many of this class stop once on their way
    stand_ms: tuple[int, int]


KINDS: Mapping[int, Kind] = {
    PERSON: Kind((0.50, 0.62), 0.45, (1.55, 1.90), (1.0, 1.8), ((0.0, 0), (9.0, 0)), 0.4, 350_000, (2_000, 14_000)),
    BICYCLE: Kind((1.65, 1.85), 0.55, (1.60, 1.80), (3.0, 5.0), ((2.2, 1), (7.0, -1)), 0.2, 80_000, (1_500, 5_000)),
    CAR: Kind((3.6, 4.6), 1.8, (1.40, 1.90), (5.0, 9.0), ((4.6, 1),), 0.2, 120_000, (1_500, 8_000)),
}


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """How busy a street is. ``class_shares_ppm`` sums to one million."""

    passes_per_minute: float = 12.0
    class_shares_ppm: Mapping[int, int] = field(
        default_factory=lambda: {PERSON: 500_000, BICYCLE: 200_000, CAR: 300_000}
    )
    longest_occlusion_ms: int = 1_000

    def __post_init__(self) -> None:
        if not 0.0 < self.passes_per_minute <= 120.0:
            raise ValueError(f"{self.passes_per_minute=} is not a traffic between 0 and 120 passes a minute")
        shares = self.class_shares_ppm
        if set(shares) - set(KINDS) or any(share < 0 for share in shares.values()):
            raise ValueError("class_shares_ppm names persons, bicycles and cars, none of them negative")
        if sum(shares.values()) != PPM_ONE:
            raise ValueError(f"class_shares_ppm sums to {sum(shares.values())}, not to {PPM_ONE}")
        if self.longest_occlusion_ms < 0:
            raise ValueError(f"{self.longest_occlusion_ms=} is negative")


@dataclass(frozen=True, slots=True)
class Passer:
    """One thing that comes by once. ``waypoints`` are (at_ms, along_m), strictly growing in time."""

    passer_id: int  # unique in its world
    class_id: int
    size_m: tuple[float, float, float]  # length along its way, breadth, height
    across_m: float
    waypoints: tuple[tuple[int, float], ...]
    look_seed: int  # colours and clothes

    def __post_init__(self) -> None:
        times = [at_ms for at_ms, _ in self.waypoints]
        if len(times) < 2 or any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError(f"passer {self.passer_id}: waypoints must grow in time")

    @property
    def comes_at_ms(self) -> UnixMs:
        """When it enters its street, out of every camera's sight."""
        return UnixMs(self.waypoints[0][0])

    @property
    def goes_at_ms(self) -> UnixMs:
        """When it has left its street."""
        return UnixMs(self.waypoints[-1][0])

    def along_m(self, at_ms: FloatArray) -> FloatArray:
        """Return where on its street it is; NaN outside its time. ``at_ms`` of any shape."""
        times, places = zip(*self.waypoints, strict=True)
        return np.asarray(np.interp(at_ms, times, places, left=np.nan, right=np.nan), np.float64)

    def direction(self, at_ms: int) -> int:
        """+1 or -1: which way it faces; a standing passer faces the way it came."""
        facing = 1
        for (_, start_m), (until_ms, end_m) in pairwise(self.waypoints):
            if end_m != start_m:
                facing = 1 if end_m > start_m else -1
            if at_ms <= until_ms:
                break
        return facing


def spans_px(passer: Passer, street: Street, vantage: Vantage, at_ms: FloatArray) -> tuple[FloatArray, ...]:
    """Return left and right column, top and bottom row (px, uncut), and depth (m) for each time; NaN when unseen."""
    east_m, north_m = street.place(passer.along_m(at_ms), passer.across_m)
    column_px, row_px, depth_m = vantage.project(east_m, north_m)
    scale = vantage.focal_px / depth_m
    # Side-on it shows its length, head-on its breadth.
    turn = np.radians(vantage.heading_deg - street.heading_deg)
    width_m = abs(np.sin(turn)) * passer.size_m[0] + abs(np.cos(turn)) * passer.size_m[1]
    half_px = width_m * scale / 2
    return column_px - half_px, column_px + half_px, row_px - passer.size_m[2] * scale, row_px, depth_m


def passers(
    seed: int, street: Street, vantages: tuple[Vantage, ...], settings: TrafficSettings, starts_at_ms: int
) -> Iterator[Passer]:
    """Yield a street's passers for ever, by the time they were due (up to ``LONGEST_WAIT_MS`` before they come)."""
    block = vantages[0].block_index
    dice = random.Random(f"cairn/{seed}/traffic/{block}")
    recent: list[tuple[Passer, Trace]] = []
    due_ms = float(starts_at_ms)
    ordinal = 0
    while True:
        due_ms += dice.expovariate(settings.passes_per_minute / 60_000)
        comes_at_ms = -(-int(due_ms) // STEP_MS) * STEP_MS
        passer = _draw(dice, block * IDS_PER_BLOCK + ordinal, comes_at_ms, settings)
        passer = _with_stop(dice, passer, street, vantages)
        recent = [pair for pair in recent if pair[0].goes_at_ms > due_ms]
        came = _when_free(passer, _trace(passer, street, vantages), recent, settings)
        if came is not None:
            recent.append(came)
            ordinal += 1
            yield came[0]


def _when_free(
    passer: Passer, trace: Trace, recent: list[tuple[Passer, Trace]], settings: TrafficSettings
) -> tuple[Passer, Trace] | None:
    """Let a passer come as soon as it is in nobody's way; None if that takes too long."""
    for wait_ms in range(0, LONGEST_WAIT_MS, _WAIT_STEP_MS):
        moved = trace.later(wait_ms // STEP_MS)
        if not any(is_clash(moved, other, longest_occlusion_ms=settings.longest_occlusion_ms) for _, other in recent):
            waypoints = tuple((at_ms + wait_ms, along_m) for at_ms, along_m in passer.waypoints)
            return replace(passer, waypoints=waypoints), moved
    return None


def _draw(dice: random.Random, passer_id: int, comes_at_ms: int, settings: TrafficSettings) -> Passer:
    shares = settings.class_shares_ppm
    class_id = dice.choices(tuple(shares), tuple(shares.values()))[0]
    kind = KINDS[class_id]
    lane_m, direction = dice.choice(kind.lanes)
    direction = direction or dice.choice((1, -1))
    speed_m_s = dice.uniform(*kind.speed_m_s)
    takes_ms = round(2 * HALF_STREET_M / speed_m_s * 1_000)
    return Passer(
        passer_id,
        class_id,
        (dice.uniform(*kind.length_m), kind.breadth_m, dice.uniform(*kind.height_m)),
        lane_m + dice.uniform(-kind.sway_m, kind.sway_m),
        (
            (comes_at_ms, -direction * HALF_STREET_M),
            (comes_at_ms + takes_ms, direction * HALF_STREET_M),
        ),
        dice.getrandbits(32),
    )


def _with_stop(dice: random.Random, passer: Passer, street: Street, vantages: tuple[Vantage, ...]) -> Passer:
    """Let some stop once where every camera sees them whole or not at all; the others go through."""
    kind = KINDS[passer.class_id]
    stops = dice.randrange(PPM_ONE) < kind.stop_ppm
    stands_ms = dice.randint(*kind.stand_ms)
    turns_back = dice.random() < 0.2 and passer.class_id == PERSON
    (comes_ms, start_m), (goes_ms, end_m) = passer.waypoints
    for _ in range(_STOP_TRIES if stops else 0):
        stop_m = dice.uniform(-_STOP_REACH_M, _STOP_REACH_M)
        stop_ms = comes_ms + round((goes_ms - comes_ms) * (stop_m - start_m) / (end_m - start_m))
        standing = [_shown_share(passer, street, vantage, stop_ms) for vantage in vantages]
        if all(share == 0 or share >= _WHOLE_SHARE for share in standing):
            # Only who stands before every camera may turn round: elsewhere it would count as two passes.
            turns = turns_back and all(standing)
            on_ms = stop_ms - comes_ms if turns else goes_ms - stop_ms
            last = (stop_ms + stands_ms + on_ms, start_m if turns else end_m)
            stop = ((stop_ms, stop_m), (stop_ms + stands_ms, stop_m))
            return replace(passer, waypoints=(passer.waypoints[0], *stop, last))
    return passer


def _shown_share(passer: Passer, street: Street, vantage: Vantage, at_ms: int) -> float:
    """Part of the passer's columns inside the frame and not behind the post."""
    left, right, *_ = (float(edge) for edge in spans_px(passer, street, vantage, np.array(float(at_ms))))
    shown = min(right, FRAME_WIDTH_PX) - max(left, 0)
    if not shown > 0:  # also NaN
        return 0.0
    if vantage.post_left_px is not None:
        post_left, post_right = vantage.post_left_px, vantage.post_left_px + POST_WIDTH_PX
        shown -= max(0.0, min(right, post_right) - max(left, post_left))
    return max(shown / (right - left), 1e-6)


def _trace(passer: Passer, street: Street, vantages: tuple[Vantage, ...]) -> Trace:
    at_ms = np.arange(passer.comes_at_ms, passer.goes_at_ms, STEP_MS, dtype=np.float64)
    spans = [spans_px(passer, street, vantage, at_ms) for vantage in vantages]
    boxes_px = np.stack([np.stack([left, top, right, bottom]) for left, right, top, bottom, _ in spans], axis=1)
    lane = None if passer.class_id == PERSON else (passer.class_id, passer.across_m, passer.size_m[1])
    return Trace(passer.comes_at_ms // STEP_MS, passer.along_m(at_ms), boxes_px, passer.size_m[0], lane)
