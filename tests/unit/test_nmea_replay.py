"""A receiver's log, offline: what it holds, and what of it a device would tell."""

import json
from pathlib import Path

import pytest

from edge.cli import main
from edge.sensors.replaying import replay_nmea
from edge.sensors.sensor import SensorError
from protocol.identity import KeyPair
from tests.support.edge_story import make_device
from tests.support.sensor_story import burst, no_fix_burst


def log_of(folder: Path, *words: bytes) -> Path:
    path = folder / "walk.nmea"
    path.write_bytes(b"".join(words))
    return path


def test_a_walk_is_told_from_its_first_fix_to_its_last(tmp_path: Path) -> None:
    walk = [burst(f"1200{second:02}.00", lat=52_520_008 + second * 10) for second in range(20)]
    told = replay_nmea(log_of(tmp_path, no_fix_burst("115959.00"), *walk, b"$GPGGA,half a sent"), None)
    assert (told["fixes"], told["rolled_over"]) == (20, 0)
    first, last = told["first"], told["last"]
    assert isinstance(first, dict)
    assert isinstance(last, dict)
    assert (first["lat_udeg"], last["lat_udeg"]) == (52_520_008, 52_520_198)
    assert last["time_ms"] - first["time_ms"] == 19_000
    assert "good" not in told


def test_a_device_says_how_many_it_would_believe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hub = KeyPair(b"\x01" * 32).public_key
    position = {"lat_udeg": 0, "lon_udeg": 0, "source": "gnss", "gnss_min_satellites": 60}
    make_device(tmp_path / "device", hub=hub, port=1, position=position)
    log = log_of(tmp_path, burst("120000.00"), burst("120001.00"))
    assert main(["replay", "--nmea", str(log), "--dir", str(tmp_path / "device")]) == 0
    told = json.loads(capsys.readouterr().out)["gnss"]
    assert (told["fixes"], told["good"]) == (2, 0)


@pytest.mark.parametrize("words", [b"", b"\x00\xff" * 500, b"$GPGGA,wrong*00\r\n"])
def test_what_is_no_log_is_one_sentence(tmp_path: Path, words: bytes) -> None:
    with pytest.raises(SensorError, match="no NMEA sentence"):
        replay_nmea(log_of(tmp_path, words), None)


def test_a_log_that_is_not_there_and_nothing_at_all_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", "--nmea", str(tmp_path / "none"), "--dir", str(tmp_path)]) == 1
    assert main(["replay", "--dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert "name a VIDEO" in said
    assert "Traceback" not in said
