"""Drivers are found by entry point; one that is broken says so in one sentence and harms nobody."""

import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint

import msgspec
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
    decode_order,
    encode,
)
from edge.sensors.opening import open_sensor
from edge.sensors.rounds import HANGING_AFTER_S, SensorRounds
from edge.sensors.sensor import ENTRY_POINT_GROUP, Measurement, Sensor, SensorAddress, SensorError
from protocol.observation import Quantity, Reading, ReadingFlag
from protocol.units import UnixMs
from tests.support.sensor_story import NOW_MS

WARM = Reading(Quantity.TEMPERATURE_MDEGC, NOW_MS, 20_000, 100)
NO_FIX = Fix(measured_at_ms=NOW_MS, dimension=0)


def driver(kind: str, value: str = "edge.sensors.simulated:open_simulated") -> EntryPoint:
    return EntryPoint(kind, value, ENTRY_POINT_GROUP)


class Scripted:
    """A sensor that does what it is told, each time something else."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.closed = 0

    @property
    def name(self) -> str:
        return "scripted:"

    def read(self, *, at_ms: UnixMs) -> tuple[Measurement, ...]:  # noqa: ARG002  # the seam gives the time
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, BaseException):
            raise answer
        if callable(answer):
            answer()
            return (WARM,)
        return answer  # type: ignore[return-value]  # some of them are not

    def close(self) -> None:
        self.closed += 1


class Driven:
    """Rounds over scripted sensors, turned by hand: the clock moves when it is told to."""

    def __init__(self, *sources: str, openers: dict[str, Callable[[], Sensor]], period_ms: int = 10_000) -> None:
        self.now_s = 0.0
        self.woken = threading.Semaphore(0)
        self.rounds = SensorRounds(
            [SensorAddress.parse(source) for source in sources],
            lambda address: openers[address.kind](),
            period_ms=period_ms,
            now_s=self.now_s,
        )

    def turn(self, *, answers: int = 0) -> list[Message]:
        """Ask who is due, wait for so many answers, and return what they say."""
        told = self.rounds.turn(now_s=self.now_s, now_ms=NOW_MS, wake=self.woken.release)
        for _ in range(answers):
            assert self.woken.acquire(timeout=10)
        return told + (self.rounds.turn(now_s=self.now_s, now_ms=NOW_MS, wake=self.woken.release) if answers else [])


def sentences(messages: list[Message]) -> list[str]:
    return [message.says for message in messages if isinstance(message, SensorFailed)]


def test_a_driver_is_found_by_the_word_before_the_colon() -> None:
    sensor = open_sensor(SensorAddress.parse("mine:temperature", seed=1), [driver("other"), driver("mine")])
    assert sensor.name == "mine:temperature"


def test_two_drivers_for_one_kind_are_refused_and_one_that_is_listed_twice_is_not() -> None:
    address = SensorAddress.parse("mine:temperature")
    assert open_sensor(address, [driver("mine"), driver("mine")]).name == "mine:temperature"
    with pytest.raises(SensorError, match="uninstall one of them"):
        open_sensor(address, [driver("mine"), driver("mine", "edge.sensors.gnss:open_gnss")])


def test_a_missing_driver_lists_those_there_are() -> None:
    with pytest.raises(SensorError, match="no driver for geiger:1: this installation has gnss, mine"):
        open_sensor(SensorAddress.parse("geiger:1"), [driver("gnss"), driver("mine")])
    with pytest.raises(SensorError, match="none at all, install it again"):
        open_sensor(SensorAddress.parse("geiger:1"), [])


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("hwmon:sht3x/temp1", SensorAddress("hwmon", "sht3x/temp1")),
        ("sds011:/dev/ttyUSB1@300000", SensorAddress("sds011", "/dev/ttyUSB1", 300_000)),
        ("gpsd:127.0.0.1:2947", SensorAddress("gpsd", "127.0.0.1:2947")),
        ("gpsd:", SensorAddress("gpsd", "")),
    ],
)
def test_words_are_kind_rest_and_perhaps_a_period(word: str, expected: SensorAddress) -> None:
    assert SensorAddress.parse(word) == expected


@pytest.mark.parametrize(
    "word",
    ["", "hwmon", "Hwmon:x", "x:y z", "x:\0", "x:y@", "x:y@5s", "x:y@999", "x:y@86400001", "x:a@1000@1000", "x:" * 200],
)
def test_what_is_no_sensor_s_word_is_one_sentence(word: str) -> None:
    with pytest.raises(SensorError):
        SensorAddress.parse(word)


def test_each_sensor_has_its_own_period_and_missed_turns_are_not_made_up_for() -> None:
    driven = Driven("a:", "b:@30000", openers={"a": lambda: Scripted((WARM,)), "b": lambda: Scripted((NO_FIX,))})
    assert {type(message) for message in driven.turn(answers=2)} == {ReadingTold, FixTold}
    told = []
    for second in range(1, 61):
        driven.now_s = second
        told += driven.turn(answers=(second % 10 == 0) + (second % 30 == 0))
    assert [type(message) for message in told].count(ReadingTold) == 6
    assert [type(message) for message in told].count(FixTold) == 2
    driven.now_s = 500
    assert len(driven.turn(answers=2)) == 2
    assert driven.rounds.next_s(at_most_s=1_000) == 510
    assert driven.rounds.next_s(at_most_s=505) == 505


def test_whatever_a_driver_raises_is_one_sentence_counted_and_the_rest_goes_on() -> None:
    spoilt = Scripted(ZeroDivisionError("division\n by zero"), SystemExit(3), SensorError("unplugged: plug it in"))
    openings = []

    def open_spoilt() -> Sensor:
        openings.append(1)
        return spoilt

    def import_error() -> Sensor:
        raise ImportError("no module named smbus")

    openers = {"a": open_spoilt, "b": import_error, "c": lambda: Scripted((WARM,))}
    driven = Driven("a:", "b:", "c:", openers=openers)
    first = driven.turn(answers=3)
    assert sentences(first) == [
        "the driver of a: failed with ZeroDivisionError (division by zero): report it to whoever wrote the driver",
        "the driver of b: failed with ImportError (no module named smbus): report it to whoever wrote the driver",
    ]
    assert ReadingTold("c:", WARM) in first
    driven.now_s = 10
    assert "SystemExit" in sentences(driven.turn(answers=3))[0]
    driven.now_s = 20
    assert sentences(driven.turn(answers=3))[0] == "unplugged: plug it in"
    driven.now_s = 30
    (third, _, _) = driven.turn(answers=3)
    assert isinstance(third, SensorFailed)
    assert third.failures == 4
    assert driven.rounds.failures == 8
    # Opened anew after each foreign error, closed before; a SensorError is no reason to.
    assert (len(openings), spoilt.closed) == (3, 2)


@pytest.mark.parametrize(
    "nonsense",
    [
        (),
        None,
        [WARM],
        (WARM,) * 65,
        ("21.4",),
        (None,),
        (msgspec.structs.replace(WARM, value=999_999),),
        (Reading("warm", NOW_MS, 1, 1),),  # type: ignore[arg-type]
        (Reading(Quantity.CO2_PPB, NOW_MS, 2**60, 1),),
        (Fix(measured_at_ms=NOW_MS, dimension=3, lat_udeg=10**9, lon_udeg=0),),  # type: ignore[arg-type]
        (msgspec.structs.replace(WARM, uncertainty=-1),),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_that_a_driver_gives_is_believed_unseen(nonsense: object) -> None:
    driven = Driven("a:", openers={"a": lambda: Scripted(nonsense)})
    (failed,) = driven.turn(answers=1)
    assert isinstance(failed, SensorFailed)
    assert "a:" in failed.says


def test_a_driver_that_hangs_delays_nobody_and_is_complained_of() -> None:
    let_go = threading.Event()
    driven = Driven("a:", "b:", openers={"a": lambda: Scripted(let_go.wait, (WARM,)), "b": lambda: Scripted((WARM,))})
    assert driven.turn(answers=1) == [ReadingTold("b:", WARM)]
    driven.now_s = HANGING_AFTER_S
    assert sentences(driven.turn(answers=1)) == ["a: has not answered for 15 s: unplug it and plug it in"]
    driven.now_s = HANGING_AFTER_S + 1
    assert driven.turn() == []
    let_go.set()
    assert driven.woken.acquire(timeout=10)
    assert driven.turn() == [ReadingTold("a:", WARM)]


def test_a_flatline_is_told_and_flagged() -> None:
    driven = Driven("a:", openers={"a": lambda: Scripted((WARM,))}, period_ms=3_600_000)
    for hour in range(24):
        driven.now_s = hour * 3_600
        assert driven.turn(answers=1) == [ReadingTold("a:", WARM)]
    driven.now_s = 24 * 3_600
    assert driven.turn(answers=1) == [ReadingTold("a:", msgspec.structs.replace(WARM, flags=ReadingFlag.STUCK))]


def test_stopping_closes_every_sensor() -> None:
    sensor = Scripted((WARM,))
    driven = Driven("a:", openers={"a": lambda: sensor})
    driven.turn(answers=1)
    driven.rounds.stop()
    driven.rounds._turns[0]._thread.shutdown(wait=True)
    assert sensor.closed == 1


@pytest.mark.parametrize(
    "message",
    [ReadingTold("a:", WARM), FixTold("b:", NO_FIX), SensorFailed("c:", "no: mend it", 3), Heartbeat(NOW_MS, 3, 1)],
)
def test_messages_come_back_as_they_were_said(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    assert decode_message(line) == message


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"\xff", b'{"type":"reading","source":"a"}', b'{"type":"fix","source":1}']
)
def test_what_is_no_message_is_one_sentence(line: bytes) -> None:
    with pytest.raises(SensorError, match="cannot be understood"):
        decode_message(line)


def test_an_order_comes_back_as_it_was_given_and_a_wrong_one_does_not() -> None:
    order = SensingOrder(sources=("hwmon:a/temp1", "simulated:pm@1000"), period_ms=5_000, seed=7)
    assert decode_order(encode(order)) == order
    assert [address.seed for address in order.addresses()] == [7, 7]
    for line in (b"", b"{}", b'{"sources":["nonsense"]}', b'{"sources":[],"period_ms":1}'):
        with pytest.raises(SensorError):
            decode_order(line)
