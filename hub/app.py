"""The hub put together: the one place that knows every part, reads the clock, and stops everything in order."""

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog

from hub.beacon import BeaconError, ChainBeacons, MadeBeacon, SelfMadeBeacons
from hub.broker.address import BrokerAddress
from hub.broker.embedded import EmbeddedBroker
from hub.closing import EpochCloser
from hub.domain.judging import JudgingError
from hub.home import HubHome
from hub.http.app import create_app
from hub.http.desk import Desk, HubFacts, Pulse
from hub.http.server import HttpServer
from hub.ingest.adoptions import AdoptionRelay
from hub.ingest.gauges import IntakeGauges
from hub.ingest.inbox import Inbox
from hub.ingest.subscriber import Subscriber
from hub.ingest.writer import IntakeWriter, WriterTerms
from hub.log.epochs import ArchiveError
from hub.log.errors import LogError
from hub.log.segments import SegmentLog
from hub.models import Shelf, ShelfError
from hub.opening import open_closer, open_log
from hub.pinning.local import LocalPinStore
from hub.pinning.pinner import PinningError
from hub.reindex import catch_up
from hub.settings import HubSettings
from hub.store.session import StoreError
from hub.store.store import Store
from protocol.identity import KeyPair
from protocol.logbook import Policy
from protocol.topics import model_topic
from protocol.units import UnixMs

log = structlog.get_logger(__name__)

CONSOLE: Final = Path(__file__).with_name("console") / "dist"
_CLOSER_POLL_S: Final = 0.2
_CLOSER_RETRY_S: Final = 5.0
_SHELF_POLL_S: Final = 0.5
_OFFER_REPEAT_S: Final = 60.0
_BROKER_WAIT_S: Final = 20.0
_JOIN_S: Final = 30.0


