"""Epochs close into manifests, CARs and pins; the same bytes come out again; a crash on the way changes nothing."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub.archive import Archive, ArchiveTerms, EpochRecord
from hub.domain.schedule import EpochSchedule
from hub.domain.standing import MemoryStanding
from hub.judge import standing_before
from hub.log.epochs import ArchiveError, epoch_path, read_manifest, read_verdicts, write_epoch_car
from hub.log.errors import CorruptSegmentError, LogError
from hub.log.files import sealed_segments
from hub.log.reading import read_block, read_log
from hub.pinning.local import LocalPinStore
from hub.pinning.pinner import Pin, PinningError
from protocol.car import read_car
from protocol.cid import CAR, Cid
from protocol.manifest import EpochManifest, verdict_blocks, verdict_pages, verdict_rows
from protocol.piece import Piece, PieceHasher
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import EPOCH_MS, HUB, NETWORK, START_MS, StoryDevice, StoryHub

TERMS = ArchiveTerms(NETWORK, HUB.public_key, EpochSchedule(START_MS, EPOCH_MS))


def archive_in(home: Path) -> Archive:
    return Archive(home / "segments", home / "epochs", LocalPinStore(home / "pins"), TERMS)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Four epochs of a hub's life: two devices in 1 and 2 (two segments), nobody in 3, the hub away in 4."""
    hub = StoryHub(tmp_path / "segments", max_segment_bytes=6_000)
    devices = [StoryDevice(1), StoryDevice(2)]
    hub.relay()
    hub.take(*(device.enrollment() for device in devices))
    hub.take(*(device.envelope() for device in devices), StoryDevice(3).envelope())
    hub.log.roll(epoch=2, sealed_at_ms=UnixMs(START_MS + EPOCH_MS))
    for second in range(4):
        at_ms = START_MS + EPOCH_MS + 1_000 * second
        hub.take(*(device.envelope(at_ms) for device in devices for _ in range(2)), at_ms=at_ms)
    hub.log.roll(epoch=3, sealed_at_ms=UnixMs(START_MS + 2 * EPOCH_MS))
    hub.log.roll(epoch=5, sealed_at_ms=UnixMs(START_MS + 4 * EPOCH_MS))
    yield tmp_path
    hub.log.close()


def close_all(home: Path) -> list[EpochRecord]:
    archive = archive_in(home)
    return [archive.close_epoch(epoch) for epoch in range(1, 5)]


def tree(home: Path, *folders: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(home)): path.read_bytes()
        for folder in folders
        for path in sorted((home / folder).rglob("*"))
        if path.is_file()
    }


def test_epochs_form_a_chain_that_reaches_every_byte(home: Path) -> None:
    records = close_all(home)
    pins = LocalPinStore(home / "pins")
    assert [record.manifest.previous for record in records] == [None, *(record.manifest_cid for record in records[:-1])]
    assert [len(record.segments) for record in records] == [1, 2, 1, 0]
    assert [record.manifest.started_at_ms for record in records] == [START_MS + n * EPOCH_MS for n in range(4)]
    assert records[0].manifest.counts == {"accepted": 4, "unknown_device": 1}
    for record in records:
        stream = pins.open_piece(record.car.piece)
        assert stream is not None
        with stream:
            reader = read_car(stream)
            blocks = {found.cid: found.block for found in reader}
        assert reader.root == record.manifest_cid
        assert EpochManifest.from_block(blocks[record.manifest_cid]) == record.manifest
        epoch, pages = verdict_pages(blocks[record.manifest.verdicts])
        assert epoch == record.epoch
        assert tuple(row for page in pages for row in verdict_rows(blocks[page])) == record.rows
        assert tuple(read_verdicts(epoch_path(home / "epochs", record.epoch))) == record.rows
        assert {Cid.of_digest(place.digest) for place in record.places} == set(blocks)
        for place in record.places:
            assert read_block([home / "segments", home / "epochs"], place) == blocks[Cid.of_digest(place.digest)]


def test_the_pinned_segments_are_the_log(home: Path) -> None:
    records = close_all(home)
    pins = LocalPinStore(home / "pins")
    refs = [ref for record in records for ref in record.manifest.segments]
    for ref, path in zip(refs, sealed_segments(home / "segments"), strict=True):
        stream = pins.open_piece(ref.piece)
        assert stream is not None
        with stream:
            content = stream.read()
        hasher = PieceHasher()
        hasher.update(content)
        assert content == path.read_bytes()
        assert (Piece.of_cid(ref.piece), len(content)) == (hasher.piece(), ref.size_bytes)
        assert ref.car == Cid.of(content, CAR)


def test_replay_gives_the_published_bytes_with_nothing_but_segments(home: Path) -> None:
    records = close_all(home)
    for record in records:
        replay = archive_in(home).replay(record.epoch)
        assert replay.is_same
        assert (replay.computed, replay.computed_verdicts) == (record.manifest_cid, record.manifest.verdicts)


def test_closing_again_finds_everything_done(home: Path) -> None:
    first = close_all(home)
    before = tree(home, "epochs", "pins")
    assert close_all(home) == first
    assert tree(home, "epochs", "pins") == before


