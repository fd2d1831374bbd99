"""Made-up sensors: the same for the same seed, a day long, and as imperfect as real ones."""

import statistics

import pytest

from edge.sensors.fix import Fix
from edge.sensors.quantities import FlatlineWatch
from edge.sensors.sensor import Measurement, SensorAddress, SensorError
from edge.sensors.simulated import open_simulated
from protocol.observation import Reading
from protocol.units import UnixMs

MIDNIGHT_MS = 1_795_996_800_000
HOUR_MS = 3_600_000


def told(word: str, *, seed: int = 0, every_ms: int = 60_000, count: int = 1_440) -> list[tuple[Measurement, ...]]:
    sensor = open_simulated(SensorAddress.parse(word, seed=seed))
    return [sensor.read(at_ms=UnixMs(MIDNIGHT_MS + k * every_ms)) for k in range(count)]


def values(word: str, *, seed: int = 0) -> list[int]:
    return [each.value for measured in told(word, seed=seed) for each in measured if isinstance(each, Reading)]


@pytest.mark.parametrize("word", ["temperature", "humidity", "pressure", "light", "pm", "co2", "gnss"])
def test_the_same_seed_is_the_same_day_and_another_is_another(word: str) -> None:
    first = told(f"simulated:{word}", seed=4, every_ms=HOUR_MS, count=24)
    assert first == told(f"simulated:{word}", seed=4, every_ms=HOUR_MS, count=24)
    assert first != told(f"simulated:{word}", seed=5, every_ms=HOUR_MS, count=24)
    if word != "gnss":
        assert first != told(f"simulated:{word}/attic", seed=4, every_ms=HOUR_MS, count=24)


def test_afternoons_are_warm_and_nights_are_dark() -> None:
    warmth, light = values("simulated:temperature"), values("simulated:light")
    assert statistics.mean(warmth[14 * 60 : 16 * 60]) - statistics.mean(warmth[2 * 60 : 4 * 60]) > 10_000
    assert light[:120] == [0] * 120
    assert min(light[11 * 60 : 14 * 60]) > 10_000_000


def test_none_of_them_is_a_flatline() -> None:
    watch = FlatlineWatch()
    for k, measured in enumerate(told("simulated:pressure")):
        for each in measured:
            assert isinstance(each, Reading)
            assert watch.judged(each, at_s=k * 60).flags == 0


def test_a_made_up_receiver_wanders_about_its_place_as_far_as_it_admits() -> None:
    fixes = [fix for (fix,) in told("simulated:gnss/52520008/13404954", every_ms=1_000, count=600)]
    errors_mm = [abs(fix.lat_udeg - 52_520_008) * 111 for fix in fixes if isinstance(fix, Fix) and fix.lat_udeg]
    assert len(errors_mm) == 600
    assert len(set(errors_mm)) > 30
    assert 300 < statistics.mean(errors_mm) < 5_000


@pytest.mark.parametrize("word", ["", "weather", "gnss/1", "gnss/a/b", "gnss/90000001/0", "gnss/1/2/3"])
def test_what_cannot_be_made_up_is_one_sentence(word: str) -> None:
    with pytest.raises(SensorError, match="write"):
        open_simulated(f"simulated:{word}")
