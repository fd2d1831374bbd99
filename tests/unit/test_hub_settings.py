"""Settings and the hub's folder: a mistake stops the start with a sentence, never later and never in silence."""

import json
import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from hub.cli import main
from hub.home import Genesis, HomeError, HubHome
from hub.settings import HubSettings
from protocol.units import UnixMs

GENESIS = Genesis("my-town", UnixMs(1_800_000_000_000), 60_000)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("HUB_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_run_on_one_machine() -> None:
    settings = HubSettings()
    assert settings.mqtt_host == settings.http_host == "127.0.0.1"
    assert settings.database_url is None
    assert settings.broker_url is None


def test_the_environment_sets_and_a_flag_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_EPOCH_SECONDS", "60")
    monkeypatch.setenv("HUB_NETWORK", "from-env")
    assert HubSettings().epoch_seconds == 60
    assert HubSettings(epoch_seconds=30).epoch_seconds == 30
    assert HubSettings().network == "from-env"


def test_a_typo_in_the_environment_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HUB_EPOCH_SECOND", "60")
    with pytest.raises(ValidationError, match="HUB_EPOCH_SECOND"):
        HubSettings()
    assert main(["replay", "1"]) == 1
    said = capsys.readouterr()
    assert "HUB_EPOCH_SECOND" in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--http-port", "70000"),
        ("--network", "My Town"),
        ("--epoch-seconds", "0"),
        ("--max-clock-skew-seconds", "-1"),
        ("--genesis-ms", "tomorrow"),
    ],
)
def test_a_value_out_of_range_is_one_sentence(flag: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", flag, value]) == 1
    said = capsys.readouterr().err
    assert flag.removeprefix("--").replace("-", "_") in said
    assert said.count("\n") == 1


def test_settings_keep_secrets_to_themselves_and_never_change() -> None:
    settings = HubSettings(database_url=SecretStr("postgresql+pg8000://hub:hunter2@db/cairn"))
    assert "hunter2" not in repr(settings)
    with pytest.raises(ValidationError):
        settings.network = "other"


def test_init_makes_a_key_only_its_owner_can_read_and_says_who_the_hub_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "--data", str(tmp_path / "hub"), "--network", "my-town", "--epoch-seconds", "60"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["network"] == "my-town"
    assert said["epoch_ms"] == 60_000
    assert said["hub"].startswith("did:key:z6Mk")
    assert stat.S_IMODE((tmp_path / "hub" / "hub.key").stat().st_mode) == 0o600
    assert main(["init", "--data", str(tmp_path / "hub")]) == 0
    assert json.loads(capsys.readouterr().out) == said  # once set up, it stays what it is


def test_a_hub_of_another_network_is_not_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--data", str(tmp_path), "--network", "my-town"]) == 0
    capsys.readouterr()
    assert main(["init", "--data", str(tmp_path), "--network", "your-town"]) == 1
    assert "my-town" in capsys.readouterr().err


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    home = HubHome(tmp_path)
    home.found(GENESIS)
    (tmp_path / "hub.key").chmod(0o644)
    with pytest.raises(HomeError, match="chmod 600"):
        home.signer()


@pytest.mark.parametrize("content", ["", "zz", "00" * 31, "00" * 33])
def test_a_damaged_key_is_refused(tmp_path: Path, content: str) -> None:
    home = HubHome(tmp_path)
    home.found(GENESIS)
    (tmp_path / "hub.key").write_text(content)
    with pytest.raises(HomeError, match="copy"):
        home.signer()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"network": "x", "genesis_ms": "a", "epoch_ms": 1}'])
def test_a_damaged_genesis_is_refused(tmp_path: Path, content: str) -> None:
    home = HubHome(tmp_path)
    home.found(GENESIS)
    (tmp_path / "genesis.json").write_text(content)
    with pytest.raises(HomeError, match="damaged"):
        home.genesis()


def test_a_folder_that_was_never_set_up_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "1", "--data", str(tmp_path)]) == 1
    assert "cairn-hub init" in capsys.readouterr().err


def test_founding_twice_keeps_the_key(tmp_path: Path) -> None:
    home = HubHome(tmp_path)
    home.found(GENESIS)
    before = home.signer().public_key
    home.found(GENESIS)
    assert home.signer().public_key == before
    assert "seed" not in repr(home.signer())


@pytest.mark.parametrize("command", ["init", "serve", "replay", "reindex", "status", "check"])
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"Example: cairn-hub {command}" in capsys.readouterr().out
