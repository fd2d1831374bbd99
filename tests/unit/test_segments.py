"""The log on disk: what was acknowledged stays, what was not leaves no trace, and no byte can change unseen."""

import errno
import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.domain.records import HeaderRecord, IntakeRecord, LogEntry, LogRecord, NoticeRecord, SealRecord
from hub.log import files, recovery
from hub.log.errors import CorruptSegmentError, LogError
from hub.log.files import open_segments, sealed_segments
from hub.log.reading import car_places, read_block, read_log, read_segment
from hub.log.segments import BatchRef, LogTerms, SegmentLog
from protocol.cid import Cid
from protocol.identity import KeyPair
from protocol.logbook import MAX_ENTRIES, Policy, Tally
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import BEACON, HUB, NETWORK, POLICY, START_MS, StoryDevice, StoryHub, log_terms


def reopened(directory: Path, *, epoch: int = 1, at_ms: int = START_MS, terms: LogTerms | None = None) -> SegmentLog:
    return SegmentLog.open(directory, terms or log_terms(), epoch=epoch, opened_at_ms=UnixMs(at_ms))


def records(directory: Path) -> list[LogRecord]:
    return list(read_log([*sealed_segments(directory), *open_segments(directory)], HUB.public_key))


def batches(directory: Path) -> list[int]:
    return [record.intake.batch for record in records(directory) if isinstance(record, IntakeRecord)]


def small_log(directory: Path) -> tuple[Path, list[BatchRef], list[int]]:
    """A segment with a notice and two batches; its path, the batches, and its length after each write."""
    hub, device = StoryHub(directory), StoryDevice(1)
    sizes = [hub.log.size_bytes]
    hub.relay()
    sizes.append(hub.log.size_bytes)
    refs = []
    for messages in ([device.enrollment()], [device.envelope()]):
        refs.append(hub.take(*messages)[1])
        sizes.append(hub.log.size_bytes)
    hub.log.close()
    (path,) = open_segments(directory)
    return path, refs, sizes