def test_a_known_standing_gives_the_same_verdicts_as_reading_the_log_again(home: Path) -> None:
    expected = close_all(home)[1]
    shutil.rmtree(home / "epochs")
    archive = archive_in(home)
    archive.close_epoch(1, MemoryStanding())
    before = standing_before(sealed_segments(home / "segments")[:1], HUB.public_key, NETWORK)
    assert archive.close_epoch(2, before) == expected


def test_an_index_that_knows_too_little_or_too_much_changes_no_verdict(home: Path) -> None:
    expected = close_all(home)[1]
    after = standing_before(sealed_segments(home / "segments"), HUB.public_key, NETWORK)
    for wrong in (MemoryStanding(), after):
        assert archive_in(home).close_epoch(2, wrong) == expected


class _FailingPinStore(LocalPinStore):
    """The real store on a line that breaks after some pins."""

    def __init__(self, directory: Path, pins_before_failure: int) -> None:
        super().__init__(directory)
        self._left = pins_before_failure

    def pin(self, path: Path, *, car: Cid) -> Pin:
        if self._left == 0:
            raise PinningError("the line is down")
        self._left -= 1
        return super().pin(path, car=car)


@pytest.mark.parametrize("pins_before_failure", [0, 1, 2])
def test_a_close_that_broke_off_is_run_again_with_the_same_outcome(
    home: Path, tmp_path_factory: pytest.TempPathFactory, pins_before_failure: int
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(home / "segments", other / "segments")
    archive_in(home).close_epoch(1)
    expected = archive_in(home).close_epoch(2)
    archive_in(other).close_epoch(1)
    failing = _FailingPinStore(other / "pins", pins_before_failure)
    with pytest.raises(PinningError, match="line is down"):
        Archive(other / "segments", other / "epochs", failing, TERMS).close_epoch(2)
    assert archive_in(other).close_epoch(2) == expected
    assert tree(home, "epochs", "pins") == tree(other, "epochs", "pins")


def test_a_half_written_epoch_file_is_written_anew(home: Path) -> None:
    archive = archive_in(home)
    (home / "epochs").mkdir()
    leftover = home / "epochs" / "epoch-00000001.part"
    leftover.write_bytes(b"half")
    leftover.chmod(0o444)
    assert archive.last_closed() == 0
    archive.close_epoch(1)
    assert archive.last_closed() == 1
    assert not leftover.exists()


def test_epochs_close_in_order(home: Path) -> None:
    archive = archive_in(home)
    with pytest.raises(ArchiveError, match=r"epoch-00000001\.car is not here"):
        archive.close_epoch(2)
    with pytest.raises(ArchiveError, match="counted from 1"):
        archive.close_epoch(0)
    with pytest.raises(ArchiveError, match="not here"):
        archive.replay(1)


def test_an_open_epoch_does_not_close(home: Path) -> None:
    close_all(home)
    with pytest.raises(LogError, match="still open"):
        archive_in(home).close_epoch(5)


def test_what_was_published_is_never_replaced(home: Path) -> None:
    close_all(home)
    before = tree(home, "epochs")
    later = ArchiveTerms(NETWORK, HUB.public_key, EpochSchedule(UnixMs(START_MS - 1), EPOCH_MS))
    changed = Archive(home / "segments", home / "epochs", LocalPinStore(home / "pins"), later)
    with pytest.raises(ArchiveError, match="published with other content"):
        changed.close_epoch(1)
    assert tree(home, "epochs") == before
    assert not changed.replay(1).is_same


def test_a_published_verdict_that_the_bytes_do_not_give_shows_in_the_replay(home: Path) -> None:
    """A dishonest hub publishes one better verdict, every hash in order."""
    record = archive_in(home).close_epoch(1)
    better = [replace(row, verdict=Verdict.ACCEPTED) for row in record.rows]
    verdicts = verdict_blocks(1, better)
    path = epoch_path(home / "epochs", 1)
    path.unlink()
    write_epoch_car(path, replace(record.manifest, verdicts=Cid.of(verdicts[-1])).to_block(), verdicts)
    replay = archive_in(home).replay(1)
    assert not replay.is_same
    assert (replay.published_verdicts, replay.computed_verdicts) == (Cid.of(verdicts[-1]), record.manifest.verdicts)


def test_a_damaged_segment_neither_closes_nor_replays(home: Path) -> None:
    archive = archive_in(home)
    archive.close_epoch(1)
    path = sealed_segments(home / "segments")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)
    for act in (archive.close_epoch, archive.replay):
        with pytest.raises(CorruptSegmentError):
            act(1)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"garbage"])
def test_a_damaged_epoch_file_is_said_so(home: Path, content: bytes) -> None:
    archive_in(home).close_epoch(1)
    path = epoch_path(home / "epochs", 1)
    path.unlink()
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"epoch-00000001\.car"):
        read_manifest(path)
    with pytest.raises(ArchiveError, match=r"epoch-00000001\.car"):
        list(read_verdicts(path))


def test_the_whole_log_reads_as_one(home: Path) -> None:
    close_all(home)
    assert len(list(read_log(sealed_segments(home / "segments"), HUB.public_key))) == 15
