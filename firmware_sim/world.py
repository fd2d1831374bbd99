"""The made-up town and the truth about it: who passes which camera, when, and where in its picture.

Pure: a world is a function of its seed, vantages and settings; the same question always gets the same answer.
"""

import math
import random
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from firmware_sim.traffic import (
    LONGEST_STAY_MS,
    LONGEST_WAIT_MS,
    STREET_WIDTH_M,
    Passer,
    TrafficSettings,
    passers,
    spans_px,
)
from firmware_sim.vantage import FRAME_HEIGHT_PX, FRAME_WIDTH_PX, Mounting, Street, Vantage
from protocol.units import PPM_ONE, Ppm, Udeg, UnixMs

_BEGINNING_MS = UnixMs(0)
_BLOCK_PITCH_M = 120.0
_BLOCKS_PER_ROW = 4
_SAMPLE_STEP_MS = 25  # the precision of a visit's ends
_LONGEST_WORLD_MS = 8 * 24 * 3_600_000
_SETBACK_M = 6.5  # cameras stand this far behind the middle of their pavement
_UDEG_PER_M = 1e6 / 111_320  # of latitude


@dataclass(frozen=True, slots=True)
class Visit:
    """One countable pass of one thing before one camera; at least half of it is in the frame meanwhile."""

    camera_index: int
    passer_id: int
    class_id: int
    enters_ms: UnixMs
    leaves_ms: UnixMs  # exclusive

    def __post_init__(self) -> None:
        if not self.enters_ms < self.leaves_ms:
            raise ValueError(f"{self} ends before it begins")


@dataclass(frozen=True, slots=True)
class Sight:
    """One thing in one camera's picture at one moment."""

    passer: Passer
    whole_box_px: tuple[float, float, float, float]  # left, top, right, bottom; may reach out of the frame
    depth_m: float
    visible_ppm: Ppm  # part of its box inside the frame and not behind a nearer box

    @property
    def box_px(self) -> tuple[int, int, int, int]:
        """The box inside the frame, right and bottom exclusive, never empty."""
        left, top, right, bottom = self.whole_box_px
        left_px = min(max(math.floor(left), 0), FRAME_WIDTH_PX - 1)
        top_px = min(max(math.floor(top), 0), FRAME_HEIGHT_PX - 1)
        right_px = min(max(math.ceil(right), left_px + 1), FRAME_WIDTH_PX)
        bottom_px = min(max(math.ceil(bottom), top_px + 1), FRAME_HEIGHT_PX)
        return left_px, top_px, right_px, bottom_px


@dataclass(frozen=True, slots=True)
class WorldSettings:
    """When a world begins (empty streets), how busy it is, where on Earth it lies."""

    starts_at_ms: UnixMs = _BEGINNING_MS
    traffic: TrafficSettings = field(default_factory=TrafficSettings)
    base_udeg: tuple[Udeg, Udeg] = (Udeg(52_516_000), Udeg(13_377_000))  # latitude, longitude


