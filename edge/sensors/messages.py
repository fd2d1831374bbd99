"""What the sensing process is told, and what it tells: one JSON object a line."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from edge.sensors.fix import Fix
from edge.sensors.sensor import PERIOD_MAX_MS, PERIOD_MIN_MS, SensorAddress, SensorError
from protocol.observation import Reading
from protocol.payload import Millis

MESSAGE_MAX_BYTES: Final = 1 << 16


class SensingOrder(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to read, and how often; the first and only line that the process is sent.

    Raises:
        SensorError: a source is no sensor's word.
    """

    sources: tuple[str, ...]
    period_ms: Annotated[int, Meta(ge=PERIOD_MIN_MS, le=PERIOD_MAX_MS)] = 60_000
    seed: int = 0  # what simulated sensors draw from

    def __post_init__(self) -> None:
        self.addresses()

    def addresses(self) -> tuple[SensorAddress, ...]:
        """Return the sensors to read."""
        return tuple(SensorAddress.parse(source, seed=self.seed) for source in self.sources)


class ReadingTold(Struct, frozen=True, forbid_unknown_fields=True, tag="reading"):
    """One number of one sensor."""

    source: str
    reading: Reading


class FixTold(Struct, frozen=True, forbid_unknown_fields=True, tag="fix"):
    """What a receiver says; at most once in its period."""

    source: str
    fix: Fix


class SensorFailed(Struct, frozen=True, forbid_unknown_fields=True, tag="failure"):
    """A sensor gave nothing this time; it is asked again at its next turn."""

    source: str
    says: str  # one sentence
    failures: int  # of this sensor, since the process began


class Heartbeat(Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat"):
    """The process lives."""

    at_ms: Millis
    sensors: int  # how many it looks after
    failures: int  # of all of them, since the process began


Message = ReadingTold | FixTold | SensorFailed | Heartbeat
_ORDER: Final = msgspec.json.Decoder(SensingOrder)
_MESSAGE: Final[msgspec.json.Decoder[Message]] = msgspec.json.Decoder(Message)


def encode(message: Message | SensingOrder) -> bytes:
    """Return one line, its end included."""
    return msgspec.json.encode(message) + b"\n"


def decode_order(line: bytes) -> SensingOrder:
    """Return what the process is told.

    Raises:
        SensorError: not an order.
    """
    try:
        return _ORDER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SensorError(f"the order to the sensing process cannot be read: {error}") from error


def decode_message(line: bytes) -> Message:
    """Return what the process tells.

    Raises:
        SensorError: not one of its messages; end the process and start it again.
    """
    try:
        return _MESSAGE.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SensorError(f"the sensing process said what cannot be understood: {error}") from error
