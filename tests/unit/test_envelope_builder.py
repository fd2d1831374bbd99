"""From observations to drafts and envelopes: batches, patience, coarse positions, the chain."""

from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from edge.keeping.builder import BatchLimits, Draft, DraftBuilder, Urgency, coarsened
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.priority import Priority
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from edge.sight.finished import FinishedTrack, PathPoint
from edge.sight.seeing import observation_of
from protocol.beacon import NO_BEACON
from protocol.envelope import MAX_ENVELOPE_BYTES, MAX_OBSERVATIONS, NO_MODEL, NO_PREVIOUS, Envelope, open_envelope, seal
from protocol.observation import (
    ClockSource,
    Crossing,
    Gap,
    GapReason,
    Health,
    Position,
    Provider,
    Quantity,
    Reading,
    Stay,
    Track,
)
from protocol.units import Ppm, Udeg, UnixMs
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair, person

READING = Reading(Quantity.TEMPERATURE_MDEGC, NOW_MS, 21_000, 500)
CROSSING = Crossing(7, 0, 1, is_forward=True, crossed_at_ms=NOW_MS, confidence_ppm=Ppm(1))
STAY = Stay(7, 0, 1, NOW_MS, NOW_MS, Ppm(1))
HEALTH = msgspec.convert(
    [6, NOW_MS, *[0] * 7, Provider.CPU, *[0] * 10, None, None, None, ClockSource.NTP, None, 0, None, None, None, 0, 0],
    Health,
)
LIMITS = BatchLimits(max_observations=3, max_delay_ms=5_000, beacon_patience_ms=30_000, max_waiting=5)


def longest(observation: Health) -> Health:
    """The same with the largest numbers that its fields may hold."""
    fields = msgspec.to_builtins(observation)
    for index in range(1, len(fields)):
        for number in (2**53 - 1, 2**32 - 1, 1_000_000, 255, 3):
            larger = [*fields[:index], number, *fields[index + 1 :]]
            with suppress(msgspec.ValidationError):
                msgspec.convert(larger, Health)
                fields = larger
                break
    return msgspec.convert(fields, Health)


def builder(limits: BatchLimits = LIMITS, model_digest: bytes | None = None) -> DraftBuilder:
    return DraftBuilder(model_digest=model_digest, agent_release="1.2.3", position=PLACE, limits=limits)


def only(drafts: tuple[Draft, ...]) -> Draft:
    (draft,) = drafts
    return draft


def begun(limits: BatchLimits = LIMITS) -> DraftBuilder:
    """A builder that has signed its first envelope already."""
    first = builder(limits)
    first.add(person(99), now_ms=NOW_MS)
    first.sent(only(first.drafts(now_ms=NOW_MS, beacon=BEACON)))
    return first


def later(ms: int) -> UnixMs:
    return UnixMs(NOW_MS + ms)


def test_nothing_is_due_when_nothing_was_seen() -> None:
    assert builder().drafts(now_ms=NOW_MS, beacon=BEACON, urgency=Urgency.NOW) == ()


def test_an_envelope_is_due_when_enough_wait_or_the_oldest_has_waited_long_enough() -> None:
    few = begun()
    few.add(person(1), now_ms=NOW_MS)
    assert few.drafts(now_ms=later(4_999), beacon=BEACON) == ()
    draft = only(few.drafts(now_ms=later(5_000), beacon=BEACON))
    assert (draft.observations, draft.created_at_ms, draft.beacon) == ((person(1),), later(5_000), BEACON)
    for track_id in (2, 3):
        few.add(person(track_id), now_ms=NOW_MS)
    full = only(few.drafts(now_ms=NOW_MS, beacon=BEACON))
    assert full.observations == (person(1), person(2), person(3))


def test_the_first_envelope_of_a_run_is_due_at_once() -> None:
    fresh = builder()
    fresh.add(person(1), now_ms=NOW_MS)
    assert fresh.drafts(now_ms=NOW_MS, beacon=None) == ()
    draft = only(fresh.drafts(now_ms=NOW_MS, beacon=BEACON))
    assert draft.observations == (person(1),)
    fresh.sent(draft)
    fresh.add(person(2), now_ms=NOW_MS)
    assert fresh.drafts(now_ms=NOW_MS, beacon=BEACON) == ()


