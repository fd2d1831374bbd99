"""One MQTT 3.1.1 connection, from CONNECT to its loss, on one socket and with no thread of its own.

Nothing is handed to it unless the broker owes few enough acknowledgements, and nothing is repeated: the outbox is the
only queue.
"""

import select
import socket
from collections.abc import Callable, Sequence
from typing import Final

from edge.errors import EdgeError
from edge.mqtt import (
    GOODBYE,
    PING,
    Kind,
    MqttError,
    Packet,
    PacketStream,
    acknowledge,
    connect,
    publish,
    published,
    subscribe,
)

_PATIENCE_S: Final = 10.0  # for TCP, CONNACK, SUBACK, PUBACK and PINGRESP; a broker that is slower is taken for dead
_SUBACK_FAILURE: Final = 0x80
_HEARD_MAX: Final = 1_024  # messages taken in one pump; a broker that floods is not listened to
_UNSENT_MAX_BYTES: Final = 16 << 20  # far above the widest window of the largest envelopes
_READ_BYTES: Final = 65_536
_NUMBERS: Final = 65_535  # packet identifiers: 1 to this
_REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not take this device's name",
    3: "it is not available",
    4: "it wants another user name or password",
    5: "this device is not allowed in",
}


class UplinkError(EdgeError):
    """The broker refused, went away or fell silent; the message says which. Trying again is the caller's part."""


