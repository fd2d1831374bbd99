"""One MQTT 3.1.1 connection, from CONNECT to its loss, with a fresh paho client and no thread of its own.

paho keeps what it could not send in memory without limit and repeats it after a reconnect; here a client is used for
one connection only, and nothing is handed to it unless the broker owes few enough acknowledgements.
"""

from collections.abc import Callable, Sequence
from typing import Final

from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import EdgeError

_PATIENCE_S: Final = 10.0  # for TCP, CONNACK, SUBACK and PUBACK; a broker that is slower is taken for dead
_SUBACK_FAILURE: Final = 0x80
_HEARD_MAX: Final = 1_024  # messages taken in one pump; a broker that floods is not listened to


class UplinkError(EdgeError):
    """The broker refused, went away or fell silent; the message says which. Trying again is the caller's part."""


class Connection:
    """A connection that is open from `open` to `close`. Used by one thread."""

    def __init__(
        self, *, client_id: str, keepalive_s: int, monotonic_s: Callable[[], float], is_persistent: bool = True
    ) -> None:
        """Prepare a session under ``client_id``, kept by the broker if persistent; nothing is sent yet."""
        self._monotonic_s = monotonic_s
        self._keepalive_s = keepalive_s
        self._heard: list[tuple[str, bytes]] = []
        self._owed: dict[int, float] = {}  # message id -> when it was published
        self._refusal: str | None = None
        self._is_accepted = False
        self._is_subscribed = False
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=not is_persistent,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = _PATIENCE_S
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        self._client = client

    def open(self, host: str, port: int, *, topics: Sequence[str]) -> None:
        """Connect and subscribe to ``topics`` with QoS 1.

        Raises:
            UplinkError: unreachable, refused, or silent.
        """
        try:
            self._client.connect(host, port, keepalive=self._keepalive_s)
        except (OSError, ValueError) as error:
            raise UplinkError(f"the broker {host}:{port} cannot be reached: {error}") from error
        self._pump_until(lambda: self._is_accepted, f"{host}:{port} does not answer as an MQTT broker")
        self._client.subscribe([(topic, 1) for topic in topics])
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
        sent = self._client.publish(topic, block, qos=1)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(f"publishing failed: {sent.rc.name}")
        self._owed[sent.mid] = self._monotonic_s()

    def pump(self, wait_s: float) -> list[tuple[str, bytes]]:
        """Read and write for at most about ``wait_s``; return what was heard, as (topic, payload).

        Raises:
            UplinkError: the connection was lost, refused or fell silent.
        """
        code = self._client.loop(timeout=wait_s)
        if self._refusal is not None:
            raise UplinkError(self._refusal)
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise UplinkError(f"the connection was lost: {code.name}")
        if self._owed and self._monotonic_s() - min(self._owed.values()) > _PATIENCE_S:
            raise UplinkError(f"the broker has not acknowledged {len(self._owed)} messages for {_PATIENCE_S:.0f} s")
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Say goodbye if somebody is listening, and let the socket go. Never raises."""
        self._client.disconnect()

    def _pump_until(self, is_done: Callable[[], bool], complaint: str) -> None:
        give_up_at_s = self._monotonic_s() + _PATIENCE_S
        kept: list[tuple[str, bytes]] = []
        while not is_done():
            if self._monotonic_s() > give_up_at_s:
                raise UplinkError(complaint)
            kept += self.pump(0.1)
        self._heard = kept + self._heard

    def _on_connect(
        self, _client: Client, _userdata: object, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._refusal = f"the broker refused the connection: {code}"
        self._is_accepted = True

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(code.value >= _SUBACK_FAILURE for code in codes):
            self._refusal = "the broker refused a subscription: ask its operator whether this device may listen"
        self._is_subscribed = True

    def _on_publish(
        self, _client: Client, _userdata: object, mid: int, _code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._owed.pop(mid, None)

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        if len(self._heard) < _HEARD_MAX:
            self._heard.append((message.topic, bytes(message.payload)))
