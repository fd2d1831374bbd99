"""What people may see of a status: known fields, believed one by one; the hour on the page; the words on a terminal."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.care.health import Moment, gather
from edge.care.host import HostWord
from edge.cli import main
from edge.commands.status import lines_of
from edge.commands.terminal import Paint, bar, paint_for, size, span
from edge.status_page.minutes import Minutes
from edge.status_page.server import Names
from edge.status_view import StatusView, read_view, running_view, view_of
from protocol.units import UnixMs
from tests.support.edge_status import BUSY, write_status
from tests.support.edge_story import NOW_MS, clock_ms

PLAIN = Paint(is_on=False)


def words(view: StatusView, *, now_ms: int = NOW_MS, paint: Paint = PLAIN) -> str:
    return "\n".join(lines_of(view, now_ms=now_ms, paint=paint))


def busy(**changes: object) -> StatusView:
    return view_of({**BUSY, "updated_at_ms": NOW_MS - 500, "started_at_ms": NOW_MS - 3_725_000, **changes})


def test_fields_of_a_later_release_are_left_out() -> None:
    view = busy()
    assert (view.people, view.model, view.processes[1].name) == (201, "yolox-nano", "vision")
    assert "52.52" not in repr(view)
    assert "secret" not in repr(view)


@pytest.mark.parametrize(
    ("wrong", "left"),
    [
        ({"people": "many"}, {"people": 0}),
        ({"processes": [{"pid": 1}]}, {"processes": ()}),
        ({"trouble": "x" * 1_000}, {"trouble": None}),
        ({"receipts": [1]}, {"receipts": {}}),
        ({"fps": None}, {"fps": None}),
        ({"health": "well"}, {"health": {}}),
        ({"health": {"soc_mdegc": "hot", "lat_udeg": 1, "clock_steps": 3}}, {"health": {"clock_steps": 3}}),
        ({"health": [6, 1]}, {"health": {}}),
    ],
)
def test_a_field_of_another_kind_costs_that_field_alone(wrong: dict[str, Any], left: dict[str, Any]) -> None:
    view = busy(**wrong)
    assert view.tracks == 312
    assert {name: getattr(view, name) for name in left} == left


def test_the_record_of_health_may_come_as_it_is_signed() -> None:
    host = HostWord(61_000, 0, 900, None, None, rss_kib=7)
    record = gather(Moment(at_ms=NOW_MS, monotonic_ms=1, started_monotonic_ms=0, host=host), None)
    as_signed = json.loads(msgspec.json.encode(record))
    assert isinstance(as_signed, list)
    view = busy(health=as_signed)
    assert view.health["soc_mdegc"] == 61_000
    assert "disk_wear_ppm" not in view.health
    assert view == busy(health=msgspec.structs.asdict(record))


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"7", b"[" * 20_000, b'{"frames": 1}' + b" " * 300_000, b"\xff"])
def test_what_is_no_status_is_none(tmp_path: Path, text: bytes) -> None:
    assert read_view(tmp_path) is None
    (tmp_path / "status.json").write_bytes(text)
    assert read_view(tmp_path) is None


def test_an_agent_is_at_work_while_its_news_are_fresh(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"is_running": True, "updated_at_ms": NOW_MS}))
    assert running_view(tmp_path, now_ms=UnixMs(NOW_MS + 9_000)) is not None
    assert running_view(tmp_path, now_ms=UnixMs(NOW_MS + 11_000)) is None
    (tmp_path / "status.json").write_text(json.dumps({"is_running": False, "updated_at_ms": NOW_MS}))
    assert running_view(tmp_path, now_ms=NOW_MS) is None


@pytest.mark.parametrize(
    ("said", "is_owned"),
    [
        ({}, False),
        ({"is_enrolled": True}, True),
        ({"is_enrolled": True, "is_adopted": False}, False),
        ({"is_adopted": True}, True),
    ],
)
def test_a_device_without_a_word_on_adoption_is_owned_once_it_is_enrolled(
    said: dict[str, Any],
    is_owned: bool,  # noqa: FBT001
) -> None:
    assert view_of(said).is_owned() == is_owned


def test_the_hour_is_counted_minute_by_minute_and_a_restart_begins_at_zero() -> None:
    minutes = Minutes()
    at_ms = 1_800_000_000_000
    minutes.look(StatusView(started_at_ms=1, tracks=50, frames=900), now_ms=at_ms)
    minutes.look(StatusView(started_at_ms=1, tracks=53, frames=910), now_ms=at_ms + 1_000)
    minutes.look(StatusView(started_at_ms=1, tracks=54, frames=920), now_ms=at_ms + 61_000)
    minutes.look(StatusView(started_at_ms=2, tracks=2, frames=5, people=1), now_ms=at_ms + 62_000)
    past = minutes.past(now_ms=at_ms + 62_000)
    assert len(past) == 60
    assert [(each.tracks, each.frames, each.people) for each in past[-2:]] == [(3, 10, 0), (3, 15, 1)]
    assert all(each.tracks == 0 for each in past[:-2])


def test_the_hour_forgets_what_is_older_and_bears_a_clock_that_jumps() -> None:
    minutes = Minutes()
    for look in range(200):
        minutes.look(StatusView(started_at_ms=1, tracks=look), now_ms=look * 60_000)
    assert sum(each.tracks for each in minutes.past(now_ms=199 * 60_000)) == 60
    minutes.look(StatusView(started_at_ms=1, tracks=200), now_ms=0)
    assert sum(each.tracks for each in minutes.past(now_ms=0)) == 1


@pytest.mark.parametrize(
    ("host", "at_home", "on_the_network"),
    [
        ("localhost:8070", True, True),
        ("127.0.0.1", True, True),
        ("192.168.1.7:8070", False, True),
        ("[fe80::1]:8070", False, True),
        ("evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("127.1", False, False),
        ("", False, False),
        ("localhost:99999999", False, False),
        ("door.local", False, True),
    ],
)
def test_a_name_is_believed_only_if_it_is_this_machines(host: str, at_home: bool, on_the_network: bool) -> None:  # noqa: FBT001
    assert Names(is_local_only=True).include(host) == at_home
    assert Names(is_local_only=False, known=frozenset({"localhost", "door.local"})).include(host) == on_the_network


def test_the_words_of_a_busy_device() -> None:
    said = words(busy())
    assert "at work for 1 h 2 min, start 4" in said
    assert "9.6 frames a second, 20.9 ms (p95 26.4) each, the model looked at 61 %, yolox-nano on CPU" in said
    assert "312 tracks, 201 people" in said
    assert "3 envelopes (2 tracks, 1 health), 1.9 KiB, the oldest for 4 s" in said
    assert "139 accepted, 4 duplicate" in said
    assert "connected, enrolled, beacon 7" in said
    assert "61.2 °C, disk used up ██░░░░░░░░ 20 %, 21.3 GiB free" in said
    assert "178.8 MiB: keeper 27.3 MiB, vision 89.2 MiB (restarted 1x)" in said
    assert "\x1b" not in said


def test_the_words_of_a_device_in_trouble() -> None:
    ill = busy(
        trouble="the disk is full",
        is_connected=False,
        health={"soc_mdegc": 84_000, "throttled_bits": 5},
        max_fps_reason="At most 1.0 frames a second.",
        debug_pictures=2,
        outbox_refused=1,
        last_signed={"sequence": 9, "signed_at_ms": NOW_MS - 61_000, "says": "a car"},
    )
    said = words(ill, paint=Paint(is_on=True))
    for part in ("the disk is full", "not connected", "held back", "At most 1.0", "2 blurred", "1 refused", "a car"):
        assert part in said
    assert "\x1b[31m84.0 °C\x1b[0m" in said
    assert "(number 9) 1 min 1 s ago: a car" in said


def test_the_words_of_a_device_that_has_stopped_died_or_sees_nothing() -> None:
    assert "stopped 2 min ago" in words(busy(is_running=False, updated_at_ms=NOW_MS - 120_000))
    assert "silent for 2 min: it has died" in words(busy(updated_at_ms=NOW_MS - 120_000))
    bare = words(view_of({"is_running": True, "updated_at_ms": NOW_MS, "peak_rss_kib": 2_048}))
    assert "nothing: everything has a receipt" in bare
    assert "2.0 MiB at most" in bare
    assert "sees" not in bare


def test_the_command_tells_words_or_json_and_its_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--dir", str(tmp_path)]) == 1
    assert "has the agent run?" in capsys.readouterr().err
    write_status(tmp_path)
    assert main(["status", "--dir", str(tmp_path)]) == 0
    assert "● at work" in capsys.readouterr().out
    assert main(["status", "--json", "--dir", str(tmp_path)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["is_at_work"], said["people"]) == (True, 201)
    write_status(tmp_path, updated_at_ms=clock_ms() - 60_000)
    assert main(["status", "--json", "--dir", str(tmp_path)]) == 1


def test_sizes_spans_and_bars_for_people() -> None:
    assert [span(ms) for ms in (0, 999, 61_000, 3_600_000, 90_061_000)] == ["0 s", "0 s", "1 min 1 s", "1 h", "1 d 1 h"]
    assert [size(each) for each in (9, 2_048, 5 << 20, 3 << 30)] == ["9 B", "2.0 KiB", "5.0 MiB", "3.0 GiB"]
    assert [bar(share, width=4) for share in (-1, 0, 0.5, 2)] == ["░░░░", "░░░░", "██░░", "████"]


def test_no_colour_where_it_is_not_wanted(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as plain:
        assert paint_for(plain, {})("x", "bad") == "x"
    terminal = Paint(is_on=True)
    assert terminal("x", "good") == "\x1b[32mx\x1b[0m"
