"""One suite for every boot counter: one in a file, and the NV counter of a real TPM 2.0 in software."""

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.owning.anchors import BootPlace
from edge.owning.boots import BootCounter, BootCounterError, FileCounter, TpmCounter, count_boot, open_counter
from tests.support.edge_tokens import soft_tpm

INDEX = 0x018C_A149
Maker = Callable[[], BootCounter]


@contextmanager
def _file(folder: Path) -> Iterator[Maker]:
    yield lambda: FileCounter(folder / "counter")


@contextmanager
def _tpm(folder: Path) -> Iterator[Maker]:
    with soft_tpm(folder / "tpm") as (tcti, environment):
        yield lambda: TpmCounter(index=INDEX, tcti=tcti, environment=environment)


@pytest.fixture(params=[_file, _tpm], ids=["file", "tpm"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    with request.param(tmp_path) as maker:
        yield maker


def test_it_only_goes_up_and_remembers(make: Maker) -> None:
    first = make()
    start = first.read()
    assert first.read() == start
    assert [first.advance(), first.advance()] == [start + 1, start + 2]
    assert make().read() == start + 2


def start_device(counter: BootCounter, folder: Path, file_boot: int, every: int = 1) -> tuple[int, bool]:
    found = count_boot(counter, file_boot=file_boot, every=every, directory=folder)
    return found.boot, found.is_restored


def test_starts_agree_as_long_as_the_disk_is_the_same(make: Maker, tmp_path: Path) -> None:
    counter = make()
    assert [start_device(counter, tmp_path, boot) for boot in (41, 42, 43)] == [(41, False), (42, False), (43, False)]


def test_a_disk_from_an_old_copy_is_noticed_until_it_is_mended(make: Maker, tmp_path: Path) -> None:
    counter = make()
    for boot in (7, 8, 9, 10):
        start_device(counter, tmp_path, boot)
    # The copy was made after the start 8: its file counts 9 once more.
    assert start_device(counter, tmp_path, 9) == (11, True)
    assert start_device(counter, tmp_path, 10) == (12, True)  # nobody raised the file's count
    assert start_device(counter, tmp_path, 13) == (13, False)  # raised to 12, then one start more
    assert start_device(counter, tmp_path, 14) == (14, False)


# What the file, a made-up tool or arithmetic alone can show


@pytest.mark.parametrize("every", [2, 5, 100])
def test_a_counter_that_wears_out_is_advanced_once_in_so_many_starts(tmp_path: Path, every: int) -> None:
    counter = FileCounter(tmp_path / "counter")
    for boot in range(1, 2 * every + 1):
        assert start_device(counter, tmp_path, boot, every) == (boot, False)
    assert counter.read() == 2
    boot, is_restored = start_device(counter, tmp_path, every - 1, every)
    assert is_restored
    assert boot > 2 * every


def test_a_crash_between_file_and_counter_is_no_alarm(tmp_path: Path) -> None:
    counter = FileCounter(tmp_path / "counter")
    start_device(counter, tmp_path, 1)
    # The start 2 was counted by the file alone.
    assert [start_device(counter, tmp_path, boot) for boot in (3, 4, 5)] == [(3, False), (4, False), (5, False)]
    assert start_device(counter, tmp_path, 5)[1]


def test_a_worn_out_counter_and_a_damaged_one_are_sentences(tmp_path: Path) -> None:
    counter = FileCounter(tmp_path / "counter", limit=2)
    counter.advance()
    counter.advance()
    with pytest.raises(BootCounterError, match="has reached its end"):
        counter.advance()
    (tmp_path / "counter").write_text("many")
    with pytest.raises(BootCounterError, match="cannot be read"):
        counter.read()
    (tmp_path / "boots.json").write_text("{}")
    with pytest.raises(BootCounterError, match=r"boots\.json cannot be read"):
        start_device(FileCounter(tmp_path / "other"), tmp_path, 1)


def test_a_tpm_that_is_not_there_is_a_sentence() -> None:
    nowhere = TpmCounter(index=INDEX, tcti="swtpm:host=127.0.0.1,port=9", environment={"PATH": "/usr/bin:/bin"})
    with pytest.raises(BootCounterError, match="tpm2_getcap failed"):
        nowhere.read()
    with pytest.raises(BootCounterError, match="apt install tpm2-tools"):
        TpmCounter(index=INDEX, environment={}, run_tool=_no_such_tool).read()


def test_an_index_that_is_no_counter_is_a_sentence() -> None:
    def run(words: Sequence[str], _environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
        said = b"- 0x18CA149\n" if words[0] == "tpm2_getcap" else b"four"
        return subprocess.CompletedProcess(words, 0, said, b"")

    with pytest.raises(BootCounterError, match="is no counter"):
        TpmCounter(index=INDEX, environment={}, run_tool=run).advance()


def test_settings_name_the_counter(tmp_path: Path) -> None:
    assert open_counter(BootPlace(), {}) is None
    assert isinstance(open_counter(BootPlace(counter="tpm"), {}), TpmCounter)


def _no_such_tool(_words: Sequence[str], _environment: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    raise FileNotFoundError
