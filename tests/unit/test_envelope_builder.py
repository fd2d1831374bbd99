"""From observations to drafts and envelopes: batches, patience, coarse positions, the chain."""

from pathlib import Path

import pytest

from edge.builder import BatchLimits, DraftBuilder, Urgency, coarsened
from edge.finished import FinishedTrack, PathPoint
from edge.outbox import Outbox, OutboxLimits
from edge.seeing import observation_of
from edge.sequence import SequenceLedger
from edge.signer import EnvelopeSigner
from protocol.beacon import NO_BEACON
from protocol.envelope import MAX_OBSERVATIONS, NO_MODEL, NO_PREVIOUS, open_envelope
from protocol.observation import Position, Track
from protocol.units import Ppm, Udeg, UnixMs
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair, person

LIMITS = BatchLimits(max_observations=3, max_delay_ms=5_000, beacon_patience_ms=30_000, max_waiting=5)


def builder(limits: BatchLimits = LIMITS, model_digest: bytes | None = None) -> DraftBuilder:
    return DraftBuilder(model_digest=model_digest, agent_release="1.2.3", position=PLACE, limits=limits)


def later(ms: int) -> UnixMs:
    return UnixMs(NOW_MS + ms)


def test_nothing_is_due_when_nothing_was_seen() -> None:
    assert builder().draft(now_ms=NOW_MS, beacon=BEACON, urgency=Urgency.NOW) is None


def test_an_envelope_is_due_when_enough_wait_or_the_oldest_has_waited_long_enough() -> None:
    few = builder()
    few.add(person(1), now_ms=NOW_MS)
    assert few.draft(now_ms=later(4_999), beacon=BEACON) is None
    draft = few.draft(now_ms=later(5_000), beacon=BEACON)
    assert draft is not None
    assert (draft.observations, draft.created_at_ms, draft.beacon) == ((person(1),), later(5_000), BEACON)
    for track_id in (2, 3):
        few.add(person(track_id), now_ms=NOW_MS)
    full = few.draft(now_ms=NOW_MS, beacon=BEACON)
    assert full is not None
    assert full.observations == (person(1), person(2), person(3))


def test_a_draft_waits_until_it_is_said_to_be_signed() -> None:
    waiting = builder()
    for track_id in range(1, 5):
        waiting.add(person(track_id), now_ms=NOW_MS)
    first = waiting.draft(now_ms=NOW_MS, beacon=BEACON)
    again = waiting.draft(now_ms=NOW_MS, beacon=BEACON)
    assert first == again
    assert first is not None
    waiting.sent(first)
    assert len(waiting) == 1
    rest = waiting.draft(now_ms=NOW_MS, beacon=BEACON, urgency=Urgency.SOON)
    assert rest is not None
    assert rest.observations == (person(4),)


def test_without_a_beacon_observations_wait_but_not_for_ever() -> None:
    patient = builder()
    patient.add(person(1), now_ms=NOW_MS)
    assert patient.draft(now_ms=later(29_999), beacon=None) is None
    assert patient.draft(now_ms=later(29_999), beacon=None, urgency=Urgency.SOON) is None
    for draft in (
        patient.draft(now_ms=later(30_000), beacon=None),
        patient.draft(now_ms=later(1), beacon=None, urgency=Urgency.NOW),
    ):
        assert draft is not None
        assert draft.beacon == NO_BEACON


def test_a_clock_that_steps_back_holds_nothing_up() -> None:
    stepped = builder()
    stepped.add(person(1), now_ms=NOW_MS)
    assert stepped.draft(now_ms=later(-1), beacon=None) is not None


def test_what_finds_no_room_is_counted_and_the_oldest_stay() -> None:
    small = builder()
    assert [small.add(person(track_id), now_ms=NOW_MS) for track_id in range(1, 8)] == [True] * 5 + [False] * 2
    assert (len(small), small.refused) == (5, 2)
    draft = small.draft(now_ms=NOW_MS, beacon=BEACON)
    assert draft is not None
    assert [each.track_id for each in draft.observations if isinstance(each, Track)] == [1, 2, 3]


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
    for sequence in (1, 2, 3):
        source.add(person(sequence), now_ms=NOW_MS)
        draft = source.draft(now_ms=NOW_MS, beacon=BEACON)
        assert draft is not None
        source.sent(draft)
        waiting = signer.sign(draft)
        signed, envelope = open_envelope(waiting.block)
        assert signed.key == keys.public_key
        assert (envelope.sequence, envelope.previous, envelope.boot) == (sequence, previous, 1)
        assert (envelope.network, envelope.position, envelope.agent_release) == (NETWORK, PLACE, "1.2.3")
        assert (envelope.model_digest, envelope.beacon) == (NO_MODEL, BEACON)
        previous = waiting.digest
    assert len(outbox.waiting(at_most=9)) == 3
    outbox.close()
    ledger.close()