class World:
    """A town of streets with cameras. Each street has its own passers; cameras of one street are witnesses."""

    def __init__(self, seed: int, vantages: tuple[Vantage, ...], settings: WorldSettings | None = None) -> None:
        """Take the cameras of the town, in order: ``camera_index`` counts ``vantages``."""
        self.seed = seed
        self.vantages = vantages
        self.settings = settings or WorldSettings()
        self._streams: dict[int, Iterator[Passer]] = {}
        self._passers: dict[int, list[Passer]] = {}
        self._latest_ms: dict[int, list[int]] = {}  # the latest arrival up to and with each passer: sorted
        self._visits: dict[tuple[int, int], tuple[Visit, ...]] = {}
        for block in {vantage.block_index for vantage in vantages}:
            own = tuple(vantage for vantage in vantages if vantage.block_index == block)
            self._streams[block] = passers(
                seed, street_of(seed, block), own, self.settings.traffic, self.settings.starts_at_ms
            )
            self._passers[block] = []
            self._latest_ms[block] = []

    def visits(self, camera_index: int, from_ms: UnixMs, to_ms: UnixMs) -> tuple[Visit, ...]:
        """Return the passes that begin in [from_ms, to_ms), by their beginning.

        Neighbouring intervals share no visit and miss none.
        """
        found = [
            visit
            for passer in self._near(camera_index, from_ms, to_ms)
            for visit in self._visits_of(camera_index, passer)
            if from_ms <= visit.enters_ms < to_ms
        ]
        return tuple(sorted(found, key=lambda visit: (visit.enters_ms, visit.passer_id)))

    def sights(self, camera_index: int, at_ms: UnixMs) -> tuple[Sight, ...]:
        """Return everything in one camera's picture, the farthest first."""
        vantage = self.vantages[camera_index]
        street = street_of(self.seed, vantage.block_index)
        placed = []
        for passer in self._near(camera_index, at_ms, UnixMs(at_ms + 1)):
            edges = spans_px(passer, street, vantage, np.array(float(at_ms)))
            left, right, top, bottom, depth_m = (float(edge) for edge in edges)
            if right > 0 and left < FRAME_WIDTH_PX and bottom > 0 and top < FRAME_HEIGHT_PX:
                placed.append((passer, (left, top, right, bottom), depth_m))
        placed.sort(key=lambda each: (-each[2], each[0].passer_id))
        covered = np.zeros((FRAME_HEIGHT_PX, FRAME_WIDTH_PX), np.bool_)
        sights = []
        for passer, box, depth_m in reversed(placed):  # the nearest first: it covers the others
            rows = slice(max(round(box[1]), 0), max(round(box[3]), 0))
            columns = slice(max(round(box[0]), 0), max(round(box[2]), 0))
            area_px = max((box[2] - box[0]) * (box[3] - box[1]), 1.0)
            shown_px = int(np.count_nonzero(~covered[rows, columns]))
            covered[rows, columns] = True
            visible = Ppm(min(int(PPM_ONE * shown_px / area_px), PPM_ONE))
            sights.append(Sight(passer, box, depth_m, visible))
        return tuple(reversed(sights))

    def witnesses(self, camera_index: int) -> tuple[int, ...]:
        """Return the other cameras that look at the same street."""
        block = self.vantages[camera_index].block_index
        return tuple(
            index
            for index, vantage in enumerate(self.vantages)
            if vantage.block_index == block and index != camera_index
        )

    def position_udeg(self, camera_index: int) -> tuple[Udeg, Udeg]:
        """Return latitude and longitude of a camera."""
        latitude, longitude = self.settings.base_udeg
        east_m, north_m = self.vantages[camera_index].position_m
        shrink = math.cos(math.radians(latitude / 1e6))
        return (
            Udeg(latitude + round(north_m * _UDEG_PER_M)),
            Udeg(longitude + round(east_m * _UDEG_PER_M / shrink)),
        )

    def screen_sign(self, camera_index: int) -> int:
        """Return +1 where growing ``along`` of the street moves to the right of the picture, else -1."""
        vantage = self.vantages[camera_index]
        turn = vantage.heading_deg - street_of(self.seed, vantage.block_index).heading_deg
        return -1 if math.sin(math.radians(turn)) > 0 else 1

    def _near(self, camera_index: int, from_ms: int, to_ms: int) -> list[Passer]:
        """Everyone on the camera's street at some moment of [from_ms, to_ms)."""
        if to_ms - self.settings.starts_at_ms > _LONGEST_WORLD_MS:
            raise ValueError(f"{to_ms=} is more than 8 days after the world began: start it nearer (starts_at_ms)")
        block = self.vantages[camera_index].block_index
        known, latest_ms = self._passers[block], self._latest_ms[block]
        # The stream yields by the time passers were due; they come at most LONGEST_WAIT_MS later.
        while not known or known[-1].comes_at_ms < to_ms + LONGEST_WAIT_MS:
            known.append(next(self._streams[block]))
            latest_ms.append(max(known[-1].comes_at_ms, latest_ms[-1] if latest_ms else 0))
        first = bisect_left(latest_ms, from_ms - LONGEST_STAY_MS)
        last = bisect_left(latest_ms, to_ms + LONGEST_WAIT_MS)
        return [
            passer for passer in known[first : last + 1] if passer.goes_at_ms > from_ms and passer.comes_at_ms < to_ms
        ]

    def _visits_of(self, camera_index: int, passer: Passer) -> tuple[Visit, ...]:
        key = (camera_index, passer.passer_id)
        if key not in self._visits:
            vantage = self.vantages[camera_index]
            street = street_of(self.seed, vantage.block_index)
            at_ms = np.arange(passer.comes_at_ms, passer.goes_at_ms, _SAMPLE_STEP_MS, dtype=np.float64)
            left, right, *_ = spans_px(passer, street, vantage, at_ms)
            middle = (left + right) / 2
            # A box narrower than the frame shows half of itself exactly while its middle is inside.
            inside = (middle >= 0) & (middle < FRAME_WIDTH_PX)
            edges = np.flatnonzero(np.diff(np.concatenate(([0], inside.astype(np.int8), [0]))))
            self._visits[key] = tuple(
                Visit(
                    camera_index,
                    passer.passer_id,
                    passer.class_id,
                    UnixMs(passer.comes_at_ms + int(begin) * _SAMPLE_STEP_MS),
                    UnixMs(passer.comes_at_ms + int(end) * _SAMPLE_STEP_MS),
                )
                for begin, end in zip(edges[::2], edges[1::2], strict=True)
            )
        return self._visits[key]


