"""The authors of the scripted scenes: for each kind, who walks where, and what goes wrong."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from firmware_sim.scripts import FRAME_PX, Kind, Script, Walker, can_be_counted


def _build(dice: random.Random, *, height_px: float | None = None, foot_px: float | None = None) -> Walker:
    """Return a person of some size at some depth, who goes nowhere yet."""
    height = height_px or dice.uniform(90.0, 160.0)
    return Walker(height, foot_px or dice.uniform(max(200.0, height + 20), 340.0), ((0, -999.0), (1, -999.0)))


def _pace_px(walker: Walker, dice: random.Random) -> float:
    """Return pixels a millisecond: 0.55 to 0.95 heights a second, 1 to 1.6 m/s."""
    return walker.height_px * dice.uniform(0.55, 0.95) / 1000


def _outside_px(walker: Walker, side: int) -> float:
    """Return a place out of the picture: left of it (-1) or right of it (1)."""
    return -walker.width_px if side < 0 else FRAME_PX[0] + walker.width_px


def _through(walker: Walker, dice: random.Random, begins_ms: int, side: int, stops: tuple[int, ...] = ()) -> Walker:
    """Walk from one ``side`` to the other, and stand for each of ``stops`` (ms) somewhere in the middle."""
    pace, at, now = _pace_px(walker, dice), _outside_px(walker, side), float(begins_ms)
    way = [(begins_ms, at)]
    places = sorted(dice.uniform(0.2, 0.8) * FRAME_PX[0] for _ in stops)
    for place, stand_ms in zip(places if side < 0 else places[::-1], stops, strict=True):
        now += max(abs(place - at) / pace, 1.0)
        way += [(int(now), place), (int(now) + stand_ms, place)]
        now, at = now + stand_ms, place
    now += abs(_outside_px(walker, -side) - at) / pace
    return replace(walker, way=(*way, (int(now), _outside_px(walker, -side))))


def _standstill(dice: random.Random, seed: int) -> Script:
    stand_ms = dice.randrange(8_000, 28_000)
    walker = _through(_build(dice), dice, 500, dice.choice((-1, 1)), (stand_ms,))
    stands_from = walker.way[1][0]
    begin = stands_from + dice.randrange(2_800, stand_ms - 3_000)
    lost = ((begin, min(begin + dice.randrange(2_000, 12_000), stands_from + stand_ms - 500)),)
    walkers = [replace(walker, lost_ms=lost if dice.random() < 0.7 else ())]
    if dice.random() < 0.5:  # somebody walks past meanwhile
        walkers.append(_through(_build(dice), dice, dice.randrange(2_000, 9_000), dice.choice((-1, 1))))
    return Script(Kind.STANDSTILL, seed, tuple(walkers))


def _crossing(dice: random.Random, seed: int) -> Script:
    walkers = []
    foot = dice.uniform(220.0, 320.0)
    for index in range(dice.randrange(2, 5)):
        apart = dice.choice((0.0, 8.0, 25.0))
        walker = _build(dice, height_px=dice.uniform(100.0, 150.0), foot_px=foot + apart * (1 if index % 2 else -1))
        side = -1 if index % 2 else 1
        walkers.append(_through(walker, dice, 300 + 1_600 * (index // 2) + dice.randrange(700), side))
    return Script(Kind.CROSSING, seed, tuple(walkers))


def _occlusion(dice: random.Random, seed: int) -> Script:
    if dice.random() < 0.5:  # a pillar
        walker = _through(_build(dice), dice, 300, dice.choice((-1, 1)))
        left = dice.uniform(180.0, 380.0)
        pillars = ((left, left + walker.width_px * dice.uniform(0.8, 2.0)),)
        other = _through(_build(dice), dice, dice.randrange(300, 5_000), dice.choice((-1, 1)))
        return Script(Kind.OCCLUSION, seed, (walker, other) if dice.random() < 0.5 else (walker,), pillars_px=pillars)
    # Somebody big stands in front while others pass behind.
    big = _build(dice, height_px=dice.uniform(150.0, 190.0), foot_px=dice.uniform(330.0, 355.0))
    front = _through(big, dice, 300, dice.choice((-1, 1)), (dice.randrange(8_000, 14_000),))
    behind = [
        _through(
            _build(dice, height_px=dice.uniform(90.0, 120.0), foot_px=dice.uniform(250.0, 300.0)),
            dice,
            dice.randrange(2_000, 7_000),
            dice.choice((-1, 1)),
        )
        for _ in range(dice.randrange(1, 3))
    ]
    return Script(Kind.OCCLUSION, seed, (front, *behind))


def _people(dice: random.Random, number: int, *, stands: float = 0.4) -> tuple[Walker, ...]:
    """Return people in lanes of their own, some of whom stop."""
    lanes = dice.sample((215.0, 250.0, 285.0, 320.0, 350.0), number)
    return tuple(
        _through(
            _build(dice, height_px=lane * dice.uniform(0.38, 0.5), foot_px=lane),
            dice,
            dice.randrange(300, 3_500),
            dice.choice((-1, 1)),
            (dice.randrange(5_000, 12_000),) if dice.random() < stands else (),
        )
        for lane in lanes
    )


def _frozen(dice: random.Random, seed: int, *, is_repeating: bool) -> Script:
    walkers = _people(dice, dice.randrange(1, 4))
    begin = dice.randrange(2_000, 6_000)
    kind = Kind.REPEAT if is_repeating else Kind.FREEZE
    return Script(kind, seed, walkers, frozen_ms=(begin, begin + 2_000), is_repeating=is_repeating)


def _restart(dice: random.Random, seed: int) -> Script:
    begin = dice.randrange(2_000, 8_000)
    dead = (begin, begin + dice.randrange(500, 5_000))
    return Script(Kind.RESTART, seed, _people(dice, dice.randrange(1, 4), stands=0.5), dead_ms=dead)


def _reentry(dice: random.Random, seed: int) -> Script:
    walker, side = _build(dice), dice.choice((-1, 1))
    pace = _pace_px(walker, dice)
    slow = pace * dice.uniform(0.35, 0.5)
    edge = 0.0 if side < 0 else float(FRAME_PX[0])
    near, beyond = edge - side * walker.height_px * 0.5, edge + side * walker.height_px * dice.uniform(0.3, 0.42)
    start, end = _outside_px(walker, -side), _outside_px(walker, dice.choice((-1, 1)))
    now = 300.0
    way = [(int(now), start)]
    for place, speed, wait_ms in (
        (near, pace, 0),
        (beyond, slow, dice.randrange(200, 1_500)),
        (near, slow, 0),
        (FRAME_PX[0] / 2, pace, 0),
        (end, pace, 0),
    ):
        now += abs(place - way[-1][1]) / speed
        way.append((int(now), place))
        if wait_ms:
            now += wait_ms
            way.append((int(now), place))
    walkers = [replace(walker, way=tuple(way))]
    if dice.random() < 0.4:
        walkers += _people(dice, 1)
    return Script(Kind.REENTRY, seed, tuple(walkers))


def _edge(dice: random.Random, seed: int) -> Script:
    side = dice.choice((-1, 1))
    leaves = _through(_build(dice), dice, 300, -side)
    is_twin = dice.random() < 0.5
    other = _build(dice, height_px=leaves.height_px, foot_px=leaves.foot_px) if is_twin else _build(dice)
    # From "just gone" to some seconds later; never in the very same doorway at the very same moment.
    gap_ms = dice.randrange(300, 3_000)
    enters = _through(other, dice, leaves.way[-1][0] + gap_ms - 600, side)
    return Script(Kind.EDGE, seed, (leaves, enters))


def _medley(dice: random.Random, seed: int) -> Script:
    begin = dice.randrange(2_500, 5_000)
    dead = begin + dice.randrange(4_500, 6_000)
    return Script(
        Kind.MEDLEY,
        seed,
        _people(dice, dice.randrange(2, 5), stands=0.5),
        every_ms=dice.choice((66, 100, 125, 200)),
        frozen_ms=(begin, begin + 2_000),
        is_repeating=dice.random() < 0.5,
        dead_ms=(dead, dead + dice.randrange(500, 4_000)),
    )


_AUTHORS: Mapping[Kind, Callable[[random.Random, int], Script]] = {
    Kind.STANDSTILL: _standstill,
    Kind.CROSSING: _crossing,
    Kind.OCCLUSION: _occlusion,
    Kind.FREEZE: lambda dice, seed: _frozen(dice, seed, is_repeating=False),
    Kind.REPEAT: lambda dice, seed: _frozen(dice, seed, is_repeating=True),
    Kind.RESTART: _restart,
    Kind.REENTRY: _reentry,
    Kind.EDGE: _edge,
    Kind.MEDLEY: _medley,
}


def script(kind: Kind, seed: int) -> Script:
    """Return the scene number ``seed`` of its kind: the first draft in which everybody can be seen."""
    dice = random.Random(f"cairn/script/{kind}/{seed}")
    while not can_be_counted(draft := _AUTHORS[kind](dice, seed)):
        pass
    return draft