@pytest.fixture
def unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk thousands of flushes where only the order of bytes is looked at."""
    monkeypatch.setattr(files, "sync_file", lambda _descriptor: None)
    monkeypatch.setattr(recovery, "sync_file", lambda _descriptor: None)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


# Writing and reading


def test_what_is_written_is_read_back_in_order(tmp_path: Path) -> None:
    hub, device = StoryHub(tmp_path), StoryDevice(1)
    hub.relay()
    messages = [device.enrollment(), device.envelope(), StoryDevice(2).envelope()]
    verdicts, ref = hub.take(*messages)
    sealed = hub.log.roll(epoch=2, sealed_at_ms=UnixMs(START_MS + 1))
    header, notice, intake, seal, following = records(tmp_path)
    assert isinstance(header, HeaderRecord)
    assert (header.header.epoch, header.header.segment, header.header.policy) == (1, 1, POLICY)
    assert isinstance(notice, NoticeRecord)
    assert notice.notice.beacon == BEACON
    assert isinstance(intake, IntakeRecord)
    assert [entry.verdict for entry in intake.entries] == verdicts
    assert [entry.block for entry in intake.entries] == [messages[0].block, messages[1].block, None]
    assert (intake.place, intake.kept) == (ref.intake, ref.kept)
    assert isinstance(seal, SealRecord)
    assert (seal.seal.batches, seal.seal.blocks) == (1, 2)
    assert isinstance(following, HeaderRecord)
    assert (following.header.epoch, following.header.previous) == (2, seal.place.digest)
    assert sealed.path.stat().st_mode & 0o222 == 0
    assert sealed.path.stat().st_size == sealed.size_bytes
    hub.log.close()


def test_every_block_is_found_at_its_place_before_and_after_sealing(tmp_path: Path) -> None:
    hub, device = StoryHub(tmp_path), StoryDevice(1)
    messages = [device.enrollment(), device.envelope()]
    _, ref = hub.take(*messages)
    for _ in range(2):
        assert [read_block([tmp_path], place) for place in ref.kept] == [message.block for message in messages]
        hub.log.roll(epoch=1, sealed_at_ms=START_MS)
    hub.log.close()
    places = list(car_places(sealed_segments(tmp_path)[0]))
    assert {ref.intake, *ref.kept} < set(places)
    assert all(Cid.of_digest(place.digest).matches(read_block([tmp_path], place)) for place in places)


def test_a_block_that_is_gone_or_another_one_is_said_so(tmp_path: Path) -> None:
    path, refs, _ = small_log(tmp_path)
    place = refs[0].kept[0]
    content = bytearray(path.read_bytes())
    content[place.offset + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptSegmentError, match="not the block"):
        read_block([tmp_path], place)
    path.unlink()
    with pytest.raises(LogError, match="gone"):
        read_block([tmp_path], place)


def test_batches_go_on_counting_after_restarts_and_rolls(tmp_path: Path) -> None:
    device = StoryDevice(1)
    for expected in range(1, 6):
        hub = StoryHub(tmp_path)
        assert hub.log.repair is None
        _, ref = hub.take(device.enrollment(START_MS + expected))
        assert ref.batch == expected
        if expected % 2:
            hub.log.roll(epoch=expected, sealed_at_ms=START_MS)
            hub.log.roll(epoch=expected, sealed_at_ms=START_MS)  # an epoch without a message
        hub.log.close()
    assert batches(tmp_path) == [1, 2, 3, 4, 5]


def test_a_full_segment_is_followed_by_another_of_the_same_epoch(tmp_path: Path) -> None:
    hub, device = StoryHub(tmp_path, max_segment_bytes=2_000), StoryDevice(1)
    for _ in range(8):
        hub.take(*(device.envelope() for _ in range(3)), device.enrollment(START_MS + device.sequence))
    hub.log.close()
    sealed = sealed_segments(tmp_path)
    assert len(sealed) >= 3
    headers = [record.header for record in records(tmp_path) if isinstance(record, HeaderRecord)]
    assert {header.epoch for header in headers} == {1}
    assert batches(tmp_path) == list(range(1, 9))


def test_a_new_policy_begins_a_new_segment(tmp_path: Path) -> None:
    small_log(tmp_path)
    stricter = Policy(max_clock_skew_ms=1, beacon_window_ms=1_000, max_lateness_ms=1_000)
    log = reopened(tmp_path, terms=log_terms(stricter))
    assert (log.segment, log.epoch, log.policy) == (2, 1, stricter)
    log.close()


def test_where_the_clock_is_set_back_time_and_epoch_wait(tmp_path: Path) -> None:
    hub = StoryHub(tmp_path, epoch=4, at_ms=START_MS)
    hub.log.roll(epoch=5, sealed_at_ms=UnixMs(START_MS + 100))
    with pytest.raises(ValueError, match="before the log's latest"):
        hub.log.append_batch([LogEntry(bytes(32), Verdict.MALFORMED, None)], received_at_ms=START_MS)
    with pytest.raises(ValueError, match="before the open epoch"):
        hub.log.roll(epoch=4, sealed_at_ms=START_MS)
    hub.log.close()
    (path,) = open_segments(tmp_path)
    path.unlink()  # as if the power went before the new segment's name was on the disk
    log = reopened(tmp_path, epoch=3, at_ms=START_MS)
    assert (log.epoch, log.latest_at_ms) == (4, START_MS + 100)
    log.close()


def test_a_batch_that_no_record_can_list_is_refused(tmp_path: Path) -> None:
    log = reopened(tmp_path)
    garbage = LogEntry(bytes(32), Verdict.MALFORMED, None)
    for entries, unlisted in (
        ([], []),
        ([garbage] * (MAX_ENTRIES + 1), []),
        ([garbage], [Tally(Verdict.MALFORMED, 1)] * 65),
        ([garbage], [Tally(Verdict.ACCEPTED, 1)]),
    ):
        with pytest.raises(ValueError, match=r"batch|more than|listed"):
            log.append_batch(entries, unlisted, received_at_ms=START_MS)
    ref = log.append_batch([garbage] * MAX_ENTRIES, [Tally(Verdict.MALFORMED, 9)] * 64, received_at_ms=START_MS)
    log.close()
    assert batches(tmp_path) == [ref.batch]


def test_an_entry_carries_its_block_exactly_if_it_is_kept() -> None:
    with pytest.raises(ValueError, match="must be kept"):
        LogEntry(bytes(32), Verdict.ACCEPTED, None)
    with pytest.raises(ValueError, match="must not be kept"):
        LogEntry(bytes(32), Verdict.DUPLICATE, b"block")


# Who may write


def test_a_second_writer_is_turned_away(tmp_path: Path) -> None:
    log = reopened(tmp_path)
    with pytest.raises(LogError, match="another hub writes"):
        reopened(tmp_path)
    log.close()
    reopened(tmp_path).close()


def test_a_closed_log_says_that_it_is_closed(tmp_path: Path) -> None:
    log = reopened(tmp_path)
    log.close()
    log.close()
    with pytest.raises(LogError, match="closed"):
        log.append_notice(BEACON, made_at_ms=START_MS, relayed_at_ms=START_MS)


@pytest.mark.parametrize("seal_it", [False, True], ids=["open", "sealed"])
def test_the_log_of_another_key_or_network_is_left_alone(tmp_path: Path, seal_it: bool) -> None:  # noqa: FBT001
    small_log(tmp_path)
    if seal_it:
        log = reopened(tmp_path)
        log.roll(epoch=1, sealed_at_ms=START_MS)
        log.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for terms in (LogTerms(NETWORK, KeyPair(bytes(32)), POLICY), LogTerms("other-net", HUB, POLICY)):
        with pytest.raises(LogError, match=r"this hub's key|network 'test-net'"):
            reopened(tmp_path, terms=terms)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# Power cuts


@pytest.mark.usefixtures("unflushed")
def test_a_cut_at_any_byte_keeps_every_acknowledged_batch_and_no_part_of_another(tmp_path: Path) -> None:
    path, refs, sizes = small_log(tmp_path / "whole")
    content = path.read_bytes()
    assert sizes[-1] == len(content)
    torn = tmp_path / "torn"
    torn.mkdir()
    for length in range(len(content) + 1):
        (torn / path.name).write_bytes(content[:length])
        log = reopened(torn)
        acknowledged = sum(size <= length for size in sizes[2:])
        assert batches(torn) == [ref.batch for ref in refs[:acknowledged]], length
        whole_bytes = max((size for size in sizes if size <= length), default=0)
        assert (log.repair is None) == (whole_bytes == length)
        if log.repair is not None:
            assert (log.repair.kept_bytes, log.repair.cut_bytes) == (whole_bytes, length - whole_bytes)
            assert log.repair.set_aside is None
        follows = log.append_batch([LogEntry(bytes(32), Verdict.MALFORMED, None)], received_at_ms=UnixMs(START_MS + 9))
        assert follows.batch == acknowledged + 1
        log.close()
        assert batches(torn) == list(range(1, acknowledged + 2))
        (torn / path.name).unlink()


def test_zeros_where_the_last_write_should_be_are_cut_off(tmp_path: Path) -> None:
    path, refs, _ = small_log(tmp_path)
    with path.open("ab") as stream:
        stream.write(bytes(4096))
    log = reopened(tmp_path)
    assert log.repair is not None
    assert log.repair.cut_bytes == 4096
    log.close()
    assert batches(tmp_path) == [ref.batch for ref in refs]


def test_a_commit_mark_without_its_blocks_is_cut_off_and_set_aside(tmp_path: Path) -> None:
    path, refs, sizes = small_log(tmp_path)
    content = bytearray(path.read_bytes())
    content[sizes[-2] : sizes[-2] + 64] = bytes(64)  # the first page of the last write never reached the disk
    path.write_bytes(content)
    log = reopened(tmp_path)
    log.close()
    assert log.repair is not None
    assert log.repair.set_aside is not None
    assert log.repair.set_aside.read_bytes() == content[sizes[-2] :]
    assert batches(tmp_path) == [ref.batch for ref in refs[:-1]]


def test_damage_to_acknowledged_bytes_stops_the_start_and_changes_nothing(tmp_path: Path) -> None:
    path, refs, sizes = small_log(tmp_path)
    content = path.read_bytes()
    for offset in range(sizes[-2]):  # all before the last write
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 0x10]) + content[offset + 1 :])
        with pytest.raises(CorruptSegmentError):
            reopened(tmp_path)
    path.write_bytes(content)
    reopened(tmp_path).close()
    assert batches(tmp_path) == [ref.batch for ref in refs]


@pytest.mark.parametrize("stage", ["sealed", "renamed", "next began"])
def test_a_roll_that_was_cut_off_is_finished(tmp_path: Path, stage: str) -> None:
    path, refs, _ = small_log(tmp_path)
    log = reopened(tmp_path)
    sealed = log.roll(epoch=2, sealed_at_ms=UnixMs(START_MS + 5))
    log.close()
    (following,) = open_segments(tmp_path)
    if stage == "next began":
        following.write_bytes(following.read_bytes()[:40])
    else:
        following.unlink()
    if stage == "sealed":
        sealed.path.rename(path)
    log = reopened(tmp_path, epoch=3, at_ms=START_MS + 6)
    assert (log.segment, log.epoch) == (2, 3)
    log.close()
    assert batches(tmp_path) == [ref.batch for ref in refs]
    assert sealed_segments(tmp_path) == [sealed.path]


def test_two_open_segments_are_not_one_log(tmp_path: Path) -> None:
    path, _, _ = small_log(tmp_path)
    shutil.copyfile(path, path.with_name("segment-00000002.car.open"))
    with pytest.raises(CorruptSegmentError, match="more than one"):
        reopened(tmp_path)


# Sealed for ever


def test_a_sealed_segment_shows_every_flipped_byte(tmp_path: Path) -> None:
    small_log(tmp_path)
    log = reopened(tmp_path)
    path = log.roll(epoch=2, sealed_at_ms=START_MS).path
    log.close()
    content = path.read_bytes()
    changed = tmp_path / "changed" / path.name
    changed.parent.mkdir()
    for offset in range(len(content)):
        changed.write_bytes(content[:offset] + bytes([content[offset] ^ 0x01]) + content[offset + 1 :])
        with pytest.raises(CorruptSegmentError):
            list(read_segment(changed, HUB.public_key))


def test_a_sealed_segment_shows_every_cut_and_every_addition(tmp_path: Path) -> None:
    small_log(tmp_path)
    log = reopened(tmp_path)
    path = log.roll(epoch=2, sealed_at_ms=START_MS).path
    log.close()
    content = path.read_bytes()
    changed = tmp_path / "changed" / path.name
    changed.parent.mkdir()
    for other in (*(content[:length] for length in range(len(content))), content + b"\x00", content + content[60:]):
        changed.write_bytes(other)
        with pytest.raises(CorruptSegmentError):
            list(read_segment(changed, HUB.public_key))


def test_segments_left_out_or_swapped_are_noticed(tmp_path: Path) -> None:
    hub = StoryHub(tmp_path)
    for epoch in (2, 3, 4):
        hub.take(StoryDevice(epoch).enrollment())
        hub.log.roll(epoch=epoch, sealed_at_ms=START_MS)
    hub.log.close()
    first, second, third = sealed_segments(tmp_path)
    assert len(list(read_log([first, second, third], HUB.public_key))) == 9
    for order in ([first, third], [second, first], [first, first]):
        with pytest.raises(CorruptSegmentError):
            list(read_log(order, HUB.public_key))


# Full disks


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Limit how long a file may grow: the system then really refuses to write on, half-way through a write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size_bytes: resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_refused_half_way_is_taken_back_and_can_be_tried_again(
    tmp_path: Path, file_limit: Callable[[int], None]
) -> None:
    hub, device = StoryHub(tmp_path), StoryDevice(1)
    hub.take(device.enrollment())
    whole = open_segments(tmp_path)[0].read_bytes()
    file_limit(len(whole) + 100)
    entry = LogEntry(bytes(32), Verdict.MALFORMED, None)
    for _ in range(2):
        with pytest.raises(LogError, match="free some space"):
            hub.log.append_batch([entry], received_at_ms=START_MS)
        assert open_segments(tmp_path)[0].read_bytes() == whole
    file_limit(1 << 20)
    assert hub.log.append_batch([entry], received_at_ms=START_MS).batch == 2
    hub.log.close()
    assert batches(tmp_path) == [1, 2]


def test_a_refused_flush_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = StoryHub(tmp_path)
    hub.take(StoryDevice(1).enrollment())
    whole = open_segments(tmp_path)[0].read_bytes()
    really_sync, refusals = files.sync_file, [1]

    def sync(descriptor: int) -> None:
        if refusals:
            refusals.pop()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        really_sync(descriptor)

    monkeypatch.setattr(files, "sync_file", sync)
    with pytest.raises(LogError, match="No space left on device"):
        hub.take(StoryDevice(2).enrollment())
    assert open_segments(tmp_path)[0].read_bytes() == whole
    hub.take(StoryDevice(3).enrollment())
    hub.log.close()
    assert batches(tmp_path) == [1, 2]


def test_a_disk_that_refuses_everything_closes_the_log_and_the_next_start_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = StoryHub(tmp_path)
    hub.take(StoryDevice(1).enrollment())

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(files, "sync_file", refuse)
        with pytest.raises(LogError, match="start the hub again"):
            hub.take(StoryDevice(2).enrollment())
        with pytest.raises(LogError, match="closed"):
            hub.take(StoryDevice(2).enrollment())
    hub.log.close()
    hub = StoryHub(tmp_path)
    hub.take(StoryDevice(3).enrollment())
    hub.log.close()
    assert batches(tmp_path) == [1, 2]


def test_a_new_segment_that_does_not_fit_leaves_a_log_that_opens(
    tmp_path: Path, file_limit: Callable[[int], None]
) -> None:
    hub = StoryHub(tmp_path)
    hub.take(StoryDevice(1).enrollment())
    file_limit(100)
    hub.log.close()
    with pytest.raises(LogError, match="cannot open the log"):
        reopened(tmp_path / "other")
    file_limit(1 << 20)
    log = reopened(tmp_path / "other")
    assert log.segment == 1
    log.close()
