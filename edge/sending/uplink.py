"""The way up to one hub: envelopes; and the way back: receipts and beacons. The outbox is the only queue.

The broker's acknowledgement deletes nothing. The first `window` envelopes of the outbox are under way at any time; what
has no receipt after a while is sent again, and so is everything after a reconnect. Until the hub has receipted the
enrollment nothing else is sent; when it answers UNKNOWN_DEVICE the device enrolls anew and goes on.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from edge.keeping.outbox import OutboxError, Waiting
from edge.keeping.outbox_lane import Lane
from edge.log import get_logger
from edge.owning.identity import IdentityError
from edge.sending.connection import Connection, UplinkError
from edge.sending.enroller import Enroller
from edge.sending.hearing import UnbelievableError, believed_beacon, believed_receipt
from protocol.beacon import BeaconNotice
from protocol.identity import PublicKey
from protocol.receipt import Receipt
from protocol.topics import beacon_topic, enrollment_topic, envelope_topic, model_topic, receipt_topic
from protocol.units import UnixMs
from protocol.verdict import Verdict

log = get_logger()

_POLL_S: Final = 0.1  # how long a new envelope may wait to be noticed
_SETTLED_S: Final = 10.0  # a connection that lived this long was a good one: the next wait begins small again
_FIRST_WAIT_S: Final = 0.25
_REMEMBERED_WINDOWS: Final = 8
_PATIENCE_DOUBLINGS_MAX: Final = 3  # while the hub is silent, resends slow down to eight times the first interval


@dataclass(frozen=True, slots=True)
class Route:
    """Where to send, as whom, and whom to believe."""

    host: str
    port: int
    network: str
    device: PublicKey
    hub: PublicKey


@dataclass(frozen=True, slots=True)
class UplinkLimits:
    """Patience and width."""

    keepalive_s: int = 30
    window: int = 32  # envelopes under way at once
    resend_after_s: float = 5.0
    reconnect_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the uplink is given instead of looking: clocks, and chance to spread the reconnects of a fleet."""

    now_ms: Callable[[], UnixMs]
    monotonic_s: Callable[[], float]
    chance: Callable[[], float]  # uniform in [0, 1)


@dataclass(frozen=True, slots=True)
class UplinkState:
    """A snapshot for people."""

    is_connected: bool = False
    is_enrolled: bool = False
    beacon: BeaconNotice | None = None
    published: int = 0  # envelopes, resends included
    unbelievable: int = 0  # messages that proved nothing
    connections: int = 0  # since the start; more than one: it was lost and found again
    clock_offset_ms: int | None = None  # this device's time minus the hub's, when the last beacon came


