"""The hub's commands with addresses that cannot be right: one sentence, no traceback."""

import gc
import os
import socket
from pathlib import Path

import pytest

from hub.broker.address import free_port
from hub.cli import main


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["status", "--http-host", "::1", "--http-port", "1"], "no hub answers at http://[::1]:1/"),
        (["status", "--http-host", "a b", "--http-port", "1"], "no hub answers"),
        (["serve", "--http-port", "0", "--database", "postgresql+psycopg2://u:p@127.0.0.1/x"], "--database"),
        (["serve", "--http-port", "0", "--database", "postgresql+pg8000://u:p@127.0.0.1:abc/x"], "--database"),
        (["serve", "--http-port", "0", "--mqtt-port", "0", "--mqtt-host", "203.0.113.1"], "--mqtt-host"),
    ],
)
def test_a_wrong_address_is_one_sentence(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # pg8000 leaves its socket to the collector
def test_a_database_that_accepts_and_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hub.store.session._CONNECT_WAIT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+pg8000://u:sekret@127.0.0.1:{silent.getsockname()[1]}/x"
        assert main(["serve", "--http-port", "0", "--database", url]) == 1
    said = capsys.readouterr().err
    assert "cannot open the database: timed out" in said
    assert "sekret" not in said
    gc.collect()


def test_a_ready_file_that_cannot_be_written_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    ports = ["--http-port", "0", "--mqtt-port", str(free_port("127.0.0.1"))]
    assert main(["serve", *ports, "--ready-file", "no/such/folder/ready.json"]) == 1
    said = capsys.readouterr().err
    assert "cannot write --ready-file no/such/folder/ready.json" in said
    assert "Traceback" not in said