class Connection:
    """A connection that is open from `open` to `close`. Used by one thread."""

    def __init__(
        self, *, client_id: str, keepalive_s: int, monotonic_s: Callable[[], float], is_persistent: bool = True
    ) -> None:
        """Prepare a session under ``client_id``, kept by the broker if persistent; nothing is sent yet."""
        self._client_id = client_id
        self._keepalive_s = keepalive_s
        self._is_persistent = is_persistent
        self._monotonic_s = monotonic_s
        self._socket: socket.socket | None = None
        self._stream = PacketStream()
        self._unsent = bytearray()
        self._sent_at_s = 0.0
        self._pinged_at_s: float | None = None
        self._number = 0
        self._heard: list[tuple[str, bytes]] = []
        self._owed: dict[int, float] = {}  # packet identifier -> when it was published
        self._is_accepted = False
        self._is_subscribed = False

    def open(self, host: str, port: int, *, topics: Sequence[str]) -> None:
        """Connect and subscribe to ``topics`` with QoS 1.

        Raises:
            UplinkError: unreachable, refused, or silent.
        """
        try:
            self._socket = socket.create_connection((host, port), timeout=_PATIENCE_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(0)  # never wait but in select
        except (OSError, ValueError) as error:
            raise UplinkError(f"the broker {host}:{port} cannot be reached: {error}") from error
        self._send(connect(self._client_id, keepalive_s=self._keepalive_s, is_persistent=self._is_persistent))
        self._pump_until(lambda: self._is_accepted, f"{host}:{port} does not answer as an MQTT broker")
        self._send(subscribe(self._next_number(), topics))
        self._pump_until(lambda: self._is_subscribed, "the broker does not confirm the subscriptions")

    @property
    def unacknowledged(self) -> int:
        """How many published messages the broker has not acknowledged."""
        return len(self._owed)

    def publish(self, topic: str, block: bytes) -> None:
        """Hand ``block`` to the broker, QoS 1.

        Raises:
            UplinkError: the connection is gone.
        """
        number = self._next_number()
        self._send(publish(number, topic, block))
        self._owed[number] = self._monotonic_s()

    def pump(self, wait_s: float) -> list[tuple[str, bytes]]:
        """Read and write for at most about ``wait_s``; return what was heard, as (topic, payload).

        Raises:
            UplinkError: the connection was lost, refused or fell silent.
        """
        link = self._required()
        readable, writable, _ = select.select([link], [link] if self._unsent else [], [], wait_s)
        if writable:
            self._send(b"")
        if readable:
            self._read(link)
        self._keep_alive()
        if self._owed and self._monotonic_s() - min(self._owed.values()) > _PATIENCE_S:
            raise UplinkError(f"the broker has not acknowledged {len(self._owed)} messages for {_PATIENCE_S:.0f} s")
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Say goodbye if somebody is listening, and let the socket go. Never raises."""
        if self._socket is not None:
            try:
                self._socket.sendall(GOODBYE)
            except OSError:
                pass  # nobody is
            finally:
                self._socket.close()
                self._socket = None

    def _required(self) -> socket.socket:
        if self._socket is None:
            raise UplinkError("the connection is closed")
        return self._socket

    def _next_number(self) -> int:
        self._number = self._number % _NUMBERS + 1
        return self._number

    def _send(self, more: bytes) -> None:
        link = self._required()
        self._unsent += more
        if len(self._unsent) > _UNSENT_MAX_BYTES:
            raise UplinkError("the broker takes nothing any more")
        try:
            sent = link.send(self._unsent)
        except BlockingIOError:
            return  # the next pump goes on
        except OSError as error:
            raise UplinkError(f"the connection was lost: {error}") from error
        del self._unsent[:sent]
        self._sent_at_s = self._monotonic_s()

    def _read(self, link: socket.socket) -> None:
        try:
            more = link.recv(_READ_BYTES)
            if not more:
                raise UplinkError("the connection was lost: the broker closed it")
            for packet in self._stream.feed(more):
                self._take(packet)
        except BlockingIOError:
            return
        except OSError as error:
            raise UplinkError(f"the connection was lost: {error}") from error
        except MqttError as error:
            raise UplinkError(f"the broker does not speak MQTT as it should: {error}") from error

    def _keep_alive(self) -> None:
        now_s = self._monotonic_s()
        if self._pinged_at_s is not None:
            if now_s - self._pinged_at_s > _PATIENCE_S:
                raise UplinkError(f"the broker has been silent for {_PATIENCE_S:.0f} s")
        elif self._is_accepted and now_s - self._sent_at_s > self._keepalive_s * 0.8:
            self._send(PING)
            self._pinged_at_s = now_s

    def _pump_until(self, is_done: Callable[[], bool], complaint: str) -> None:
        give_up_at_s = self._monotonic_s() + _PATIENCE_S
        kept: list[tuple[str, bytes]] = []
        while not is_done():
            if self._monotonic_s() > give_up_at_s:
                raise UplinkError(complaint)
            kept += self.pump(0.1)
        self._heard = kept + self._heard

    def _take(self, packet: Packet) -> None:
        match packet.kind:
            case Kind.PUBLISH:
                self._take_publication(packet)
            case Kind.PUBACK:
                self._owed.pop(packet.number(), None)
            case Kind.PINGRESP:
                self._pinged_at_s = None
            case Kind.CONNACK:
                self._take_welcome(packet)
            case Kind.SUBACK:
                self._take_subscription(packet)
            case _:
                raise MqttError(f"a packet of kind {packet.kind}")

    def _take_publication(self, packet: Packet) -> None:
        publication = published(packet)
        if publication.number is not None:
            self._send(acknowledge(publication.number))
        if len(self._heard) < _HEARD_MAX:
            self._heard.append((publication.topic, publication.payload))

    def _take_welcome(self, packet: Packet) -> None:
        code = packet.number() & 0xFF  # behind the byte that says whether there was a session
        if code:
            raise UplinkError(f"the broker refused the connection: {_REFUSALS.get(code, f'code {code}')}")
        self._is_accepted = True

    def _take_subscription(self, packet: Packet) -> None:
        packet.number()
        if any(code >= _SUBACK_FAILURE for code in packet.body[2:]):
            raise UplinkError("the broker refused a subscription: ask its operator whether this device may listen")
        self._is_subscribed = True
