"""The key file: made once, private, never shown."""

import stat
from pathlib import Path

import pytest

from edge.owning.identity import KeyFileError, create_key_file, load_key_file


def test_a_new_key_is_private_and_reads_back_as_itself(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    made = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key_file(path).public_key == made.public_key


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "device.key"
    create_key_file(path)
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="already holds a key"):
        create_key_file(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "device.key"
    create_key_file(path)
    path.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load_key_file(path)


@pytest.mark.parametrize("text", ["", "zz" * 32, "ab" * 31, "ab" * 33, "ab" * 400, "\x00\x00"])
def test_what_is_not_a_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "device.key"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(KeyFileError, match="not a key file") as caught:
        load_key_file(path)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_a_missing_key_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cairn-edge init"):
        load_key_file(tmp_path / "device.key")


def test_a_key_in_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="choose a directory"):
        create_key_file(tmp_path / "nowhere" / "device.key")