def test_classes_do_not_mix_and_go_together() -> None:
    mixed = begun(BatchLimits(max_observations=3))
    for observation in (HEALTH, READING, STAY, person(1), CROSSING, person(2)):
        mixed.add(observation, now_ms=NOW_MS)
    assert mixed.drafts(now_ms=later(4_999), beacon=BEACON) == ()
    drafts = mixed.drafts(now_ms=later(5_000), beacon=BEACON)
    assert [each.observations for each in drafts] == [(person(1), person(2)), (STAY, CROSSING), (READING,), (HEALTH,)]
    for draft in drafts:
        mixed.sent(draft)
    assert len(mixed) == 0


def test_one_class_that_is_due_takes_the_others_along() -> None:
    mixed = begun()
    mixed.add(READING, now_ms=NOW_MS)
    for track_id in range(3):
        mixed.add(person(track_id), now_ms=NOW_MS)
    drafts = mixed.drafts(now_ms=NOW_MS, beacon=BEACON)
    assert [each.priority for each in drafts] == [Priority.TRACK, Priority.READING]


def test_health_makes_no_envelope_due_before_its_time() -> None:
    calm = builder()
    for _ in range(4):  # more than make an envelope of another class, and none was signed in this run
        calm.add(HEALTH, now_ms=NOW_MS)
    assert calm.drafts(now_ms=later(4_999), beacon=BEACON) == ()
    assert only(calm.drafts(now_ms=later(5_000), beacon=BEACON)).observations == (HEALTH,) * 3


def test_an_envelope_of_the_longest_observations_is_not_too_long() -> None:
    long = builder(BatchLimits(max_observations=MAX_OBSERVATIONS))
    for _ in range(MAX_OBSERVATIONS):
        long.add(longest(HEALTH), now_ms=NOW_MS)
    draft = only(long.drafts(now_ms=NOW_MS, beacon=BEACON, urgency=Urgency.NOW))
    envelope = Envelope(
        1, NETWORK, 1, 1, NO_PREVIOUS, BEACON, NO_MODEL, "1", PLACE, NOW_MS, observations=draft.observations
    )
    assert len(seal(envelope, key_pair("device"))) <= MAX_ENVELOPE_BYTES


def test_a_draft_waits_until_it_is_said_to_be_signed() -> None:
    waiting = begun()
    for track_id in range(1, 5):
        waiting.add(person(track_id), now_ms=NOW_MS)
    first = only(waiting.drafts(now_ms=NOW_MS, beacon=BEACON))
    assert only(waiting.drafts(now_ms=NOW_MS, beacon=BEACON)) == first
    waiting.sent(first)
    assert len(waiting) == 1
    assert only(waiting.drafts(now_ms=NOW_MS, beacon=BEACON, urgency=Urgency.SOON)).observations == (person(4),)


def test_without_a_beacon_observations_wait_but_not_for_ever() -> None:
    patient = builder()
    patient.add(person(1), now_ms=NOW_MS)
    assert patient.drafts(now_ms=later(29_999), beacon=None) == ()
    assert patient.drafts(now_ms=later(29_999), beacon=None, urgency=Urgency.SOON) == ()
    for drafts in (
        patient.drafts(now_ms=later(30_000), beacon=None),
        patient.drafts(now_ms=later(1), beacon=None, urgency=Urgency.NOW),
    ):
        assert only(drafts).beacon == NO_BEACON


def test_a_clock_that_steps_back_holds_nothing_up() -> None:
    stepped = begun()
    stepped.add(person(1), now_ms=NOW_MS)
    assert stepped.drafts(now_ms=later(-1), beacon=None) != ()


def test_memory_is_thinned_from_the_lowest_class_and_the_loss_is_told() -> None:
    small = builder()
    for at_ms in range(4):
        small.add(READING, now_ms=later(at_ms))
    small.add(person(1), now_ms=later(4))
    assert (len(small), small.lost) == (5, None)
    small.add(person(2), now_ms=later(5))  # the first and the third reading go
    assert (len(small), small.refused) == (4, 2)
    assert small.lost == Gap(GapReason.MEMORY, 0, 2, 0, 0, NOW_MS, later(2))
    for at_ms in (6, 7):
        small.add(person(at_ms), now_ms=later(at_ms))
    drafts = small.drafts(now_ms=later(8), beacon=BEACON)
    assert [each.priority for each in drafts] == [Priority.TRACK, Priority.READING]
    assert small.lost is not None
    assert small.refused == small.lost.observations == 3
    small.booked(Gap(GapReason.MEMORY, 0, 2, 0, 0, NOW_MS, later(2)))  # meanwhile more was lost
    assert small.lost is not None
    small.booked(small.lost)
    assert small.lost is None


