"""``outbox stats`` and ``outbox export``: what waits, told and carried away, with an agent running or not."""

import base64
import json
from pathlib import Path

import pytest

from edge.cli import main
from protocol.car import read_car
from protocol.enrollment import parse_enrollment
from protocol.envelope import open_envelope
from protocol.topics import parse_intake_topic
from tests.support.edge_story import NETWORK, OWNER, key_pair, make_device
from tests.support.outbox_story import Desk


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_device(tmp_path, hub=key_pair("hub").public_key, port=9)
    return tmp_path


@pytest.mark.parametrize("words", ["outbox stats", "outbox export"])
def test_help_has_an_example(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*words.split(), "--help"])
    assert "Example: cairn-edge outbox" in capsys.readouterr().out


def test_stats_say_what_waits_and_what_was_given_up(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk.open(home)
    desk.sign(2, count=5)
    desk.sign(0, count=70)
    desk.settle(list(desk.lanes[0].waiting(at_most=3)))
    assert main(["outbox", "stats", "--dir", str(home), "--json"]) == 0  # while an agent has it open
    stats = json.loads(capsys.readouterr().out)
    assert stats["waiting_by_class"] == {"record": 0, "track": 63, "event": 0, "reading": 0, "health": 0}
    assert (stats["signed"], stats["released"], stats["given_up"], stats["waiting"]) == (75, 3, 9, 63)
    (gap,) = stats["gaps_to_tell"]
    assert (gap["reason"], gap["envelopes"], gap["observations"]) == ("bytes", 9, 9)
    assert stats["receipts"] == {"accepted": 3}
    assert stats["transactions"] >= 76
    desk.close()
    assert main(["outbox", "stats", "--dir", str(home)]) == 0
    said = capsys.readouterr().out
    assert "63 track" in said
    assert "9 observations, 9 envelopes lost (bytes)" in said


def test_a_car_holds_the_enrollment_and_the_very_bytes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    desk = Desk.open(home)
    signed = desk.sign(count=3)
    file = home / "carried.car"
    assert main(["outbox", "export", str(file), "--dir", str(home)]) == 0
    assert capsys.readouterr().out == "3\n"
    with file.open("rb") as stream:
        car = read_car(stream)
        blocks = list(car)
    assert blocks[0].cid == car.root
    _, enrollment = parse_enrollment(blocks[0].block)
    assert (enrollment.network, enrollment.owner) == (NETWORK, bytes.fromhex(OWNER[2:]))
    assert [each.block for each in blocks[1:]] == [each.block for each in signed]
    assert desk.waiting() == [1, 2, 3]  # they stay
    desk.close()


def test_lines_can_be_published_one_by_one(home: Path) -> None:
    desk = Desk.open(home)
    signed = desk.sign(2, count=2)
    desk.close()
    file = home / "carried.jsonl"
    assert main(["outbox", "export", str(file), "--dir", str(home)]) == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [parse_intake_topic(line["topic"], NETWORK)[0] for line in lines] == ["enroll", "envelope", "envelope"]
    blocks = [base64.b64decode(line["block"]) for line in lines]
    assert blocks[1:] == [each.block for each in signed]
    assert [open_envelope(block)[1].sequence for block in blocks[1:]] == [line["sequence"] for line in lines[1:]]


def test_what_cannot_be_read_or_written_is_a_sentence(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["outbox", "stats", "--dir", str(home)]) == 1
    assert "outbox.db" in capsys.readouterr().err
    Desk.open(home).close()
    assert main(["outbox", "export", str(home / "nowhere" / "x.car"), "--dir", str(home)]) == 1
    assert "choose another place" in capsys.readouterr().err
    (home / "outbox.db").write_bytes(b"no database" * 500)
    assert main(["outbox", "stats", "--dir", str(home)]) == 1
    assert "damaged" in capsys.readouterr().err
