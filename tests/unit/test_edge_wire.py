"""Lines between the agent's processes, and words for systemd."""

import os
import socket
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.notify import Notifier
from edge.wire import LINE_MAX_BYTES, LineReader, Order, Pace, Picture, Seen, VisionNews, line_of
from protocol.observation import Crossing, Track
from protocol.units import Ppm, UnixMs

TRACK = Track(1, 0, UnixMs(5), UnixMs(9), Ppm(700_000), 5, continues=False, sketch=b"\x00\xff")
CROSSING = Crossing(1, 0, 3, is_forward=True, crossed_at_ms=UnixMs(7), confidence_ppm=Ppm(1))


@given(st.lists(st.binary(max_size=300).map(lambda raw: raw.replace(b"\n", b"")), max_size=20), st.integers(1, 64))
def test_lines_come_out_as_they_went_in_however_they_are_cut(lines: list[bytes], cut: int) -> None:
    reading, writing = os.pipe()
    reader, stream, heard = LineReader(reading), b"".join(each + b"\n" for each in lines), []
    try:
        for begin in range(0, len(stream), cut):
            os.write(writing, stream[begin : begin + cut])
            heard += list(reader.lines())
    finally:
        os.close(writing)
    heard += list(reader.lines())
    assert heard == lines
    assert reader.is_closed
    os.close(reading)


def test_a_line_without_end_is_an_error_and_not_a_full_memory() -> None:
    reading, writing = os.pipe()
    reader = LineReader(reading)
    os.set_blocking(writing, False)
    written = 0
    while written <= LINE_MAX_BYTES - 4_096:
        written += os.write(writing, b"x" * 4_096)
        assert list(reader.lines()) == []
    os.write(writing, b"x" * 8_192)
    with pytest.raises(ValueError, match="a line of more than"):
        list(reader.lines())
    os.close(reading)
    os.close(writing)


def test_what_was_seen_survives_the_way() -> None:
    seen = Seen((TRACK, CROSSING), 12_345, b"\x00state")
    assert msgspec.json.decode(line_of(seen), type=VisionNews) == seen
    assert line_of(seen).count(b"\n") == 1


@pytest.mark.parametrize("order", [Pace(2.5), Pace(None), Picture("/x/y.png")])
def test_orders_survive_the_way(order: Order) -> None:
    assert msgspec.json.decode(line_of(order), type=Order) == order


def listener(folder: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listening.bind(str(folder / "notify"))
    listening.settimeout(5)
    return listening


def test_systemd_hears_that_the_agent_is_ready_and_three_times_an_interval_that_it_lives(tmp_path: Path) -> None:
    with listener(tmp_path) as listening:
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        notifier.ready("observing")
        for now_s in range(100, 130):
            notifier.alive(f"at {now_s}", now_s=float(now_s))
        notifier.stopping()
        heard = [listening.recv(500).decode() for _ in range(5)]
    assert heard == [
        "READY=1\nSTATUS=observing",
        *(f"WATCHDOG=1\nSTATUS=at {now_s}" for now_s in (100, 110, 120)),
        "STOPPING=1",
    ]


def test_without_systemd_nothing_is_said_and_nothing_breaks(tmp_path: Path) -> None:
    for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "x"}):
        notifier = Notifier(environment)
        notifier.ready("a")
        notifier.alive("b", now_s=1.0)
        notifier.stopping()


def test_an_abstract_socket_is_reached() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0cairn-notify-test-{os.getpid()}")
        listening.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@cairn-notify-test-{os.getpid()}"}).ready("here")
        assert listening.recv(100) == b"READY=1\nSTATUS=here"
