"""What judging finds in the logs of honest and of dishonest hubs."""

from dataclasses import replace
from pathlib import Path

import pytest

from hub.domain.admission import Message, open_message
from hub.domain.judging import Judged, JudgingError, judge
from hub.domain.records import LogEntry
from hub.domain.schedule import EpochSchedule
from hub.domain.standing import MemoryStanding
from hub.judge import epoch_segments, judge_epoch
from hub.log.errors import LogError
from hub.log.files import open_segments, sealed_segments
from hub.log.reading import read_log
from protocol.beacon import NO_BEACON
from protocol.envelope import NO_PREVIOUS, block_digest
from protocol.logbook import Tally
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import EPOCH_1, EPOCH_MS, HUB, NETWORK, START_MS, StoryDevice, StoryHub


def judged(directory: Path) -> Judged:
    paths = [*sealed_segments(directory), *open_segments(directory)]
    return judge(read_log(paths, HUB.public_key), MemoryStanding(), EPOCH_1)


def claim(hub: StoryHub, message: Message, verdict: Verdict) -> None:
    """Write down ``verdict``, whatever the rules say: a hub can sign anything."""
    opened = open_message(message, NETWORK)
    entry = LogEntry(opened.digest, verdict, message.block if verdict.is_kept else None)
    hub.standing.learn(opened, verdict)
    hub.log.append_batch([entry], received_at_ms=hub.log.latest_at_ms)


@pytest.fixture
def device() -> StoryDevice:
    return StoryDevice(1)


@pytest.fixture
def hub(tmp_path: Path, device: StoryDevice) -> StoryHub:
    hub = StoryHub(tmp_path)
    hub.relay()
    hub.take(device.enrollment())
    return hub


