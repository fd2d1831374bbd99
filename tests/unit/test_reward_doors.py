"""The doors of the reward room: settings, keys, deployment file, command line, shelf. A mistake gets one sentence."""

import argparse
import json
from pathlib import Path

import pytest
from eth_account import Account
from pydantic import ValidationError

from protocol.cid import Cid
from protocol.claim import Claim
from protocol.units import Wei
from rewards.deployment import Deployment, DeploymentError, load_deployment, save_deployment
from rewards.domain.report import EpochReport, Ledger
from rewards.domain.reportblocks import report_blocks
from rewards.keys import KeyFileError, parse_key, read_key, write_key
from rewards.parser import build_parser
from rewards.settings import RewardsSettings
from rewards.shelf import ReportShelf, ShelfError

CONTRACT = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
KEY = "11" * 32


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("REWARDS_")]:
        monkeypatch.delenv(name)


def test_a_mistyped_setting_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDS_HUBB", "http://127.0.0.1:1")
    with pytest.raises(ValidationError, match="unknown settings in the environment: REWARDS_HUBB"):
        RewardsSettings()


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REWARDS_KEY", KEY)
    monkeypatch.setenv("REWARDS_RPC", "https://node.example/token-of-mine")
    shown = repr(RewardsSettings())
    assert KEY not in shown
    assert "token-of-mine" not in shown


def test_a_key_goes_into_a_file_only_its_owner_can_read_and_comes_back(tmp_path: Path) -> None:
    account = Account.from_key("0x" + KEY)
    path = tmp_path / "keys" / "mine.key"
    write_key(path, account)
    write_key(path, account)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key(path).address == account.address
    with pytest.raises(KeyFileError, match="holds another key"):
        write_key(path, Account.from_key("0x" + "22" * 32))


def test_a_key_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "open.key"
    path.write_text(KEY)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        read_key(path)


@pytest.mark.parametrize("text", ["", "11" * 31, "11" * 33, "zz" * 32, "00" * 32, "ff" * 32])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(KeyFileError, match="64 hex digits") as caught:
        parse_key(text, source="the file")
    assert not text or text not in f"{caught.value}{caught.value.__cause__}"


def test_a_deployment_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deployment.json"
    save_deployment(path, Deployment(31_337, CONTRACT, CONTRACT, 5))
    assert load_deployment(path) == Deployment(31_337, CONTRACT, CONTRACT, 5)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", json.dumps({"chain_id": "x", "contract": CONTRACT, "token": CONTRACT, "deployed_block": 1})],
)
def test_what_is_no_deployment_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "deployment.json"
    path.write_text(text)
    with pytest.raises(DeploymentError, match="is no deployment file"):
        load_deployment(path)


def test_a_mistyped_contract_address_is_refused() -> None:
    with pytest.raises(DeploymentError, match="valid checksum"):
        Deployment(1, CONTRACT.replace("e7f1", "E7f1"), CONTRACT, 0)


@pytest.mark.parametrize(
    ("text", "wei"), [("1", 10**18), ("2.5", 25 * 10**17), ("0.000000000000000001", 1), ("1e3", 10**21)]
)
def test_an_amount_in_tokens_is_exact(text: str, wei: int) -> None:
    assert build_parser().parse_args(["fund", "--amount", text]).amount_wei == wei


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fund", "--amount", "0.0000000000000000001"], "at most 18 decimals"),
        (["fund", "--amount", "NaN"], "above zero"),
        (["fund", "--amount", "-1"], "above zero"),
        (["fund", "--amount", "much"], "such as 2.5"),
        (["fund", "--amount-wei", "1.5"], "whole number of wei"),
        (["fund", "--amount-wei", "0"], "above zero"),
        (["fund"], "required"),
        (["prove", "--account", "0x12"], "40 hex digits"),
        (["prove", "--account", CONTRACT.replace("e7f1", "E7f1")], "checksum is wrong"),
        (["audit", "one"], "invalid int"),
    ],
)
def test_a_mistyped_word_is_refused_with_a_sentence(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args(words)
    assert left.value.code == 2
    assert says in capsys.readouterr().err


def _every_command(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    below = [command for action in inner for command in action.choices.values()]
    return [parser, *(command for one in below for command in _every_command(one))]


def test_every_command_has_help_with_an_example() -> None:
    commands = _every_command(build_parser())
    assert len(commands) == 14
    for command in commands:
        assert "Example: cairn-rewards" in " ".join(command.format_help().split())


def _report(epoch: int, earned_wei: int) -> EpochReport:
    return EpochReport(
        network="bottle",
        epoch=epoch,
        ruleset="cairn-1",
        manifest=Cid.of(b"manifest"),
        previous=None,
        ledger=Ledger(31_337, bytes(20), 1),
        pool_wei=Wei(5),
        unallocated_wei=Wei(5),
        lines=(),
        bonds=(),
        enrollments=(),
        accounts=(Claim(b"\x01" * 20, Wei(earned_wei)),),
    )


def test_reports_are_found_again_by_epoch_and_by_block_after_a_restart(tmp_path: Path) -> None:
    ReportShelf(tmp_path).put(_report(1, 7))
    ReportShelf(tmp_path).put(_report(2, 9))
    ReportShelf(tmp_path).put(_report(2, 10))
    shelf = ReportShelf(tmp_path)
    assert shelf.epochs() == (1, 2)
    assert shelf.report(2) == _report(2, 10)
    for block in report_blocks(_report(1, 7)):
        assert shelf.block(Cid.of(block)) == block
    assert shelf.block(Cid.of(b"nothing")) is None


def test_a_damaged_report_file_is_as_good_as_none(tmp_path: Path) -> None:
    shelf = ReportShelf(tmp_path)
    shelf.put(_report(1, 7))
    (path,) = tmp_path.glob("*.car")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"\x00")
    with pytest.raises(ShelfError, match="delete it"):
        shelf.block(Cid.of(report_blocks(_report(1, 7))[-1]))
    for length in range(0, len(whole), 17):
        path.write_bytes(whole[:length])
        assert ReportShelf(tmp_path).epochs() == ()
