"""`sensor list` and `sensor read`: help with an example, data on stdout, a sentence where there is nothing."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path

import pytest

from edge.commands import sensors
from edge.commands.words import common_options
from edge.sensors.sensor import SensorError


def run(words: Sequence[str], folder: Path) -> int:
    parser = ArgumentParser(prog="cairn-edge")
    sensors.add_to(parser.add_subparsers(required=True), common_options(folder))
    options = parser.parse_args(words)
    status: int = options.command(options)
    return status


@pytest.mark.parametrize("command", ["sensor", "sensor list", "sensor read"])
def test_every_command_explains_itself_with_an_example(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run([*command.split(), "--help"], tmp_path)
    assert ended.value.code == 0
    assert "Example: cairn-edge sensor" in capsys.readouterr().out


def test_our_own_drivers_are_installed_like_anybody_else_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensor", "list"], tmp_path) == 0
    said = capsys.readouterr().out
    for kind in ("gnss", "gpsd", "hwmon", "iio", "pms5003", "sds011", "simulated", "thermal"):
        assert f"{kind}:\tdriver of cairn-network\n" in said


def test_a_sensor_is_read_as_json_and_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensor", "read", "simulated:pm", "--seed", "3"], tmp_path) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["quantity"] for each in told] == ["pm1_ng_m3", "pm2_5_ng_m3", "pm10_ng_m3"]
    assert all(each["says"].endswith(" ug/m3") for each in told)
    run(["sensor", "read", "simulated:gnss"], tmp_path)
    (fix,) = capsys.readouterr().out.splitlines()
    assert json.loads(fix)["dimension"] == 3


@pytest.mark.parametrize(
    "source", ["thermometer", "nothing:1", "hwmon:none/temp1", "gnss:here", "gpsd:x:y", "sds011:1"]
)
def test_what_cannot_be_read_is_one_sentence(source: str, tmp_path: Path) -> None:
    with pytest.raises(SensorError):
        run(["sensor", "read", source], tmp_path)


def test_serial_ports_are_listed_and_lasting_names_come_first(tmp_path: Path) -> None:
    (tmp_path / "serial/by-id").mkdir(parents=True)
    for name in ("ttyUSB0", "ttyACM1", "ttyAMA0", "tty1", "serial/by-id/usb-1a86_USB_Serial-if00-port0"):
        (tmp_path / name).touch()
    ports = [path.removeprefix(f"{tmp_path}/") for path in sensors.serial_ports(tmp_path)]
    assert ports == ["serial/by-id/usb-1a86_USB_Serial-if00-port0", "ttyUSB0", "ttyACM1", "ttyAMA0"]