def test_rows_say_who_said_how_much_and_counts_add_up(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    message = device.envelope()
    hub.take(message, message, Message("x", b"garbage"), StoryDevice(9).envelope())
    hub.log.append_batch([], [Tally(Verdict.MALFORMED, 40), Tally(Verdict.OVERSIZE, 2)], received_at_ms=START_MS)
    outcome = judged(tmp_path)
    key = device.keys.public_key
    assert [(row.device, row.sequence, row.verdict, row.observations) for row in outcome.rows] == [
        (key, 0, Verdict.ACCEPTED, 0),
        (key, 1, Verdict.ACCEPTED, 1),
        (None, 0, Verdict.DUPLICATE, 0),
        (None, 0, Verdict.MALFORMED, 0),
        (None, 0, Verdict.UNKNOWN_DEVICE, 0),
    ]
    assert outcome.rows[1].digest == block_digest(message.block)
    assert {row.received_at_ms for row in outcome.rows} == {START_MS}
    assert outcome.counts == {"accepted": 2, "duplicate": 1, "malformed": 41, "oversize": 2, "unknown_device": 1}


def test_an_equivocation_costs_every_envelope_with_that_sequence(
    hub: StoryHub, device: StoryDevice, tmp_path: Path
) -> None:
    other = StoryDevice(2)
    hub.take(other.enrollment(), other.envelope())
    hub.take(device.envelope(), device.envelope())
    hub.take(device.envelope(sequence=1, previous=NO_PREVIOUS), device.envelope(sequence=1, previous=NO_PREVIOUS))
    rows = judged(tmp_path).rows
    assert [row.verdict for row in rows if row.device == device.keys.public_key and row.sequence == 1] == [
        Verdict.EQUIVOCATION
    ] * 3
    untouched = [row for row in rows if row.sequence == 2 or row.device != device.keys.public_key]
    assert {row.verdict for row in untouched} == {Verdict.ACCEPTED}


def test_an_equivocation_with_an_earlier_epoch_changes_nothing_that_was_published(
    hub: StoryHub, device: StoryDevice, tmp_path: Path
) -> None:
    hub.take(device.envelope())
    hub.log.roll(epoch=2, sealed_at_ms=UnixMs(START_MS + EPOCH_MS))
    hub.take(device.envelope(START_MS, sequence=1, previous=NO_PREVIOUS), at_ms=START_MS + EPOCH_MS)
    hub.log.roll(epoch=3, sealed_at_ms=UnixMs(START_MS + 2 * EPOCH_MS))
    second = replace(
        EPOCH_1, epoch=2, started_at_ms=EPOCH_1.ended_at_ms, ended_at_ms=UnixMs(EPOCH_1.ended_at_ms + EPOCH_MS)
    )
    assert judge_epoch(tmp_path, HUB.public_key, EPOCH_1)[1].counts == {"accepted": 2}
    assert judge_epoch(tmp_path, HUB.public_key, second)[1].counts == {"equivocation": 1}


@pytest.mark.parametrize("lie", [verdict for verdict in Verdict if verdict.is_kept and verdict is not Verdict.ACCEPTED])
def test_a_good_envelope_logged_as_bad_is_found(
    hub: StoryHub, device: StoryDevice, tmp_path: Path, lie: Verdict
) -> None:
    claim(hub, device.envelope(), lie)
    with pytest.raises(JudgingError, match=f"logged as {lie.slug}, but its bytes give accepted"):
        judged(tmp_path)


def test_a_bad_envelope_logged_as_good_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    claim(hub, device.envelope(beacon=NO_BEACON), Verdict.ACCEPTED)
    with pytest.raises(JudgingError, match="logged as accepted, but its bytes give stale_beacon"):
        judged(tmp_path)


def test_a_forged_envelope_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    good = device.envelope()
    forged = good.block[:-1] + bytes([good.block[-1] ^ 1])
    hub.log.append_batch([LogEntry(block_digest(forged), Verdict.ACCEPTED, forged)], received_at_ms=START_MS)
    with pytest.raises(JudgingError, match="its bytes give bad_signature"):
        judged(tmp_path)


def test_an_envelope_counted_twice_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    message = device.envelope()
    claim(hub, message, Verdict.ACCEPTED)
    claim(hub, message, Verdict.ACCEPTED)
    with pytest.raises(JudgingError, match="its bytes give duplicate"):
        judged(tmp_path)


def test_a_duplicate_of_nothing_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    claim(hub, device.envelope(), Verdict.DUPLICATE)
    with pytest.raises(JudgingError, match="duplicate of nothing"):
        judged(tmp_path)


def test_an_unknown_device_whose_envelope_is_held_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    message = device.envelope()
    hub.take(message)
    claim(hub, message, Verdict.UNKNOWN_DEVICE)
    with pytest.raises(JudgingError, match="but the log holds it"):
        judged(tmp_path)


def test_a_batch_outside_its_epoch_is_found(hub: StoryHub, device: StoryDevice, tmp_path: Path) -> None:
    hub.take(device.envelope(), at_ms=START_MS + EPOCH_MS)
    with pytest.raises(JudgingError, match="not received in epoch 1"):
        judged(tmp_path)


def test_a_segment_of_another_epoch_or_network_is_found(hub: StoryHub, tmp_path: Path) -> None:
    paths = open_segments(tmp_path)
    for terms in (replace(EPOCH_1, epoch=2), replace(EPOCH_1, network="other-net")):
        with pytest.raises(JudgingError, match="belongs to epoch 1"):
            judge(read_log(paths, HUB.public_key), MemoryStanding(), terms)


def test_an_epoch_that_is_still_open_is_not_judged(hub: StoryHub, tmp_path: Path) -> None:
    with pytest.raises(LogError, match="epoch 1 is still open"):
        epoch_segments(tmp_path, HUB.public_key, 1)
    with pytest.raises(LogError, match="epoch 1 is still open"):
        epoch_segments(tmp_path, HUB.public_key, 5)
    hub.log.roll(epoch=4, sealed_at_ms=START_MS)
    assert epoch_segments(tmp_path, HUB.public_key, 1) == sealed_segments(tmp_path)
    assert epoch_segments(tmp_path, HUB.public_key, 2) == []
    assert judge_epoch(tmp_path, HUB.public_key, replace(EPOCH_1, epoch=2)) == ([], Judged((), {}))


def test_an_epoch_begins_with_its_first_millisecond_and_ends_before_its_last() -> None:
    schedule = EpochSchedule(genesis_ms=UnixMs(1_000), epoch_ms=100)
    assert [schedule.epoch_at(UnixMs(at_ms)) for at_ms in (999, 1_000, 1_099, 1_100, 1_250)] == [0, 1, 1, 2, 3]
    assert (schedule.starts_at_ms(2), schedule.ends_at_ms(2)) == (1_100, 1_200)
    for genesis_ms, epoch_ms in ((-1, 100), (0, 0)):
        with pytest.raises(ValueError, match="schedule"):
            EpochSchedule(UnixMs(genesis_ms), epoch_ms)