def test_of_a_track_only_the_agreed_words_leave_the_device() -> None:
    finished = FinishedTrack(
        track_id=7,
        class_id=2,
        part=1,
        continues=True,
        first_seen_ms=UnixMs(10),
        last_seen_ms=UnixMs(20),
        confidence_ppm=Ppm(1),
        detections=3,
        last_box_px=(1, 2, 3, 4),
        best_box_px=(1, 2, 3, 4),
        path=(PathPoint(UnixMs(10), 5, 6),),
    )
    assert observation_of(finished) == Track(7, 2, UnixMs(10), UnixMs(20), Ppm(1), 3, continues=True, sketch=b"")


@pytest.mark.parametrize(
    ("lat_udeg", "grid_udeg", "middle_udeg"),
    [
        (52_500_123, 1_000, 52_500_500),
        (-33_868_001, 1_000, -33_868_500),
        (999, 1_000, 500),
        (90_000_000, 1_000, 90_000_000),
    ],
)
def test_a_position_becomes_the_middle_of_its_square(lat_udeg: int, grid_udeg: int, middle_udeg: int) -> None:
    coarse = coarsened(Position(Udeg(lat_udeg), Udeg(0), 0, -1), grid_udeg=grid_udeg)
    assert coarse.lat_udeg == middle_udeg


def test_a_coarse_position_admits_how_far_it_may_be_off() -> None:
    coarse = coarsened(Position(Udeg(52_500_000), Udeg(13_400_000), 5_000, 90_000), grid_udeg=1_000)
    # The corner of the square is half its diagonal away: 500 udeg north and 500 udeg east, 111.32 mm each at most.
    assert coarse.accuracy_mm >= 5_000 + (2 * (500 * 111.32) ** 2) ** 0.5
    assert coarse.accuracy_mm < 5_000 + 80_000
    assert coarse.heading_mdeg == 90_000


def test_positions_of_one_square_cannot_be_told_apart() -> None:
    near = {
        coarsened(Position(Udeg(52_500_000 + step), Udeg(13_400_999 - step), 5_000, -1), grid_udeg=1_000)
        for step in range(0, 1_000, 111)
    }
    assert len(near) == 1


def test_a_grid_of_one_keeps_the_position() -> None:
    assert coarsened(PLACE, grid_udeg=1) == PLACE


@pytest.mark.parametrize("grid_udeg", [0, -5, 1_000_001])
def test_an_impossible_grid_is_refused(grid_udeg: int) -> None:
    with pytest.raises(ValueError, match="grid_udeg"):
        coarsened(PLACE, grid_udeg=grid_udeg)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_observations": 0},
        {"max_observations": MAX_OBSERVATIONS + 1},
        {"max_delay_ms": -1},
        {"beacon_patience_ms": -1},
        {"max_waiting": 1},
    ],
)
def test_impossible_limits_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must"):
        BatchLimits(**wrong)


def test_signed_envelopes_form_a_chain_that_anybody_can_check(tmp_path: Path) -> None:
    SequenceLedger.create(tmp_path / "sequence.json")
    ledger = SequenceLedger.open(tmp_path / "sequence.json")
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxLimits())
    keys = key_pair("device")
    signer = EnvelopeSigner(keys, network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=b"\xee" * 32)
    source = builder(BatchLimits(max_observations=1))
    previous = NO_PREVIOUS
    drafts = []
    for sequence in (1, 2, 3):
        source.add(person(sequence), now_ms=NOW_MS)
        drafts.append(only(source.drafts(now_ms=NOW_MS, beacon=BEACON)))
        source.sent(drafts[-1])
    signed_ones = [*signer.sign(drafts[0]), *signer.sign(*drafts[1:])]  # alone, and two in one transaction
    for sequence, waiting in enumerate(signed_ones, start=1):
        signed, envelope = open_envelope(waiting.block)
        assert signed.key == keys.public_key
        assert (envelope.sequence, envelope.previous, envelope.boot) == (sequence, previous, 1)
        assert (envelope.network, envelope.position, envelope.agent_release) == (NETWORK, PLACE, "1.2.3")
        assert (envelope.model_digest, envelope.beacon) == (NO_MODEL, BEACON)
        previous = waiting.digest
    assert len(outbox.waiting(at_most=9)) == 3
    outbox.close()
    ledger.close()