def wall_clock() -> UnixMs:
    """Return the time of this machine."""
    return UnixMs(time.time_ns() // 1_000_000)


def policy_of(settings: HubSettings) -> Policy:
    """Return the admission limits as the log writes them down."""
    return Policy(
        max_clock_skew_ms=settings.max_clock_skew_seconds * 1_000,
        beacon_window_ms=settings.beacon_window_seconds * 1_000,
        max_lateness_ms=settings.max_lateness_seconds * 1_000,
    )


def database_url(settings: HubSettings, home: HubHome) -> str:
    """Return where the index is."""
    return home.database_url if settings.database_url is None else settings.database_url.get_secret_value()


@dataclass(frozen=True, slots=True)
class Ready:
    """Where a running hub is found."""

    http: str
    mqtt_host: str
    mqtt_port: int
    hub: str
    network: str
    genesis_ms: int
    epoch_ms: int


@dataclass(frozen=True, slots=True)
class _Intake:
    inbox: Inbox
    gauges: IntakeGauges
    subscriber: Subscriber
    writer: IntakeWriter


class Hub:
    """One hub. `start`, then `wait`, then `stop`; not to be started again."""

    def __init__(self, settings: HubSettings, home: HubHome) -> None:
        self._settings = settings
        self._home = home
        self._stop = threading.Event()
        self._failure: str | None = None
        self._troubles: dict[str, str] = {}
        self._undo: list[Callable[[], None]] = []

    def start(self) -> Ready:
        """Bring everything up; on an error, take down what was up already.

        Raises:
            HomeError, StoreError, LogError, PinningError, BrokerError, HttpError: one sentence that says what to do.
        """
        try:
            return self._start()
        except Exception:
            self.stop()
            raise

    def wait(self, stop: threading.Event) -> str | None:
        """Return when ``stop`` is set, or with a sentence when a part has failed for good."""
        while not stop.is_set() and not self._stop.wait(0.1):
            pass
        return self._failure

    def stop(self) -> None:
        """Stop everything, the last started first."""
        self._stop.set()
        while self._undo:
            self._undo.pop()()

    def _start(self) -> Ready:
        settings, home = self._settings, self._home
        signer, genesis = home.signer(), home.genesis()
        server = HttpServer(settings.http_host, settings.http_port)
        self._undo.append(server.stop)
        store = Store.open(database_url(settings, home))
        self._undo.append(store.database.close)
        segment_log = open_log(home, signer, policy_of(settings), wall_clock())
        self._undo.append(segment_log.close)
        caught_up = catch_up(store, home.segments, signer.public_key)
        if caught_up:
            log.info("index_caught_up", batches=caught_up)
        address = self._start_broker()
        intake = self._start_intake(segment_log, store, signer, address)
        closer = open_closer(home, signer, store)
        self._run_apart("beacons", lambda: self._relay_beacons(intake.writer))
        self._run_apart("models", lambda: self._relay_model_offers(intake.subscriber))
        self._run_apart("epochs", lambda: self._close_epochs(closer, intake.writer))
        facts = HubFacts(
            version=version("cairn-network"),
            name=settings.name,
            network=genesis.network,
            key=signer.public_key,
            schedule=genesis.schedule,
            policy=policy_of(settings),
            broker=replace(address, host=settings.mqtt_public_host or address.host),
        )
        server.start(create_app(self._desk(facts, store, intake)))
        self._undo.append(server.stop)  # first to stop now: it looks at all the rest
        return Ready(
            http=server.url,
            mqtt_host=address.host,
            mqtt_port=address.port,
            hub=signer.public_key.did,
            network=genesis.network,
            genesis_ms=genesis.genesis_ms,
            epoch_ms=genesis.epoch_ms,
        )

    def _start_intake(self, segment_log: SegmentLog, store: Store, signer: KeyPair, address: BrokerAddress) -> _Intake:
        genesis = self._home.genesis()
        inbox, gauges = Inbox(), IntakeGauges()
        client_id = f"cairn-hub-{signer.public_key.name[-12:]}"
        subscriber = Subscriber(address, network=genesis.network, client_id=client_id, inbox=inbox, gauges=gauges)
        self._undo.append(subscriber.stop)
        terms = WriterTerms(genesis.network, signer, genesis.schedule, self._home.segments)
        writer = IntakeWriter(terms, segment_log, store, inbox=inbox, outbox=subscriber, gauges=gauges)
        self._run_apart("intake", lambda: writer.run(self._stop, wall_clock))
        subscriber.start()
        if not subscriber.await_subscribed(_BROKER_WAIT_S):
            log.warning("broker_not_there_yet", host=address.host, port=address.port)
        return _Intake(inbox, gauges, subscriber, writer)

    def _desk(self, facts: HubFacts, store: Store, intake: _Intake) -> Desk:
        home = self._home

        def pulse() -> Pulse:
            return Pulse(
                intake=intake.gauges.read(),
                queue_depth=intake.inbox.depth(),
                oldest_unacknowledged_ms=int(intake.writer.oldest_unacknowledged_s() * 1_000),
                broker_connected=intake.subscriber.is_connected,
                disk_free_bytes=shutil.disk_usage(home.folder).free,
                troubles=tuple(self._troubles.values()),
                failure=self._failure,
            )

        return Desk(
            facts=facts,
            store=store,
            pinner=LocalPinStore(home.pins),
            car_folders=(home.segments, home.epochs),
            shelf=Shelf(home.models),
            console=CONSOLE,
            clock=wall_clock,
            pulse=pulse,
            adoptions=AdoptionRelay(intake.subscriber, network=facts.network, monotonic_s=time.monotonic),
        )

    def _start_broker(self) -> BrokerAddress:
        settings = self._settings
        if settings.broker_url is not None:
            return BrokerAddress.parse(settings.broker_url.get_secret_value())
        broker = EmbeddedBroker(self._home.broker, host=settings.mqtt_host, port=settings.mqtt_port)
        broker.start()
        self._undo.append(broker.stop)
        return broker.address

    def _run_apart(self, name: str, work: Callable[[], None]) -> None:
        """Run ``work`` on a thread; whatever ends it before its time ends the hub."""

        def supervised() -> None:
            try:
                work()
            except Exception as error:  # the supervisor: nothing may end a part unseen
                self._failure = f"{name} stopped: {error}"
                log.exception("part_failed", part=name)
                self._stop.set()

        thread = threading.Thread(target=supervised, name=name, daemon=True)
        thread.start()
        self._undo.append(lambda: thread.join(_JOIN_S))

    def _relay_beacons(self, writer: IntakeWriter) -> None:
        settings = self._settings
        source = (
            SelfMadeBeacons(wall_clock, int(settings.beacon_seconds * 1_000))
            if settings.chain_rpc is None
            else ChainBeacons(settings.chain_rpc.get_secret_value())
        )
        last: MadeBeacon | None = None
        while not self._stop.is_set():
            try:
                made = source.latest()
                if made != last:
                    writer.relay(made.beacon, made.made_at_ms)
                    last = made
                self._troubles.pop("beacons", None)
            except BeaconError as error:
                if "beacons" not in self._troubles:
                    log.warning("beacon_not_fetched", error=str(error))
                self._troubles["beacons"] = str(error)
            self._stop.wait(settings.beacon_seconds)
        source.close()

    def _relay_model_offers(self, subscriber: Subscriber) -> None:
        """Publish the offer that stands, retained, at the start and whenever the operator has made another."""
        shelf, topic = Shelf(self._home.models), model_topic(self._home.genesis().network)
        published, repeat_at_s = b"", 0.0
        while not self._stop.is_set():
            try:
                standing = shelf.standing()
                if standing is not None and (standing[0] != published or time.monotonic() >= repeat_at_s):
                    # Again from time to time: on an open broker anybody may put something else in its place.
                    published, repeat_at_s = standing[0], time.monotonic() + _OFFER_REPEAT_S
                    subscriber.retain(topic, published)
                    log.debug("model_offer_relayed", percent=standing[1].percent)
                self._troubles.pop("models", None)
            except ShelfError as error:
                self._troubles["models"] = str(error)
            self._stop.wait(_SHELF_POLL_S)

    def _close_epochs(self, closer: EpochCloser, writer: IntakeWriter) -> None:
        """Close what is over. The writer says what that is: it has sealed everything before its own epoch."""
        while not self._stop.is_set():
            try:
                closer.close_until(writer.epoch, self._stop)
                self._troubles.pop("epochs", None)
                self._stop.wait(_CLOSER_POLL_S)
            except (ArchiveError, LogError, JudgingError, PinningError, StoreError) as error:
                # Intake goes on: nothing that arrives depends on the epoch before being published.
                log.error("epoch_not_closed", error=str(error))  # noqa: TRY400 # the sentence is made for people
                self._troubles["epochs"] = f"an epoch could not be closed: {error}"
                self._stop.wait(_CLOSER_RETRY_S)
