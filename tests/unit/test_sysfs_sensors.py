"""Linux temperatures: found by name, read in thousandths of a degree, nonsense refused, absence explained."""

from pathlib import Path

import pytest

from edge.sensors.schedule import SensorSchedule
from edge.sensors.sensor import SensorError
from edge.sensors.sysfs import open_sensor, sensor_names
from protocol.observation import Quantity
from protocol.units import UnixMs

AT_MS = UnixMs(1_000_000)


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    """A machine with a probe, the processor's own thermometer, and a chip without temperatures."""
    for path, text in {
        "hwmon/hwmon0/name": "nvme\n",
        "hwmon/hwmon1/name": "sht3x\n",
        "hwmon/hwmon1/temp1_input": "21437\n",
        "thermal/thermal_zone0/type": "cpu-thermal\n",
        "thermal/thermal_zone0/temp": "48312\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


@pytest.mark.parametrize(("source", "mdegc"), [("hwmon:sht3x/temp1", 21_437), ("thermal:cpu-thermal", 48_312)])
def test_every_driver_reads_thousandths_of_a_degree(classes: Path, source: str, mdegc: int) -> None:
    sensor = open_sensor(source, classes=classes)
    reading = sensor.read(at_ms=AT_MS)
    assert (reading.quantity, reading.value, reading.measured_at_ms) == (Quantity.TEMPERATURE_MDEGC, mdegc, AT_MS)
    assert sensor.name == source


@pytest.mark.parametrize("source", ["hwmon:sht3x/temp2", "hwmon:nvme/temp1", "hwmon:bme280/temp1", "thermal:acpitz"])
def test_an_absent_sensor_is_said_to_be_absent_and_the_present_are_listed(classes: Path, source: str) -> None:
    with pytest.raises(SensorError, match="it has: hwmon:sht3x/temp1, thermal:cpu-thermal"):
        open_sensor(source, classes=classes)


def test_a_machine_without_sensors_says_so(tmp_path: Path) -> None:
    assert sensor_names(tmp_path) == ()
    with pytest.raises(SensorError, match="it has: none"):
        open_sensor("thermal:cpu-thermal", classes=tmp_path)


@pytest.mark.parametrize("source", ["", "gpio:4", "hwmon", "temperature"])
def test_what_names_no_driver_says_what_to_write(classes: Path, source: str) -> None:
    with pytest.raises(SensorError):
        open_sensor(source, classes=classes)


@pytest.mark.parametrize("text", ["", "warm", "999999", "-273160", "21.5"])
def test_nonsense_is_never_passed_on(classes: Path, text: str) -> None:
    sensor = open_sensor("hwmon:sht3x/temp1", classes=classes)
    (classes / "hwmon/hwmon1/temp1_input").write_text(text)
    with pytest.raises(SensorError, match="check its wiring"):
        sensor.read(at_ms=AT_MS)


def test_sensors_are_read_at_their_period_and_a_broken_one_does_not_silence_the_rest(classes: Path) -> None:
    sensors = [open_sensor(source, classes=classes) for source in ("thermal:cpu-thermal", "hwmon:sht3x/temp1")]
    schedule = SensorSchedule(sensors, period_ms=60_000)
    assert len(schedule.read_due(now_ms=AT_MS)) == 2
    assert schedule.read_due(now_ms=UnixMs(AT_MS + 59_999)) == []
    (classes / "thermal/thermal_zone0/temp").unlink()
    (left,) = schedule.read_due(now_ms=UnixMs(AT_MS + 60_000))
    assert (left.value, schedule.failures) == (21_437, 1)
    assert len(schedule.read_due(now_ms=AT_MS)) == 1  # a clock that stepped back
