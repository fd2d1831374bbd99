"""One suite for every Pinner: what is pinned is what was asked for, once, and can be had back."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hub.pinning.commitment import car_cid
from hub.pinning.local import LocalPinStore
from hub.pinning.memory import MemoryPinStore
from hub.pinning.pinner import Pin, Pinner, PinningError
from protocol.car import car_header, car_section
from protocol.cid import CAR, RAW, Cid
from protocol.errors import MalformedError
from protocol.piece import Piece, PieceHasher

MAKERS: dict[str, Callable[[Path], Pinner]] = {
    "local": lambda folder: LocalPinStore(folder / "pins"),
    "memory": lambda _folder: MemoryPinStore(),
}


@pytest.fixture(params=MAKERS)
def pinner(request: pytest.FixtureRequest, tmp_path: Path) -> Pinner:
    return MAKERS[request.param](tmp_path)


def car_file(folder: Path, name: str = "a.car", *, blocks: int = 3) -> Path:
    content = b"".join(car_section(Cid.of(block, RAW), block) for block in (b"%d" % n * 400 for n in range(blocks)))
    path = folder / name
    path.write_bytes(car_header(Cid.of(b"root", RAW)) + content)
    return path


def test_a_pin_names_exactly_the_bytes_that_come_back(pinner: Pinner, tmp_path: Path) -> None:
    path = car_file(tmp_path)
    content = path.read_bytes()
    pin = pinner.pin(path, car=car_cid(path))
    hasher = PieceHasher()
    hasher.update(content)
    assert pin.car == Cid.of_digest(hashlib.sha256(content).digest(), CAR)
    assert pin.piece == hasher.piece().cid
    assert pin.size_bytes == len(content) == Piece.of_cid(pin.piece).size_bytes
    stream = pinner.open_piece(pin.piece)
    assert stream is not None
    with stream:
        assert stream.read() == content


def test_pinning_twice_is_pinning_once(pinner: Pinner, tmp_path: Path) -> None:
    path, copy = car_file(tmp_path), car_file(tmp_path, "copy.car")
    first = pinner.pin(path, car=car_cid(path))
    assert pinner.pin(path, car=first.car) == first
    assert pinner.pin(copy, car=first.car) == first
    assert list(pinner.pins()) == [first]


def test_what_is_pinned_outlives_the_name_it_came_under(pinner: Pinner, tmp_path: Path) -> None:
    path = car_file(tmp_path)
    content = path.read_bytes()
    pin = pinner.pin(path, car=car_cid(path))
    path.unlink()
    stream = pinner.open_piece(pin.piece)
    assert stream is not None
    with stream:
        assert stream.read() == content


def test_a_pin_is_found_by_either_name(pinner: Pinner, tmp_path: Path) -> None:
    pins = []
    for blocks in (1, 2, 3):
        path = car_file(tmp_path, f"{blocks}.car", blocks=blocks)
        pins.append(pinner.pin(path, car=car_cid(path)))
    for pin in pins:
        assert pinner.find(pin.piece) == pinner.find(pin.car) == pin
    assert list(pinner.pins()) == sorted(pins, key=lambda pin: str(pin.piece))


def test_what_was_never_pinned_is_not_there(pinner: Pinner) -> None:
    hasher = PieceHasher()
    hasher.update(b"never")
    for cid in (hasher.piece().cid, Cid.of(b"never", CAR), Cid.of(b"never")):
        assert pinner.open_piece(cid) is None
        assert pinner.find(cid) is None
    assert list(pinner.pins()) == []


def test_a_file_that_is_not_the_one_asked_for_is_refused(pinner: Pinner, tmp_path: Path) -> None:
    path = car_file(tmp_path)
    good = car_cid(path)
    path.write_bytes(path.read_bytes() + b"\x00")
    with pytest.raises(PinningError, match="asked to pin"):
        pinner.pin(path, car=good)
    assert list(pinner.pins()) == []


def test_a_known_name_does_not_excuse_other_bytes(pinner: Pinner, tmp_path: Path) -> None:
    path, other = car_file(tmp_path), car_file(tmp_path, "other.car", blocks=5)
    pin = pinner.pin(path, car=car_cid(path))
    with pytest.raises(PinningError, match="asked to pin"):
        pinner.pin(other, car=pin.car)


def test_a_file_that_is_not_there_is_said_so(pinner: Pinner, tmp_path: Path) -> None:
    with pytest.raises(PinningError, match=r"cannot pin gone\.car"):
        pinner.pin(tmp_path / "gone.car", car=Cid.of(b"", CAR))


def test_a_pin_that_contradicts_itself_cannot_be(tmp_path: Path) -> None:
    path = car_file(tmp_path)
    pin = MemoryPinStore().pin(path, car=car_cid(path))
    with pytest.raises(MalformedError):
        Pin(pin.piece, pin.car, pin.size_bytes + 1, "here")
    with pytest.raises(MalformedError):
        Pin(pin.piece, pin.piece, pin.size_bytes, "here")


# The local store alone


def test_local_pins_are_there_after_a_restart(tmp_path: Path) -> None:
    path = car_file(tmp_path)
    pin = LocalPinStore(tmp_path / "pins").pin(path, car=car_cid(path))
    assert list(LocalPinStore(tmp_path / "pins").pins()) == [pin]


def test_local_pins_share_the_disk_with_the_file(tmp_path: Path) -> None:
    path = car_file(tmp_path)
    pin = LocalPinStore(tmp_path / "pins").pin(path, car=car_cid(path))
    assert (tmp_path / "pins" / f"{pin.piece}.car").samefile(path)


def test_local_pinning_mends_what_a_crash_left_half_done(tmp_path: Path) -> None:
    path = car_file(tmp_path)
    store = LocalPinStore(tmp_path / "pins")
    pin = store.pin(path, car=car_cid(path))
    (tmp_path / "pins" / f"{pin.piece}.json").unlink()
    assert store.open_piece(pin.piece) is None  # without its record it is no pin yet
    kept = tmp_path / "pins" / f"{pin.piece}.car"
    kept.unlink()
    kept.write_bytes(b"half")
    assert store.pin(path, car=pin.car) == pin
    assert kept.read_bytes() == path.read_bytes()
    assert sorted(left.name for left in (tmp_path / "pins").iterdir()) == sorted([kept.name, f"{pin.piece}.json"])


@pytest.mark.parametrize(
    "record", [b"", b"[]", b"{}", b'{"car": "x", "size_bytes": 1}', b'{"car": 1, "size_bytes": 1}']
)
def test_a_damaged_local_record_is_said_so(tmp_path: Path, record: bytes) -> None:
    path = car_file(tmp_path)
    store = LocalPinStore(tmp_path / "pins")
    pin = store.pin(path, car=car_cid(path))
    kept_record = tmp_path / "pins" / f"{pin.piece}.json"
    assert json.loads(kept_record.read_bytes())["size_bytes"] == pin.size_bytes
    kept_record.write_bytes(record)
    with pytest.raises(PinningError, match="damaged"):
        store.find(pin.piece)


def test_a_stranger_in_the_local_folder_is_named(tmp_path: Path) -> None:
    store = LocalPinStore(tmp_path / "pins")
    (tmp_path / "pins" / "notes.json").write_text("{}")
    with pytest.raises(PinningError, match=r"notes\.json does not belong"):
        list(store.pins())


def test_a_local_folder_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PinningError, match="cannot keep pins"):
        LocalPinStore(tmp_path / "file" / "pins")
