"""`init`, `id`, `adopt`, `adopt-for`, `rotate-key`: what they print, where, and what they refuse in a sentence."""

import io
import stat
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cli import main
from edge.keeping.sequence import SequenceLedger, read_ledger
from edge.owning.adoption import Adoption, owner_of
from edge.owning.identity import load_key_file
from edge.place import ADOPTION_FILE, KEY_FILE, OWNER_FILE, RETIRED_FOLDER, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE, SettingsError, load_settings, settings_of
from protocol.adoption import AdoptionLink, short_code
from tests.support.edge_story import NETWORK, OWNER, key_pair
from tests.support.edge_tokens import PIN, soft_token
from tests.support.qr_reading import read_code

HUB = key_pair("hub").public_key
COMMANDS = ("id", "adopt", "adopt-for", "rotate-key")
ANOTHER = "0x" + "cd" * 20


def init(directory: Path, *more: str) -> int:
    words = f"--network {NETWORK} --hub-key {HUB.did} --broker-host 127.0.0.1 --lat -33.8 --lon 151.2"
    return main(["init", "--dir", str(directory), *words.split(), *more])


def run(directory: Path, command: str, *more: str) -> int:
    return main([command, "--dir", str(directory), *more])


def link_of(directory: Path) -> AdoptionLink | None:
    device = load_key_file(directory / KEY_FILE).public_key
    return Adoption.open(directory, network=NETWORK, device=device).link


def read_picture(path: Path) -> str:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    return read_code(np.asarray(picture, np.uint8))


def read_terminal(lines: list[str]) -> str:
    """Read the QR code as a telephone would, from the half blocks of the terminal."""
    tops, bottoms = {"█": 1, "▀": 1, "▄": 0, " ": 0}, {"█": 1, "▀": 0, "▄": 1, " ": 0}
    rows = [[half[character] for character in line] for line in lines for half in (tops, bottoms)]
    width = max(len(row) for row in rows)
    bits = np.array([row + [0] * (width - len(row)) for row in rows], dtype=np.uint8)
    picture = np.kron(bits * 255, np.ones((6, 6), dtype=np.uint8))  # a lit block is white on a dark terminal
    return read_code(np.asarray(picture, np.uint8))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "Example: cairn-edge" in capsys.readouterr().out


def test_init_without_an_owner_shows_the_link_that_adopts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, picture = tmp_path / "door", tmp_path / "label.png"
    assert init(home, "--qr-file", str(picture)) == 0
    said = capsys.readouterr()
    device = load_key_file(home / KEY_FILE).public_key
    link = link_of(home)
    assert link is not None
    assert said.out == device.did + "\n"
    assert f"Short code: {short_code(device)}" in said.err
    text = link.text("")
    assert text in said.err
    assert read_picture(picture) == text
    assert read_terminal([line for line in said.err.splitlines() if line and set(line) <= set("█▀▄ ")]) == text
    assert AdoptionLink.parse(text) == ("", link)
    for private in (picture, home / ADOPTION_FILE):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert owner_of(home, load_settings(home, {})) is None
    assert (home / KEY_FILE).read_text().strip() not in said.out + said.err


def test_init_with_an_owner_makes_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "label.png"
    assert init(tmp_path / "door", "--owner", OWNER, "--qr-file", str(picture)) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0] == read_picture(picture)
    assert "secret" not in said.err
    assert not (tmp_path / "door" / ADOPTION_FILE).exists()


def test_id_says_it_all_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home, picture = tmp_path / "door", tmp_path / "again.svg"
    init(home)
    before = capsys.readouterr()
    assert run(home, "id", "--qr-file", str(picture)) == 0
    said = capsys.readouterr()
    device = load_key_file(home / KEY_FILE).public_key
    assert said.out.splitlines() == [device.did, short_code(device)]
    link = link_of(home)
    assert link is not None
    assert link.text("") in said.err
    assert link.text("") in before.err
    assert "<svg" in picture.read_text()
    assert run(home, "id", "--qr-file", str(picture)) == 1
    assert "is there already" in capsys.readouterr().err


def test_a_new_secret_makes_the_old_label_worthless(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    before = link_of(tmp_path)
    assert run(tmp_path, "id", "--new-secret") == 0
    assert link_of(tmp_path) != before
    run(tmp_path, "adopt", "--owner", OWNER)
    assert run(tmp_path, "id", "--new-secret") == 1
    assert "belongs to" in capsys.readouterr().err


def test_adopt_at_the_console_needs_no_hub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path)
    settings_before = (tmp_path / SETTINGS_FILE).read_bytes()
    assert run(tmp_path, "adopt", "--owner", OWNER) == 0
    assert run(tmp_path, "adopt", "--owner", OWNER) == 0
    assert owner_of(tmp_path, load_settings(tmp_path, {})) == bytes.fromhex(OWNER[2:])
    assert (tmp_path / SETTINGS_FILE).read_bytes() == settings_before
    assert not (tmp_path / ADOPTION_FILE).exists()
    capsys.readouterr()
    assert run(tmp_path, "adopt", "--owner", ANOTHER) == 1
    assert "--replace" in capsys.readouterr().err
    assert run(tmp_path, "adopt", "--owner", ANOTHER, "--replace") == 0
    assert owner_of(tmp_path, load_settings(tmp_path, {})) == bytes.fromhex(ANOTHER[2:])