def street_of(seed: int, block_index: int) -> Street:
    """Return where the town's street number ``block_index`` lies and which way it runs."""
    dice = random.Random(f"cairn/{seed}/street/{block_index}")
    row, column = divmod(block_index, _BLOCKS_PER_ROW)
    return Street((column * _BLOCK_PITCH_M, row * _BLOCK_PITCH_M), dice.choice((0.0, 90.0, 180.0, 270.0)))


def town_vantages(seed: int, camera_count: int, *, cameras_per_block: int = 2) -> tuple[Vantage, ...]:
    """Hang up cameras: ``cameras_per_block`` at each street, by turns on its two sides, so that they witness."""
    if camera_count < 1 or cameras_per_block < 1:
        raise ValueError("a town has at least one camera, and at least one at each street")
    return tuple(
        _town_vantage(seed, index // cameras_per_block, index % cameras_per_block) for index in range(camera_count)
    )


def _town_vantage(seed: int, block_index: int, place: int) -> Vantage:
    dice = random.Random(f"cairn/{seed}/vantage/{block_index}/{place}")
    street = street_of(seed, block_index)
    far_side = place % 2
    across_m = STREET_WIDTH_M + _SETBACK_M if far_side else -_SETBACK_M
    east_m, north_m = street.place(np.array(dice.uniform(-2.5, 2.5)), across_m)
    mounting: Mounting = dice.choice(("wall", "pole", "window"))
    # Growing ``across`` lies to the left of the street's heading; a camera on the far side looks back.
    heading_deg = street.heading_deg + (90.0 if far_side else -90.0) + dice.uniform(-6.0, 6.0)
    post_left_px = dice.randrange(40, FRAME_WIDTH_PX - 48) if mounting == "pole" else None
    return Vantage(
        block_index,
        (float(east_m), float(north_m)),
        dice.uniform(3.2, 4.2),
        heading_deg % 360.0,
        dice.uniform(52.0, 60.0),
        round(dice.uniform(0.10, 0.18) * PPM_ONE),
        mounting,
        post_left_px,
    )
