"""Sequence numbers: exact after a clean stop, above everything after a crash, one agent at a time."""

import shutil
from pathlib import Path

import pytest

from edge.keeping.sequence import BLOCK, SequenceError, SequenceLedger, read_ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "sequence.json"
    SequenceLedger.create(path)
    return path


def taken(path: Path, count: int) -> list[int]:
    ledger = SequenceLedger.open(path)
    numbers = [ledger.take() for _ in range(count)]
    ledger.close()
    return numbers


def test_numbers_begin_at_one_and_go_on_exactly_after_a_clean_stop(path: Path) -> None:
    assert taken(path, 3) == [1, 2, 3]
    assert taken(path, BLOCK + 1) == list(range(4, BLOCK + 5))
    assert taken(path, 1) == [BLOCK + 5]


def test_every_start_is_counted(path: Path) -> None:
    boots = []
    for _ in range(3):
        ledger = SequenceLedger.open(path)
        boots.append(ledger.boot)
        ledger.close()
    assert boots == [1, 2, 3]


@pytest.mark.parametrize("used", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_after_a_crash_no_number_that_may_have_been_used_comes_again(path: Path, tmp_path: Path, used: int) -> None:
    ledger = SequenceLedger.open(path)
    numbers = [ledger.take() for _ in range(used)]
    crashed = tmp_path / "crashed" / path.name
    crashed.parent.mkdir()
    shutil.copy(path, crashed)  # what the disk holds at the moment of the crash
    ledger.close()
    (again,) = taken(crashed, 1)
    assert numbers[-1] < again <= numbers[-1] + BLOCK


def test_a_crash_before_the_first_number_leaves_no_gap(path: Path, tmp_path: Path) -> None:
    ledger = SequenceLedger.open(path)
    crashed = tmp_path / "crashed.json"
    shutil.copy(path, crashed)
    ledger.close()
    assert taken(crashed, 1) == [1]


def test_an_old_copy_of_the_file_is_overruled_by_the_outbox(path: Path) -> None:
    ledger = SequenceLedger.open(path)
    ledger.never_below(500)
    assert ledger.take() == 501
    ledger.close()
    assert taken(path, 1) == [502]


def test_a_second_agent_on_the_same_device_is_refused(path: Path) -> None:
    ledger = SequenceLedger.open(path)
    with pytest.raises(SequenceError, match="another agent"):
        SequenceLedger.open(path)
    ledger.close()
    SequenceLedger.open(path).close()


def test_a_missing_file_is_never_made_up(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="restore it"):
        SequenceLedger.open(tmp_path / "sequence.json")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1,2]", b'{"boot":-1,"used_until":3}', b'{"boot":1,"used_until":2.5}']
)
def test_a_damaged_file_is_never_guessed_at(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(SequenceError, match="restore it"):
        SequenceLedger.open(path)
    path.write_bytes(b'{"boot":1,"used_until":2}')
    SequenceLedger.open(path).close()  # the refusal left no lock behind


def test_an_existing_file_is_not_begun_anew(path: Path) -> None:
    with pytest.raises(SequenceError, match="already exists"):
        SequenceLedger.create(path)


def test_a_disk_that_cannot_be_written_costs_no_number(path: Path) -> None:
    ledger = SequenceLedger.open(path)
    blocked = path.with_name(path.name + ".new")
    blocked.mkdir()  # whoever runs this, a folder cannot be opened for writing
    with pytest.raises(SequenceError, match="cannot write"):
        ledger.take()
    blocked.rmdir()
    assert ledger.take() == 1
    ledger.close()


def test_reading_for_people_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    assert read_ledger(path) == (0, 0)
    assert path.read_bytes() == before
