"""Numbers of Linux: found by name, in the units their ABI promises, nonsense refused, absence explained."""

from pathlib import Path

import pytest

from edge.sensors.sensor import Sensor, SensorError
from edge.sensors.sysfs import open_hwmon, open_iio, open_thermal, sensor_names
from protocol.observation import Quantity, Reading
from protocol.units import UnixMs
from tests.support.sensor_story import lay_sysfs

AT_MS = UnixMs(1_000_000)
KNOWN = (
    "hwmon:sht3x/humidity1, hwmon:sht3x/temp1, iio:bme280/humidityrelative, iio:bme280/pressure, iio:bme280/temp, "
    "iio:hts221/temp, iio:scd30/concentration_co2, iio:tsl2561/illuminance0, thermal:cpu-thermal"
)


def opened(source: str, sysfs: Path) -> Sensor:
    """Open whichever of the three kinds it is."""
    kind = source.partition(":")[0]
    return {"iio": open_iio, "thermal": open_thermal}.get(kind, open_hwmon)(source, sysfs=sysfs)


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    return lay_sysfs(tmp_path)


@pytest.mark.parametrize(
    ("source", "quantity", "value"),
    [
        ("hwmon:sht3x/temp1", Quantity.TEMPERATURE_MDEGC, 21_437),
        ("hwmon:sht3x/humidity1", Quantity.RELATIVE_HUMIDITY_PPM, 482_500),
        ("thermal:cpu-thermal", Quantity.TEMPERATURE_MDEGC, 48_312),
        ("iio:bme280/temp", Quantity.TEMPERATURE_MDEGC, 21_460),
        ("iio:bme280/humidityrelative", Quantity.RELATIVE_HUMIDITY_PPM, 489_766),
        ("iio:bme280/pressure", Quantity.PRESSURE_PA, 100_732),
        ("iio:hts221/temp", Quantity.TEMPERATURE_MDEGC, 21_123),  # (-120 + 1400.2) x 16.5
        ("iio:tsl2561/illuminance0", Quantity.ILLUMINANCE_MLUX, 126_000),  # a scale shared by all channels
        ("iio:scd30/concentration_co2", Quantity.CO2_PPB, 421_000),  # percent
    ],
)
def test_every_channel_is_read_in_the_unit_of_its_quantity(
    sysfs: Path, source: str, quantity: Quantity, value: int
) -> None:
    sensor = opened(source, sysfs)
    (reading,) = sensor.read(at_ms=AT_MS)
    assert isinstance(reading, Reading)
    assert (reading.quantity, reading.value, reading.measured_at_ms) == (quantity, value, AT_MS)
    assert sensor.name == source


def test_a_finished_number_goes_before_one_that_is_still_to_be_scaled(sysfs: Path) -> None:
    (sysfs / "bus/iio/devices/iio:device1/in_temp_input").write_text("20000")
    (reading,) = open_iio("iio:hts221/temp", sysfs=sysfs).read(at_ms=AT_MS)
    assert isinstance(reading, Reading)
    assert reading.value == 20_000


@pytest.mark.parametrize(
    "source",
    ["hwmon:sht3x/temp2", "hwmon:nvme/temp1", "hwmon:bme280/temp1", "hwmon:sht3x/in0", "thermal:acpitz", "iio:x/temp"],
)
def test_an_absent_sensor_is_said_to_be_absent_and_the_present_are_listed(sysfs: Path, source: str) -> None:
    with pytest.raises(SensorError, match=f"it has: {KNOWN}"):
        opened(source, sysfs)


def test_a_machine_without_sensors_says_so(tmp_path: Path) -> None:
    assert sensor_names(tmp_path) == ()
    with pytest.raises(SensorError, match="it has: none"):
        open_thermal("thermal:cpu-thermal", sysfs=tmp_path)


@pytest.mark.parametrize("source", ["", "gpio:4", "hwmon", "temperature", ":", "hwmon:a b/temp1"])
def test_what_names_no_sensor_is_one_sentence(sysfs: Path, source: str) -> None:
    with pytest.raises(SensorError):
        opened(source, sysfs)


@pytest.mark.parametrize("text", ["", "warm", "999999", "-273160", "21.5", "NaN", "1e999999999", "Infinity", "٣٤"])
def test_nonsense_is_never_passed_on(sysfs: Path, text: str) -> None:
    sensor = open_hwmon("hwmon:sht3x/temp1", sysfs=sysfs)
    (sysfs / "class/hwmon/hwmon1/temp1_input").write_text(text)
    with pytest.raises(SensorError, match="check its wiring"):
        sensor.read(at_ms=AT_MS)


@pytest.mark.parametrize("attribute", ["in_temp_scale", "in_temp_offset"])
@pytest.mark.parametrize("text", ["", "x", "1e29", "NaN"])
def test_nonsense_beside_a_raw_number_is_never_passed_on(sysfs: Path, attribute: str, text: str) -> None:
    (sysfs / "bus/iio/devices/iio:device1" / attribute).write_text(text)
    with pytest.raises(SensorError, match="check its wiring"):
        open_iio("iio:hts221/temp", sysfs=sysfs).read(at_ms=AT_MS)


def test_a_probe_that_was_plugged_in_again_under_another_number_is_found_again(sysfs: Path) -> None:
    sensor = open_hwmon("hwmon:sht3x/temp1", sysfs=sysfs)
    (sysfs / "class/hwmon/hwmon1").rename(sysfs / "class/hwmon/away")
    with pytest.raises(SensorError, match="this machine has no sensor"):
        sensor.read(at_ms=AT_MS)
    (sysfs / "class/hwmon/away").rename(sysfs / "class/hwmon/hwmon7")
    (reading,) = sensor.read(at_ms=AT_MS)
    assert isinstance(reading, Reading)
    assert reading.value == 21_437
