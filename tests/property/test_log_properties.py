"""Whatever happens to a hub: its log gives its verdicts again, and what it acknowledged survives any cut."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.domain.admission import Message, open_message
from hub.domain.judging import EpochTerms, judge, learn_records
from hub.domain.records import IntakeRecord
from hub.domain.standing import MemoryStanding
from hub.judge import epoch_segments, judge_epoch
from hub.log.files import open_segments, sealed_segments
from hub.log.reading import read_log
from protocol.beacon import NO_BEACON, Beacon
from protocol.envelope import NO_PREVIOUS, block_digest
from protocol.manifest import VerdictRow
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import BEACON, EPOCH_MS, HUB, NETWORK, POLICY, START_MS, StoryDevice, StoryHub

Act = Callable[[StoryDevice, int, Message], Message]  # (who, the time in ms, something sent before) -> what is sent


def good(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return device.envelope(now_ms)


def enroll(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return device.enrollment(now_ms)


def duplicate(_device: StoryDevice, _now_ms: int, earlier: Message) -> Message:
    return earlier


def equivocate(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    sequence = max(1, device.sequence)
    return device.envelope(now_ms, sequence=sequence, previous=NO_PREVIOUS if sequence == 1 else b"\x06" * 32)


def replay(device: StoryDevice, now_ms: int, earlier: Message) -> Message:
    seen = open_message(earlier, NETWORK).envelope
    return device.envelope(now_ms, observations=None if seen is None else seen.observations)


def break_chain(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    previous = NO_PREVIOUS if device.sequence == 0 else b"\x05" * 32
    return device.envelope(now_ms, sequence=device.sequence + 1, previous=previous)


def leave_gap(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    device.envelope(now_ms)  # never sent
    return device.envelope(now_ms)


def stale_beacon(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return device.envelope(now_ms, beacon=NO_BEACON)


def skewed_clock(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return device.envelope(now_ms + POLICY.max_clock_skew_ms + 1)


def stranger(_device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return StoryDevice(99).envelope(now_ms)


def garbage(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return Message(device.enrollment().topic, b"garbage %d" % now_ms)


def wrong_topic(device: StoryDevice, now_ms: int, _earlier: Message) -> Message:
    return Message("elsewhere", device.envelope(now_ms).block)


# What a device, an attacker or a broken line may do next. "good" thrice, so that chains grow.
ACTS: dict[str, Act] = {
    "good": good,
    "good again": good,
    "good still": good,
    "enroll": enroll,
    "duplicate": duplicate,
    "equivocate": equivocate,
    "replay": replay,
    "break chain": break_chain,
    "leave gap": leave_gap,
    "stale beacon": stale_beacon,
    "skewed clock": skewed_clock,
    "stranger": stranger,
    "garbage": garbage,
    "wrong topic": wrong_topic,
    "new beacon": good,
}
batches_of_acts = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from(list(ACTS)), st.integers(0, 2), st.integers(0, 50)), min_size=1, max_size=6),
        st.sampled_from(["", "", "", "roll", "restart", "size roll"]),
    ),
    min_size=1,
    max_size=10,
)
BEGINNING = [("enroll", 0, 0), ("enroll", 1, 0), ("good", 0, 0)]  # the third device has yet to enroll
Batches = list[tuple[list[tuple[str, int, int]], str]]


@dataclass
class Town:
    """Three devices and everything they have sent."""

    devices: list[StoryDevice] = field(default_factory=lambda: [StoryDevice(n) for n in range(3)])
    sent: list[Message] = field(default_factory=list)
    now_ms: int = START_MS

    def act(self, act: str, number: int, pick: int) -> Message:
        self.now_ms += 7
        device = self.devices[number]
        earlier = self.sent[pick % len(self.sent)] if self.sent else device.enrollment(self.now_ms)
        message = ACTS[act](device, self.now_ms, earlier)
        self.sent.append(message)
        return message


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk thousands of flushes: only the order of bytes is looked at here."""
    for name in ("hub.log.files.sync_file", "hub.log.recovery.sync_file", "os.fsync"):
        monkeypatch.setattr(name, lambda _descriptor: None)


def standing_of(directory: Path) -> MemoryStanding:
    """What a hub that starts again knows: its log, and nothing else."""
    standing = MemoryStanding()
    paths = [*sealed_segments(directory), *open_segments(directory)]
    learn_records(read_log(paths, HUB.public_key), standing, NETWORK)
    return standing


def started(directory: Path, epoch: int, at_ms: int) -> StoryHub:
    hub = StoryHub(directory, epoch=epoch, at_ms=at_ms, max_segment_bytes=4_000)
    hub.standing = standing_of(directory)
    return hub


def epoch_terms(epoch: int) -> EpochTerms:
    """Epochs of these tests all span the same time: what separates them is the roll."""
    return EpochTerms(NETWORK, epoch, START_MS, UnixMs(START_MS + EPOCH_MS))


