"""The few packets of MQTT 3.1.1 (OASIS standard, 29 October 2014) that a device needs: bytes in, bytes out, no socket.

QoS 1 both ways. Written here because a library brings TLS, HTTP and proxies along, 2.5 MiB of the 35 that the process
with the key may weigh; and because what a broker sends is checked as if an attacker had sent it: every length is
bounded before anything is kept. Tested against two brokers, and with noise, in tests/unit/test_edge_mqtt.py and
tests/integration/test_connection.py.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

_LEVEL: Final = 4  # MQTT 3.1.1
_CLEAN: Final = 0x02
_QOS_1: Final = 0x02  # in the flags of PUBLISH
_QOS_MASK: Final = 0x06
_LENGTH_BYTES_MAX: Final = 4
MAX_PACKET_BYTES: Final = 1 << 18  # far above every receipt and beacon


class Kind(IntEnum):
    """The upper half of a packet's first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class MqttError(Exception):
    """What came is no packet that a broker may send to us."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, its body not looked into yet."""

    kind: int
    flags: int
    body: bytes

    def number(self) -> int:
        """Return the packet identifier that the body begins with.

        Raises:
            MqttError: it is too short.
        """
        if len(self.body) < 2:
            raise MqttError("a packet without its identifier")
        return int.from_bytes(self.body[:2])


@dataclass(frozen=True, slots=True)
class Publication:
    """What somebody published."""

    topic: str
    payload: bytes
    number: int | None  # to be acknowledged; None: QoS 0


def connect(client_id: str, *, keepalive_s: int, is_persistent: bool) -> bytes:
    """Return a CONNECT."""
    flags = 0 if is_persistent else _CLEAN
    body = _text("MQTT") + bytes([_LEVEL, flags]) + keepalive_s.to_bytes(2) + _text(client_id)
    return _packet(Kind.CONNECT, 0, body)


def subscribe(number: int, topics: Sequence[str]) -> bytes:
    """Return a SUBSCRIBE with QoS 1."""
    return _packet(Kind.SUBSCRIBE, 2, number.to_bytes(2) + b"".join(_text(topic) + b"\x01" for topic in topics))


def publish(number: int, topic: str, payload: bytes) -> bytes:
    """Return a PUBLISH with QoS 1."""
    return _packet(Kind.PUBLISH, _QOS_1, _text(topic) + number.to_bytes(2) + payload)


def acknowledge(number: int) -> bytes:
    """Return a PUBACK."""
    return _packet(Kind.PUBACK, 0, number.to_bytes(2))


PING: Final = bytes([Kind.PINGREQ << 4, 0])
GOODBYE: Final = bytes([Kind.DISCONNECT << 4, 0])


def published(packet: Packet) -> Publication:
    """Return what a PUBLISH carries.

    Raises:
        MqttError: malformed, or QoS 2, which nobody asked for.
    """
    body, qos = packet.body, packet.flags & _QOS_MASK
    topic_end = 2 + int.from_bytes(body[:2])
    payload_at = topic_end + (2 if qos else 0)
    if qos not in {0, _QOS_1} or len(body) < payload_at or len(body) < 2:
        raise MqttError("a publication that is malformed or of QoS 2")
    try:
        topic = body[2:topic_end].decode()
    except UnicodeDecodeError as error:
        raise MqttError("a topic that is not UTF-8") from error
    number = int.from_bytes(body[topic_end:payload_at]) if qos else None
    return Publication(topic, body[payload_at:], number)


class PacketStream:
    """Cuts what arrives into packets."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = bytearray()

    def feed(self, more: bytes) -> Iterator[Packet]:
        """Yield the packets that ``more`` completes.

        Raises:
            MqttError: a length that is malformed or larger than `MAX_PACKET_BYTES`.
        """
        self._rest += more
        while (head := self._head()) is not None and len(self._rest) >= sum(head):
            body_at, length = head
            first, body = self._rest[0], bytes(self._rest[body_at : body_at + length])
            del self._rest[: body_at + length]
            yield Packet(first >> 4, first & 0x0F, body)

    def _head(self) -> tuple[int, int] | None:
        """Where the first packet's body begins and how long it is; None while that is not known yet."""
        length = 0
        for index in range(_LENGTH_BYTES_MAX):
            if len(self._rest) < index + 2:
                return None
            byte = self._rest[index + 1]
            length |= (byte & 0x7F) << 7 * index
            if not byte & 0x80:
                if length > MAX_PACKET_BYTES:
                    raise MqttError(f"a packet of {length} bytes")
                return index + 2, length
        raise MqttError("a length of more than four bytes")


def _packet(kind: Kind, flags: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | 0x80 if length else digit)
        if not length:
            return bytes([kind << 4 | flags]) + encoded + body


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2) + raw
