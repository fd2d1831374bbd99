"""The hub's one MQTT client: MQTT 3.1.1, persistent session, acknowledgement by hand after the durable write.

paho-mqtt reconnects by itself, for ever, with a bounded pause. Two traps are closed here: a packet id acknowledged on
another connection than it came from could acknowledge a message that was never stored, so every delivery remembers its
connection; and an exception in a callback would end the network thread and leave a hub that hears nothing, so it is
logged instead.
"""

import threading
import time
from collections.abc import Iterable
from typing import Final

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hub.broker.address import BrokerAddress
from hub.domain.admission import Message
from hub.ingest.gauges import IntakeGauges
from hub.ingest.inbox import Delivery, Inbox
from protocol.topics import intake_filters

log = structlog.get_logger(__name__)

_KEEPALIVE_S: Final = 30
_MOST_UNDER_WAY: Final = 1_000  # receipts without their PUBACK
_MOST_QUEUED: Final = 50_000  # receipts while the broker is away; a device whose receipt is lost sends again
_LONGEST_PAUSE_S: Final = 5


class Subscriber:
    """Takes deliveries from the broker into the inbox; acknowledges and publishes for the writer."""

    def __init__(
        self, address: BrokerAddress, *, network: str, client_id: str, inbox: Inbox, gauges: IntakeGauges
    ) -> None:
        """Prepare; nothing connects before `start`. ``client_id`` names the session at the broker: keep it stable."""
        self._address = address
        self._filters = intake_filters(network)
        self._inbox = inbox
        self._gauges = gauges
        self._connection = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._subscribed = threading.Event()
        self._retained: dict[str, bytes] = {}
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if address.is_encrypted:
            client.tls_set()
        if address.username is not None:
            client.username_pw_set(address.username, address.password)
        client.max_inflight_messages_set(_MOST_UNDER_WAY)
        client.max_queued_messages_set(_MOST_QUEUED)
        client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
        client.suppress_exceptions = True
        client.on_log = self._on_log
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._client = client

    def start(self) -> None:
        """Begin to connect; go on until `stop`."""
        self._client.connect_async(self._address.host, self._address.port, keepalive=_KEEPALIVE_S)
        self._client.loop_start()

    def stop(self) -> None:
        """Let go of the broker. The session stays, and with it every message not yet acknowledged."""
        self._stopping.set()
        self._client.disconnect()
        self._client.loop_stop()

    def await_subscribed(self, timeout_s: float) -> bool:
        """Wait until the broker has confirmed the subscriptions; False if it has not within ``timeout_s``."""
        return self._subscribed.wait(timeout_s)

    @property
    def is_connected(self) -> bool:
        """Whether deliveries can come now."""
        return self._subscribed.is_set()

    def acknowledge(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker that these are stored. Those of a connection that is gone will be delivered again."""
        with self._lock:
            for delivery in deliveries:
                if delivery.qos > 0 and delivery.connection == self._connection:
                    self._client.ack(delivery.packet_id, delivery.qos)

    def publish(self, topic: str, block: bytes) -> None:
        """Send ``block`` at QoS 1, now or when the broker is back."""
        outcome = self._client.publish(topic, block, qos=1)
        if outcome.rc is MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:
            log.warning("receipt_not_sent", reason="queue is full; the device will send again")

    def retain(self, topic: str, block: bytes) -> None:
        """Publish ``block`` retained, now and whenever the broker has been away; an empty one takes the last away."""
        with self._lock:
            self._retained[topic] = block
            if not block and self.is_connected:
                del self._retained[topic]
        if self.is_connected:
            self._client.publish(topic, block, qos=1, retain=True)

    def _on_connect(
        self, client: Client, _userdata: object, _flags: ConnectFlags, reason: ReasonCode, _: Properties | None
    ) -> None:
        if reason.is_failure:
            log.error("broker_refused", reason=str(reason))
            return
        self._next_connection()
        client.subscribe([(topic, 1) for topic in self._filters])
        with self._lock:
            retained = dict(self._retained)
            self._retained = {topic: block for topic, block in retained.items() if block}
        for topic, block in retained.items():
            client.publish(topic, block, qos=1, retain=True)

    def _on_subscribe(
        self, _client: Client, _userdata: object, _mid: int, reasons: list[ReasonCode], _: Properties | None
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            log.error("subscription_refused", reasons=[str(reason) for reason in reasons])
            return
        self._subscribed.set()
        log.info("broker_connected", host=self._address.host, port=self._address.port)

    def _on_disconnect(
        self, _client: Client, _userdata: object, _flags: DisconnectFlags, reason: ReasonCode, _: Properties | None
    ) -> None:
        self._subscribed.clear()
        self._next_connection()
        if not self._stopping.is_set():
            log.warning("broker_lost", reason=str(reason))

    def _on_log(self, _client: Client, _userdata: object, level: int, line: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            log.error("mqtt_client_failed", line=line[:300])

    def _next_connection(self) -> None:
        with self._lock:
            self._connection += 1

    def _on_message(self, _client: Client, _userdata: object, received: MQTTMessage) -> None:
        try:
            topic = received.topic
        except UnicodeDecodeError:
            topic = ""  # no intake topic: gets its verdict like everything else
        delivery = Delivery(
            Message(topic, bytes(received.payload)), received.qos, received.mid, self._connection, time.monotonic()
        )
        # Waiting here holds back the broker, which is what we want of confirmed deliveries and not of the others.
        while not self._inbox.put(delivery, wait_s=1.0 if received.qos else 0.0):
            if received.qos == 0:
                self._gauges.delivery_dropped()
                return
            if self._stopping.is_set():
                return
