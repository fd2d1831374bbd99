"""Lines that break are opened again with pauses; who reads rarely gets nothing stale."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.sensors.fix import Fix
from edge.sensors.lines import Port, SteadyLine, open_serial
from edge.sensors.nmea import NmeaListener
from edge.sensors.particles import sds011_listener
from edge.sensors.sensor import SensorError
from edge.sensors.stream import StreamSensor
from protocol.observation import Reading
from tests.support.sensor_story import NOW_MS, burst, sds011_frame


@dataclass
class Bench:
    """A port whose bytes are laid out beforehand, and a clock that moves when it is waited on."""

    words: list[bytes | OSError] = field(default_factory=list)
    opening: list[OSError] = field(default_factory=list)
    now_s: float = 1_000.0
    opened: int = 0
    closed: int = 0

    def open(self) -> Port:
        self.opened += 1
        if self.opening:
            raise self.opening.pop(0)
        return self

    def receive(self, wait_s: float) -> bytes:
        if not self.words:
            self.now_s += wait_s
            return b""
        word = self.words.pop(0)
        if isinstance(word, OSError):
            raise word
        return word

    def close(self) -> None:
        self.closed += 1

    def clock_s(self) -> float:
        return self.now_s

    def line(self) -> SteadyLine:
        return SteadyLine(self.open, name="sds011:/dev/ttyUSB1", monotonic_s=self.clock_s)

    def sensor(self) -> StreamSensor:
        return StreamSensor(
            self.line(), sds011_listener(), name="sds011:/dev/ttyUSB1", patience_s=5, monotonic_s=self.clock_s
        )


def first(sensor: StreamSensor) -> int:
    reading = sensor.read(at_ms=NOW_MS)[0]
    assert isinstance(reading, Reading)
    return reading.value


def test_who_reads_again_and_again_misses_nothing() -> None:
    bench = Bench([sds011_frame(1, 9) + sds011_frame(2, 9), sds011_frame(3, 9)])
    sensor = bench.sensor()
    assert [first(sensor) for _ in range(3)] == [100, 200, 300]


def test_who_comes_back_after_a_pause_gets_nothing_stale() -> None:
    bench = Bench([sds011_frame(1, 9) + sds011_frame(2, 9)])
    sensor = bench.sensor()
    assert first(sensor) == 100
    bench.now_s += 60
    bench.words = [sds011_frame(3, 9), sds011_frame(4, 9)[:7], b"", sds011_frame(4, 9)[7:], sds011_frame(5, 9)]
    assert first(sensor) == 500  # what lay in the port is gone, half a frame included


def test_half_a_moment_of_a_minute_ago_is_not_told() -> None:
    bench = Bench([burst("120000.00") + burst("120001.00")])
    sensor = StreamSensor(bench.line(), NmeaListener(), name="gnss:", patience_s=5, monotonic_s=bench.clock_s)
    (fix,) = sensor.read(at_ms=NOW_MS)
    assert isinstance(fix, Fix)
    bench.now_s += 60
    bench.words = [b"", burst("120100.00")]
    (later,) = sensor.read(at_ms=NOW_MS)
    assert isinstance(later, Fix)
    assert (later.time_ms or 0) - (fix.time_ms or 0) == 60_000


def test_who_was_hung_up_on_for_not_listening_calls_again_at_once() -> None:
    bench = Bench([sds011_frame(1, 9)])
    sensor = bench.sensor()
    assert first(sensor) == 100
    bench.now_s += 60
    bench.words = [sds011_frame(2, 9), OSError(errno.ECONNRESET, "reset"), sds011_frame(3, 9)]
    assert first(sensor) == 300
    assert (bench.opened, bench.closed) == (2, 1)


def test_a_measurement_has_the_time_of_its_arrival() -> None:
    bench = Bench()
    sensor = bench.sensor()

    class Slow(Bench):
        def receive(self, wait_s: float) -> bytes:  # noqa: ARG002
            bench.now_s += 1.5
            return sds011_frame(1, 9)

    sensor._line = SteadyLine(Slow, name="slow", monotonic_s=bench.clock_s)
    (reading, _) = sensor.read(at_ms=NOW_MS)
    assert reading.measured_at_ms == NOW_MS + 1_500


def test_silence_is_waited_for_as_long_as_patience_lasts() -> None:
    bench = Bench()
    with pytest.raises(SensorError, match="gave nothing for 5 s: it is silent"):
        bench.sensor().read(at_ms=NOW_MS)
    assert 1_005 <= bench.now_s < 1_006


def test_a_port_that_went_away_is_opened_again_after_ever_longer_pauses() -> None:
    gone = OSError(errno.EIO, "Input/output error")
    bench = Bench([gone], opening=[])
    line = bench.line()
    with pytest.raises(SensorError, match="check that it is plugged in"):
        line.receive(0.1)
    assert (bench.opened, bench.closed) == (1, 1)
    bench.opening = [OSError(errno.ENOENT, "No such file or directory")] * 6
    pauses_s = []
    while bench.opening:
        before = bench.opened
        with pytest.raises(SensorError, match="tried again in"):
            line.receive(0.1)
        assert bench.opened == before
        began_s = bench.now_s
        while bench.opened == before:
            bench.now_s += 0.5
            with pytest.raises(SensorError):
                line.receive(0.1)
        pauses_s.append(bench.now_s - began_s)
    assert pauses_s == [1, 2, 4, 8, 16, 30]
    bench.now_s += 30
    bench.words = [b"back"]
    assert line.receive(0.1) == b"back"
    bench.words = [gone]
    with pytest.raises(SensorError, match="check that it is plugged in"):
        line.receive(0.1)
    bench.now_s += 1  # the pauses are short again
    bench.words = [b"again"]
    assert line.receive(0.1) == b"again"


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.EACCES, "dialout"), (errno.ECONNREFUSED, "start that service"), (errno.EBUSY, "another program")],
)
def test_the_advice_fits_the_trouble(number: int, advice: str) -> None:
    bench = Bench(opening=[OSError(number, "no")])
    with pytest.raises(SensorError, match=advice):
        bench.line().receive(0)


def test_what_is_no_serial_port_is_refused() -> None:
    with pytest.raises(OSError, match="ioctl"):
        open_serial(Path("/dev/null"), baud=9_600)
