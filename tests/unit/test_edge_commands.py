"""The commands: help with an example everywhere, sentences instead of tracebacks, data on stdout alone."""

import stat
from pathlib import Path

import pytest

from edge.cli import main
from edge.keeping.sequence import read_ledger
from edge.owning.identity import load_key_file
from edge.place import KEY_FILE, SEQUENCE_FILE
from edge.settings import DIRECTORY_VARIABLE, SETTINGS_FILE, load_settings
from tests.support.edge_story import NETWORK, OWNER, key_pair

COMMANDS = (
    "",
    "init",
    "run",
    "doctor",
    "replay",
    "model",
    "model add",
    "model list",
    "model test",
    "model verify",
    "model rollback",
    "model keygen",
    "model sign",
)
HUB = key_pair("hub").public_key


def init(directory: Path, *more: str) -> int:
    words = f"--network {NETWORK} --hub-key {HUB.did} --broker-host 127.0.0.1 --owner {OWNER} --lat -33.8 --lon 151.2"
    return main(["init", "--dir", str(directory), *words.split(), *more])


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert "Example: cairn-edge" in capsys.readouterr().out


def test_init_makes_a_device_and_prints_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "new" / "door"
    assert init(home, "--heading", "270.5", "--camera", "street.mp4", "--broker-port", "1999") == 0
    said = capsys.readouterr()
    assert said.out == load_key_file(home / KEY_FILE).public_key.did + "\n"
    assert "cairn-edge run" in said.err
    made = load_settings(home, {})
    assert (made.position.lat_udeg, made.position.lon_udeg, made.position.heading_mdeg) == (
        -33_800_000,
        151_200_000,
        270_500,
    )
    assert (made.camera.source, made.broker.port, made.hub_key()) == ("street.mp4", 1999, HUB)
    assert read_ledger(home / SEQUENCE_FILE) == (0, 0)
    assert stat.S_IMODE((home / KEY_FILE).stat().st_mode) == 0o600


def test_init_never_touches_a_device_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert init(tmp_path) == 1
    assert "is there already" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_init_keeps_a_key_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    (tmp_path / SETTINGS_FILE).unlink()
    assert init(tmp_path) == 0
    first, second = capsys.readouterr().out.split()
    assert first == second


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--owner", "0x12"], "owner"),
        (["--hub-key", "did:key:zzz"], "hub"),
        (["--lat", "north"], "--lat must be a decimal number"),
        (["--lat", "90.1"], "lat_udeg"),
        (["--network", "No Such"], "network"),
        (["--hub", "ftp://hub"], "http://HOST:PORT"),
    ],
)
def test_init_with_a_mistake_is_one_sentence_and_makes_nothing(
    tmp_path: Path, more: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "door"
    assert init(home, *more) == 1
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.startswith("cairn-edge: ")
    assert said.err.count("\n") == 1
    assert not home.exists()


def test_init_without_a_hub_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--dir", str(tmp_path), "--owner", OWNER, "--lat", "1", "--lon", "2"]) == 1
    assert "--hub http://HOST:PORT" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "doctor"])
def test_without_a_device_the_sentence_names_init(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--dir", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "cairn-edge init" in said.out + said.err


def test_doctor_says_one_thing_where_there_is_no_device_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--dir", str(tmp_path / "nowhere")]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "there is no device in" in line
    assert "cairn-edge init" in line


def test_a_typo_in_the_environment_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(tmp_path))
    monkeypatch.setenv("CAIRN_EDGE_BROKER_HOTS", "h")
    assert main(["run"]) == 1
    assert "CAIRN_EDGE_BROKER_HOTS" in capsys.readouterr().err


def test_replay_without_its_video_or_model_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "nowhere.mp4", "--dir", str(tmp_path), "--model", "nowhere.onnx"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "nowhere.onnx" in said.err


def test_an_unknown_model_names_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "add", "yolo-unknown", "--dir", str(tmp_path)]) == 1
    assert "yolox-nano" in capsys.readouterr().err
    assert main(["model", "list", "--dir", str(tmp_path)]) == 0