class Uplink:
    """Brings the outbox to one hub. `run` belongs to one thread; `state` may be read from any."""

    def __init__(
        self,
        route: Route,
        *,
        lane: Lane,
        enroller: Enroller,
        limits: UplinkLimits,
        surroundings: Surroundings,
        hear_offer: Callable[[bytes], None] | None = None,
    ) -> None:
        """Put the parts together; nothing is sent before `run`.

        ``hear_offer`` takes in what this hub offers of models; it may raise UnbelievableError.
        """
        self._route = route
        self._lane = lane
        self._hear_offer = hear_offer
        self._enroller = enroller
        self._limits = limits
        self._surroundings = surroundings
        self._beacon: BeaconNotice | None = None
        self._is_connected = False
        self._connections = 0
        self._beacons_heard = 0  # on this connection
        self._clock_offset_ms: int | None = None
        self._published = 0
        self._unbelievable = 0
        self._enrollment_sent_s: float | None = None
        self._under_way: dict[int, float] = {}  # sequence -> when it was published on this connection
        self._silent_rounds = 0

    @property
    def state(self) -> UplinkState:
        """The uplink as it stands."""
        return UplinkState(
            is_connected=self._is_connected,
            is_enrolled=self._enroller.is_done,
            beacon=self._beacon,
            published=self._published,
            unbelievable=self._unbelievable,
            connections=self._connections,
            clock_offset_ms=self._clock_offset_ms,
        )

    def run(self, stop: threading.Event) -> None:
        """Connect, send and listen until ``stop``. Reconnects for ever, ever more slowly, with jitter."""
        failures = 0
        while not stop.is_set():
            began_s = self._surroundings.monotonic_s()
            try:
                self._connect_and_serve(stop)
            except (UplinkError, OutboxError, IdentityError) as error:
                is_settled = self._surroundings.monotonic_s() - began_s > _SETTLED_S
                failures = 0 if is_settled else failures + 1
                wait_s = self._wait_s(failures)
                log.warning("uplink_lost", hub=self._route.hub.did, reason=str(error), retry_in_ms=int(wait_s * 1000))
                stop.wait(wait_s)

    def _connect_and_serve(self, stop: threading.Event) -> None:
        route = self._route
        connection = Connection(
            client_id=route.device.name,
            keepalive_s=self._limits.keepalive_s,
            monotonic_s=self._surroundings.monotonic_s,
        )
        try:
            topics = [receipt_topic(route.network, route.device), beacon_topic(route.network)]
            topics += [model_topic(route.network)] if self._hear_offer is not None else []
            connection.open(route.host, route.port, topics=topics)
            log.info("uplink_connected", hub=route.hub.did, host=route.host, port=route.port)
            self._is_connected = True
            self._connections += 1
            self._beacons_heard = 0
            self._under_way.clear()
            self._enrollment_sent_s = None
            while not stop.is_set():
                self._send_due(connection)
                for topic, block in connection.pump(_POLL_S):
                    self._hear(topic, block)
        finally:
            self._is_connected = False
            connection.close()

    def _wait_s(self, failures: int) -> float:
        ceiling_s = min(self._limits.reconnect_max_s, _FIRST_WAIT_S * 2.0 ** min(failures, 20))
        return ceiling_s * (0.5 + 0.5 * self._surroundings.chance())

    def _send_due(self, connection: Connection) -> None:
        if not self._enroller.is_done:
            self._send_enrollment(connection)
            return
        now_s = self._surroundings.monotonic_s()
        late_s = now_s - self._patience_s()
        waiting = self._lane.waiting(at_most=self._limits.window)
        self._forget_what_left(waiting)
        overdue = [each for each in waiting if self._under_way.get(each.sequence, now_s) < late_s]
        if overdue:
            self._silent_rounds += 1
            log.warning(
                "receipts_overdue", hub=self._route.hub.did, envelopes=len(overdue), first_sequence=overdue[0].sequence
            )
        for envelope in waiting:
            is_due = envelope.sequence not in self._under_way or envelope in overdue
            if is_due and connection.unacknowledged < self._limits.window:
                connection.publish(envelope_topic(self._route.network, self._route.device), envelope.block)
                self._under_way[envelope.sequence] = now_s
                self._published += 1

    def _forget_what_left(self, waiting: Sequence[Waiting]) -> None:
        """What the policy took out of the outbox gets no receipt: do not remember for ever that it was sent."""
        if len(self._under_way) > _REMEMBERED_WINDOWS * self._limits.window:
            sequences = {each.sequence for each in waiting}
            self._under_way = {number: at_s for number, at_s in self._under_way.items() if number in sequences}

    def _send_enrollment(self, connection: Connection) -> None:
        now_s = self._surroundings.monotonic_s()
        if self._enrollment_sent_s is None or now_s - self._enrollment_sent_s > self._patience_s():
            self._silent_rounds += self._enrollment_sent_s is not None
            connection.publish(enrollment_topic(self._route.network, self._route.device), self._enroller.block)
            self._enrollment_sent_s = now_s

    def _patience_s(self) -> float:
        """Twice as long after each silent round: a hub that is away must not come back to a flood."""
        return self._limits.resend_after_s * 2.0 ** min(self._silent_rounds, _PATIENCE_DOUBLINGS_MAX)

    def _hear(self, topic: str, block: bytes) -> None:
        route = self._route
        try:
            if topic == beacon_topic(route.network):
                self._beacon = believed_beacon(block, hub=route.hub, network=route.network, held=self._beacon)
                self._beacons_heard += 1
                if self._beacons_heard > 1:  # the first may be an old one that the broker has kept
                    self._clock_offset_ms = self._surroundings.now_ms() - self._beacon.relayed_at_ms
            elif topic == model_topic(route.network) and self._hear_offer is not None:
                self._hear_offer(block)
            elif topic == receipt_topic(route.network, route.device):
                receipt = believed_receipt(block, hub=route.hub, network=route.network, device=route.device)
                self._take_receipt(receipt, block)
        except OutboxError as error:
            # The disk takes nothing at present. What this receipt settles is sent again, and receipted again.
            log.warning("receipt_not_stored", hub=route.hub.did, reason=str(error))
        except UnbelievableError as error:
            self._unbelievable += 1
            log.warning("message_disbelieved", hub=route.hub.did, reason=str(error))

    def _take_receipt(self, receipt: Receipt, block: bytes) -> None:
        self._silent_rounds = 0
        settled = self._lane.settle(receipt.lines, receipt=block, heard_at_ms=self._surroundings.now_ms())
        for sequence in settled:
            self._under_way.pop(sequence, None)
        for line in receipt.lines:
            if line.sequence == 0:
                self._enroller.hear(line)
            elif line.verdict is Verdict.UNKNOWN_DEVICE and line.sequence in self._under_way:
                self._enroller.forgotten()
        if not self._enroller.is_done:
            self._under_way.clear()  # whatever was sent before the enrollment counts is sent again after it
