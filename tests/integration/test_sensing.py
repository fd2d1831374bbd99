"""The sensing process: its messages, its end, and drivers of others that do their worst."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from edge.sensors.fix import Fix
from edge.sensors.messages import (
    FixTold,
    Heartbeat,
    Message,
    ReadingTold,
    SensingOrder,
    SensorFailed,
    decode_message,
    encode,
)
from tests.conftest import ROOT
from tests.support.sensor_story import Cable, burst, pms_frame, talking

PATIENCE_S = 30.0
STRANGE_DRIVERS = """
import os, time
from edge.sensors.sensor import SensorAddress
from edge.sensors.simulated import open_simulated

class Odd:
    def __init__(self, address, read):
        self.name, self._read = str(address), read
    def read(self, *, at_ms):
        return self._read(at_ms)
    def close(self):
        raise RuntimeError("cannot even close")

def open_good(address):
    print("a driver that prints", flush=True)
    os.write(1, b"and one that writes\\n")
    return open_simulated(SensorAddress("simulated", "co2", seed=address.seed))
def open_raising(address):
    def read(at_ms): raise KeyError("nothing here")
    return Odd(address, read)
def open_hanging(address):
    return Odd(address, lambda at_ms: time.sleep(1_000))
def open_lying(address):
    return Odd(address, lambda at_ms: [21.4])
"""
ENTRY_POINTS = """[cairn.sensors]
good = strange_drivers:open_good
raising = strange_drivers:open_raising
hanging = strange_drivers:open_hanging
lying = strange_drivers:open_lying
absent = strange_drivers:open_nothing
broken = strange_broken:open_it
"""


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with somebody else's distribution of drivers in it."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "strange_drivers.py").write_text(STRANGE_DRIVERS)
    (folder / "strange_broken.py").write_text("import a_library_that_nobody_has\n")
    metadata = folder / "strange_drivers-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: strange-drivers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    return folder


class Sensing:
    """A running sensing process and what it has said."""

    def __init__(self, running: "subprocess.Popen[bytes]") -> None:
        self.running = running
        self.heard: list[Message] = []
        self._half = b""

    def hear_until(self, is_enough: Callable[[list[Message]], bool]) -> list[Message]:
        """Listen until ``is_enough``; fail when it takes too long."""
        assert self.running.stdout is not None
        give_up_s = time.monotonic() + PATIENCE_S
        while not is_enough(self.heard):
            assert time.monotonic() < give_up_s, self.heard
            if select.select([self.running.stdout], [], [], 1)[0]:
                chunk = os.read(self.running.stdout.fileno(), 65_536)
                assert chunk, "it ended"
                *lines, self._half = (self._half + chunk).split(b"\n")
                self.heard += [decode_message(line) for line in lines]
        return self.heard

    def ended(self) -> tuple[int, str]:
        """Return exit status and stderr."""
        _, said = self.running.communicate(timeout=PATIENCE_S)
        return self.running.returncode, said.decode()


@contextmanager
def sensing(order: bytes, *, more_path: Path | None = None) -> Iterator[Sensing]:
    path = os.pathsep.join([str(ROOT), *([str(more_path)] if more_path else []), os.environ.get("PYTHONPATH", "")])
    running = subprocess.Popen(
        [sys.executable, "-m", "edge.sensing"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert running.stdin is not None
    try:
        with suppress(BrokenPipeError):  # it may have read enough already
            running.stdin.write(order)
            running.stdin.flush()
        yield Sensing(running)
    finally:
        running.kill()
        running.communicate()


def of(heard: list[Message], kind: type, source: str = "") -> list[Message]:
    return [each for each in heard if isinstance(each, kind) and source in getattr(each, "source", "")]


def test_drivers_of_others_do_their_worst_and_the_rest_goes_on(strangers: Path) -> None:
    kinds = ("absent", "broken", "good", "hanging", "lying", "raising")
    sources = (*(f"{kind}:1" for kind in kinds), "simulated:temperature", "nobody:1")
    with sensing(encode(SensingOrder(sources=sources, period_ms=1_000)), more_path=strangers) as process:
        heard = process.hear_until(
            lambda heard: (
                len(of(heard, ReadingTold, "good:1")) >= 2
                and len(of(heard, ReadingTold, "simulated:temperature")) >= 2
                and all(of(heard, SensorFailed, kind) for kind in ("absent", "broken", "lying", "raising", "nobody"))
                and len(of(heard, Heartbeat)) >= 2
            )
        )
        assert process.running.stdin is not None
        process.running.stdin.close()
        process.running.stdin = None
        status, talk = process.ended()
    assert status == 0  # although one driver still hangs
    says = {kind: of(heard, SensorFailed, kind)[0].says for kind in ("absent", "broken", "lying", "raising")}  # type: ignore[union-attr]
    assert "AttributeError" in says["absent"]
    assert "ModuleNotFoundError (No module named 'a_library_that_nobody_has')" in says["broken"]
    assert "report it to whoever wrote the driver" in says["lying"]
    assert "KeyError ('nothing here')" in says["raising"]
    assert not of(heard, SensorFailed, "hanging")
    beats = [each for each in heard if isinstance(each, Heartbeat)]
    assert {beat.sensors for beat in beats} == {len(sources)}
    assert beats[-1].failures > 0
    assert "a driver that prints" in talk
    assert "and one that writes" in talk
    assert "Traceback" not in talk


def test_real_lines_of_a_receiver_and_a_particle_sensor_become_messages() -> None:
    bursts = [burst(f"1200{second:02}.00") for second in range(60)]
    with (
        Cable() as receiver,
        Cable() as dust,
        talking(receiver, bursts),
        talking(dust, [pms_frame(1, 2, 3)]),
        sensing(
            encode(SensingOrder(sources=(f"gnss:{receiver.path}@1000", f"pms5003:{dust.path}@1000"), period_ms=60_000))
        ) as process,
    ):
        heard = process.hear_until(lambda heard: len(of(heard, FixTold)) >= 1 and len(of(heard, ReadingTold)) >= 3)
        told = of(heard, FixTold)[0]
        assert isinstance(told, FixTold)
        fix: Fix = told.fix
        assert (told.source, fix.lat_udeg, fix.satellites) == (f"gnss:{receiver.path}", 52_520_008, 11)
        process.running.send_signal(signal.SIGTERM)
        assert process.ended()[0] == 0


def test_a_keeper_that_has_gone_ends_it() -> None:
    with sensing(encode(SensingOrder(sources=()))) as process:
        process.hear_until(lambda heard: len(heard) == 1)
        assert process.running.stdout is not None
        process.running.stdout.close()
        assert process.running.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("order", [b"\n", b"{}\n", b'{"sources":["thermometer"]}\n', b"\xff\xff\n", b"x" * 70_000])
def test_an_order_that_cannot_be_read_is_one_sentence(order: bytes) -> None:
    with sensing(order) as process:
        status, talk = process.ended()
        assert (status, len(talk.splitlines())) == (1, 1), talk


def test_whatever_the_keeper_imports_of_sensors_is_light() -> None:
    program = (
        "import importlib, json, pkgutil, sys, edge.sensors, edge.sensing, edge.settings, edge.commands.sensors\n"
        "for module in pkgutil.iter_modules(edge.sensors.__path__):\n"
        "    importlib.import_module('edge.sensors.' + module.name)\n"
        "print(json.dumps(sorted({'numpy', 'cv2', 'onnxruntime'} & set(sys.modules))))\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(outcome.stdout) == []