def play(directory: Path, batches: Batches) -> list[list[tuple[bytes, Verdict]]]:
    """Live through ``batches``; return, for each epoch, what was logged of each message."""
    town, hub = Town(), started(directory, 1, START_MS)
    logged: list[list[tuple[bytes, Verdict]]] = [[]]
    hub.relay()
    for acts, then in [(BEGINNING, ""), *batches]:
        if any(act == "new beacon" for act, _, _ in acts):
            hub.relay(Beacon(BEACON.round + town.now_ms, BEACON.hash), town.now_ms)
        messages = [town.act(*act) for act in acts]
        verdicts, _ = hub.take(*messages, at_ms=town.now_ms)
        logged[-1] += [
            (block_digest(message.block), verdict) for message, verdict in zip(messages, verdicts, strict=True)
        ]
        epoch = len(logged)
        if then == "roll":
            hub.log.roll(epoch=epoch + 1, sealed_at_ms=UnixMs(town.now_ms))
            logged.append([])
        elif then == "size roll":
            hub.log.roll(epoch=epoch, sealed_at_ms=UnixMs(town.now_ms))
        elif then == "restart":
            hub.log.close()
            hub = started(directory, epoch, town.now_ms)
    hub.log.roll(epoch=len(logged) + 1, sealed_at_ms=UnixMs(town.now_ms))
    hub.log.close()
    return logged


def check_second_pass(logged: list[tuple[bytes, Verdict]], rows: tuple[VerdictRow, ...]) -> None:
    """Judging differs from admission only where a device equivocated within the epoch."""
    assert [digest for digest, _ in logged] == [row.digest for row in rows]
    cloned = {
        (row.device, row.sequence)
        for row, (_, verdict) in zip(rows, logged, strict=True)
        if verdict is Verdict.EQUIVOCATION
    }
    for row, (_, verdict) in zip(rows, logged, strict=True):
        expected = Verdict.EQUIVOCATION if (row.device, row.sequence) in cloned else verdict
        assert row.verdict is expected
        assert (row.device is not None) == verdict.is_kept


@settings(max_examples=120, deadline=None)
@given(batches=batches_of_acts)
def test_judging_the_log_gives_the_logged_verdicts(batches: Batches) -> None:
    with folder() as directory:
        logged = play(directory, batches)
        carried = MemoryStanding()
        for epoch, expected in enumerate(logged, start=1):
            segments, judged = judge_epoch(directory, HUB.public_key, epoch_terms(epoch))
            check_second_pass(expected, judged.rows)
            assert sum(judged.counts.values()) == len(expected)
            # Judged on top of what was carried along, or from the first byte on: the same.
            assert judge(read_log(segments, HUB.public_key), carried, epoch_terms(epoch)) == judged
            assert epoch_segments(directory, HUB.public_key, epoch) == segments


@settings(max_examples=150, deadline=None)
@given(batches=batches_of_acts, cut=st.floats(0, 1, exclude_max=True), after=st.integers(0, 50))
def test_a_cut_in_any_write_loses_nothing_acknowledged_and_changes_no_later_verdict(
    batches: Batches, cut: float, after: int
) -> None:
    with folder() as directory:
        town = Town()
        hub = started(directory, 1, START_MS)
        hub.relay()
        acknowledged: list[tuple[bytes, Verdict]] = []
        for number, (acts, _) in enumerate([(BEGINNING, ""), *batches]):
            messages = [town.act(*act) for act in acts]
            before_bytes = hub.log.size_bytes
            before_segment = hub.log.segment
            verdicts, _ = hub.take(*messages, at_ms=town.now_ms)
            if number == after % (len(batches) + 1) and hub.log.segment == before_segment:
                # The power went during this write: some of it is on the disk, nobody was told.
                size_bytes = hub.log.size_bytes
                hub.log.close()
                (path,) = open_segments(directory)
                with path.open("r+b") as stream:
                    stream.truncate(before_bytes + int(cut * (size_bytes - before_bytes)))
                hub = started(directory, 1, town.now_ms)
                assert hub.log.size_bytes == before_bytes
                assert _entries(directory) == acknowledged
                again, _ = hub.take(*messages, at_ms=town.now_ms)  # at least once: they come again
                assert again == verdicts
            acknowledged += [
                (block_digest(message.block), verdict) for message, verdict in zip(messages, verdicts, strict=True)
            ]
        hub.log.close()
        assert _entries(directory) == acknowledged


def _entries(directory: Path) -> list[tuple[bytes, Verdict]]:
    paths = [*sealed_segments(directory), *open_segments(directory)]
    return [
        (entry.digest, entry.verdict)
        for record in read_log(paths, HUB.public_key)
        if isinstance(record, IntakeRecord)
        for entry in record.entries
    ]