def test_adopt_says_where_else_an_owner_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path, "--owner", OWNER)
    assert run(tmp_path, "adopt", "--owner", ANOTHER) == 1
    assert "the settings name the owner" in capsys.readouterr().err
    assert not (tmp_path / OWNER_FILE).exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["adopt-for", "http://hub/adopt#x", "--owner", OWNER], "copy the whole link"),
        (["adopt-for", "-", "--owner", "me"], "is not an account"),
        (["adopt-for", "-", "--owner", OWNER], "names no hub"),
    ],
)
def test_adopt_for_with_a_mistake_is_one_sentence(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = AdoptionLink(key_pair("device").public_key, NETWORK, b"\x5e" * 16)
    monkeypatch.setattr("sys.stdin", io.StringIO(link.text("") + "\n"))
    assert main(words) == 1
    said = capsys.readouterr()
    assert complaint in said.err
    assert said.err.count("\n") == 1
    assert "5e5e" not in said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--key-module", "/m.so", "--key-token", "t"], "either pin_file or pin_variable"),
        (["--key-module", "/m.so", "--key-pin-file", "f"], "needs module, token and label"),
        (["--key-module", "/m.so", "--key-token", "t", "--key-pin-variable", "CAIRN_EDGE_PIN"], "take a name like"),
        (["--qr-file", "label.jpg"], "neither .svg nor .png"),
    ],
)
def test_init_with_a_mistake_about_its_key_is_a_sentence(
    tmp_path: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "door", *words) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "door").exists()


def test_an_owner_in_the_settings_may_be_left_out_but_not_be_nonsense() -> None:
    tables: dict[str, object] = {
        "network": NETWORK,
        "hub": HUB.did,
        "broker": {"host": "h"},
        "position": {"lat_udeg": 0, "lon_udeg": 0},
    }
    assert settings_of(tables, {}, origin="t").owner == ""
    with pytest.raises(SettingsError, match="no owner yet"):
        settings_of(tables, {}, origin="t").owner_address()
    with pytest.raises(SettingsError, match="is not an account"):
        settings_of({**tables, "owner": "0x1"}, {}, origin="t")
    named = settings_of(tables, {"CAIRN_EDGE_KEY_SOURCE": "file", "CAIRN_EDGE_BOOTS_EVERY": "5"}, origin="t")
    assert named.boots.every == 5


def test_a_device_may_keep_its_key_in_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with soft_token(tmp_path / "hsm") as token:
        home = tmp_path / "door"
        assert init(home, "--owner", OWNER, *token.words()) == 0
        made = capsys.readouterr()
        assert not (home / KEY_FILE).exists()
        assert read_ledger(home / SEQUENCE_FILE) == (0, 0)
        assert run(home, "id") == 0
        shown = capsys.readouterr()
        assert shown.out.splitlines()[0] == made.out.strip()
        assert PIN not in made.out + made.err + shown.out + shown.err + (home / SETTINGS_FILE).read_text()
        # The same key under another sequence file would use numbers twice.
        assert init(tmp_path / "window", "--owner", OWNER, *token.words()) == 1
        assert "--key-label" in capsys.readouterr().err
        assert init(tmp_path / "window", "--owner", OWNER, *token.words(), "--key-is-unused") == 0
        assert capsys.readouterr().out == made.out


def test_a_token_without_its_binding_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "edge.owning.token_key", None)  # what Python sees where the extra is not installed
    words = ["--key-module", "/m.so", "--key-token", "t", "--key-pin-variable", "CAIRN_PIN"]
    assert init(tmp_path / "door", *words) == 1
    assert "pip install 'cairn-network[hsm]'" in capsys.readouterr().err
    assert not (tmp_path / "door" / SETTINGS_FILE).exists()


def test_a_key_that_never_signed_is_followed_without_a_farewell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    old, link = load_key_file(tmp_path / KEY_FILE).public_key, link_of(tmp_path)
    capsys.readouterr()
    assert run(tmp_path, "rotate-key") == 0
    said = capsys.readouterr()
    new = load_key_file(tmp_path / KEY_FILE).public_key
    assert said.out == new.did + "\n"
    assert new != old
    assert short_code(new) in said.err
    assert "move the bond" in said.err
    assert (tmp_path / RETIRED_FOLDER / f"{old.name}.key").is_file()
    renewed = link_of(tmp_path)
    assert renewed is not None
    assert link is not None
    assert (renewed.secret, renewed.device) == (link.secret, new)  # the label must be printed anew all the same


def test_rotation_stops_where_an_agent_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path, "--owner", OWNER)
    ledger = SequenceLedger.open(tmp_path / SEQUENCE_FILE)
    assert run(tmp_path, "rotate-key") == 1
    assert "another agent is running" in capsys.readouterr().err
    ledger.close()
    assert not (tmp_path / "next").exists()
