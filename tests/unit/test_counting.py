"""The umpire of counts: merged, split, wrong-class and ghost tracks each show up, in the right minute."""

from edge.sight.finished import FinishedTrack
from firmware_sim.counting import compare
from firmware_sim.world import Visit, World, town_vantages
from protocol.classes import CAR, PERSON
from protocol.units import Ppm, UnixMs

MINUTES = 3


def _town() -> tuple[World, tuple[Visit, ...]]:
    world = World(21, town_vantages(21, 1))
    return world, world.visits(0, UnixMs(0), UnixMs(MINUTES * 60_000))


def _track(number: int, class_id: int, first_ms: int, last_ms: int, *, part: int = 0) -> FinishedTrack:
    box = (10, 10, 20, 30)
    return FinishedTrack(
        track_id=number,
        class_id=class_id,
        part=part,
        continues=False,
        first_seen_ms=UnixMs(first_ms),
        last_seen_ms=UnixMs(last_ms),
        confidence_ppm=Ppm(900_000),
        detections=9,
        last_box_px=box,
        best_box_px=box,
        path=(),
    )


def _perfect(visits: tuple[Visit, ...]) -> list[FinishedTrack]:
    return [
        _track(number, visit.class_id, visit.enters_ms + 120, visit.leaves_ms - 90)
        for number, visit in enumerate(visits, start=1)
    ]


def test_one_track_for_each_visit_is_exact_in_every_minute() -> None:
    world, visits = _town()
    count = compare(world, 0, _perfect(visits), minutes=MINUTES)
    assert count.exact_minutes == MINUTES
    assert sum(count.true_by_minute) == len(visits) == len(count.matched)
    assert count.missed == ()
    assert count.extra == ()


def test_a_visit_without_a_track_is_missed() -> None:
    world, visits = _town()
    tracks = _perfect(visits)
    del tracks[4]
    count = compare(world, 0, tracks, minutes=MINUTES)
    assert count.missed == (visits[4],)
    assert count.exact_minutes == MINUTES - 1


def test_two_tracks_of_one_visit_are_one_too_many() -> None:
    world, visits = _town()
    tracks = _perfect(visits)
    again = _track(99, visits[0].class_id, visits[0].leaves_ms - 400, visits[0].leaves_ms - 90)
    count = compare(world, 0, [*tracks, again], minutes=MINUTES)
    assert count.extra == (again,)
    assert sum(count.counted_by_minute) == len(visits) + 1


def test_a_track_of_another_class_counts_for_nobody() -> None:
    world, visits = _town()
    index = next(
        number
        for number, visit in enumerate(visits)
        if visit.class_id == PERSON
        and not any(
            other.class_id == CAR
            and other.enters_ms < visit.leaves_ms + 2_000
            and visit.enters_ms < other.leaves_ms + 2_000
            for other in visits
        )
    )
    tracks = _perfect(visits)
    tracks[index] = _track(50, CAR, visits[index].enters_ms, visits[index].leaves_ms)
    count = compare(world, 0, tracks, minutes=MINUTES)
    assert count.missed == (visits[index],)
    assert [track.track_id for track in count.extra] == [50]


def test_later_parts_of_a_long_stay_do_not_count_again() -> None:
    world, visits = _town()
    later_part = _track(1, visits[0].class_id, visits[0].enters_ms + 500, visits[0].leaves_ms, part=1)
    count = compare(world, 0, [*_perfect(visits), later_part], minutes=MINUTES)
    assert count.exact_minutes == MINUTES
