"""Every sensor keeps the seam's promise: whole, possible, fresh measurements or a SensorError, and a harmless close."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import pytest

from edge.sensors.fix import Fix
from edge.sensors.gnss import open_gnss, open_gpsd
from edge.sensors.particles import open_pms5003, open_sds011
from edge.sensors.rounds import vetted
from edge.sensors.sensor import Sensor, SensorError
from edge.sensors.simulated import open_simulated
from edge.sensors.sysfs import open_hwmon, open_iio, open_thermal
from protocol.observation import Quantity
from tests.support.sensor_story import (
    NOW_MS,
    SKY,
    TPV,
    Cable,
    burst,
    gpsd_script,
    json_line,
    lay_sysfs,
    pms_frame,
    read_to_the_end,
    sds011_frame,
    talking,
)

WARMTH, DAMP, FIX = {Quantity.TEMPERATURE_MDEGC}, {Quantity.RELATIVE_HUMIDITY_PPM}, {"fix"}
FINE_DUST = {Quantity.PM2_5_NG_M3, Quantity.PM10_NG_M3}
Opened = AbstractContextManager[tuple[Sensor, Callable[[], object]]]


@contextmanager
def _sysfs(opener: Callable[..., Sensor], word: str, folder: Path) -> Iterator[tuple[Sensor, Callable[[], object]]]:
    machine = lay_sysfs(folder / "sys")
    yield opener(word, sysfs=machine), partial(shutil.rmtree, machine)


@contextmanager
def _serial(
    opener: Callable[[str], Sensor], kind: str, words: list[bytes]
) -> Iterator[tuple[Sensor, Callable[[], object]]]:
    with Cable() as cable, talking(cable, words):
        yield opener(f"{kind}:{cable.path}"), cable.unplug


@contextmanager
def _gpsd() -> Iterator[tuple[Sensor, Callable[[], object]]]:
    with gpsd_script([json_line(SKY), *[json_line(TPV)] * 4]) as (port, _):
        yield open_gpsd(f"gpsd:127.0.0.1:{port}"), lambda: None


BURSTS = [burst(f"12{minute:02}{second:02}.00") for minute in range(60) for second in range(60)]
SENSORS: dict[str, tuple[Callable[[Path], Opened], set[object]]] = {
    "hwmon:sht3x/temp1": (lambda folder: _sysfs(open_hwmon, "hwmon:sht3x/temp1", folder), {*WARMTH}),
    "hwmon:sht3x/humidity1": (lambda folder: _sysfs(open_hwmon, "hwmon:sht3x/humidity1", folder), {*DAMP}),
    "thermal:cpu-thermal": (lambda folder: _sysfs(open_thermal, "thermal:cpu-thermal", folder), {*WARMTH}),
    "iio:bme280/pressure": (lambda folder: _sysfs(open_iio, "iio:bme280/pressure", folder), {Quantity.PRESSURE_PA}),
    "iio:hts221/temp": (lambda folder: _sysfs(open_iio, "iio:hts221/temp", folder), {*WARMTH}),
    "sds011": (lambda _: _serial(open_sds011, "sds011", [sds011_frame(123, 456)]), {*FINE_DUST}),
    "pms5003": (
        lambda _: _serial(open_pms5003, "pms5003", [pms_frame(1, 2, 3)]),
        {*FINE_DUST, Quantity.PM1_NG_M3},
    ),
    "gnss": (lambda _: _serial(open_gnss, "gnss", BURSTS), {*FIX}),
    "gpsd": (lambda _: _gpsd(), {*FIX}),
}


@contextmanager
def _simulated(word: str) -> Iterator[tuple[Sensor, Callable[[], object]]]:
    yield open_simulated(word), lambda: None


SENSORS["simulated:pm"] = (lambda _: _simulated("simulated:pm"), {*FINE_DUST, Quantity.PM1_NG_M3})
SENSORS["simulated:gnss"] = (lambda _: _simulated("simulated:gnss"), {*FIX})
GOES_AWAY = [word for word in SENSORS if not word.startswith(("simulated", "gpsd"))]


@pytest.fixture
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Sensor, Callable[[], object]]]:
    opener, _ = SENSORS[request.param]
    with opener(tmp_path) as both:
        yield both


@pytest.mark.parametrize(("word", "opened"), [(word, word) for word in SENSORS], indirect=["opened"], ids=list(SENSORS))
def test_it_gives_whole_and_possible_measurements_no_older_than_the_question(
    word: str, opened: tuple[Sensor, Callable[[], object]]
) -> None:
    sensor, _ = opened
    assert sensor.name.startswith(word.partition(":")[0])
    for _ in range(3):
        measured = vetted(sensor.read(at_ms=NOW_MS), name=sensor.name)
        assert {"fix" if isinstance(each, Fix) else each.quantity for each in measured} == SENSORS[word][1]
        assert all(NOW_MS <= each.measured_at_ms < NOW_MS + 10_000 for each in measured)
        assert all(each.dimension == 3 for each in measured if isinstance(each, Fix))
    sensor.close()
    sensor.close()


@pytest.mark.parametrize("opened", GOES_AWAY, indirect=True)
def test_what_has_gone_away_is_a_sentence_every_time_it_is_asked(
    opened: tuple[Sensor, Callable[[], object]],
) -> None:
    sensor, take_away = opened
    sensor.read(at_ms=NOW_MS)
    take_away()
    for _ in range(3):
        with pytest.raises(SensorError, match=sensor.name):
            read_to_the_end(sensor)
    sensor.close()


@pytest.mark.parametrize("opener", [open_gnss, open_sds011, open_pms5003], ids=["gnss", "sds011", "pms5003"])
def test_a_port_that_is_not_there_is_a_sentence_when_it_is_read_and_not_before(opener: Callable[[str], Sensor]) -> None:
    kind = opener.__name__.removeprefix("open_")
    sensor = opener(f"{kind}:/dev/no-such-port")
    with pytest.raises(SensorError, match="check that it is plugged in"):
        sensor.read(at_ms=NOW_MS)
    sensor.close()
