"""The writer: one thread through which everything enters the log, in this order and no other.

``take a batch -> open (threads) -> admit -> log + fsync -> index -> receipts -> acknowledge``

Nothing is receipted before it is logged and indexed, nothing acknowledged before its receipt is under way. If the
database fails, the batch stays on the disk and is tried again; receipts wait. If the process dies anywhere, the broker
delivers again and the log says DUPLICATE, so a device hears of its envelope in the end, and it counts once.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog

from hub.domain.admission import Opened, admit, open_message
from hub.domain.records import LogEntry
from hub.domain.schedule import EpochSchedule
from hub.domain.standing import MemoryStanding
from hub.ingest.gauges import IntakeGauges
from hub.ingest.inbox import Delivery, Inbox
from hub.ingest.receipts import BatchMark, receipts_of
from hub.log.reading import read_block
from hub.log.segments import BatchRef, SegmentLog
from hub.store.logged import Kept, LoggedBatch, LoggedEntry
from hub.store.session import StoreError
from hub.store.store import Store
from protocol.beacon import Beacon, BeaconNotice
from protocol.cose import parse_sign1
from protocol.identity import Signer
from protocol.logbook import Tally
from protocol.payload import decode_payload
from protocol.receipt import MAX_RECEIPTED, seal_receipt
from protocol.topics import beacon_topic, receipt_topic
from protocol.units import UnixMs
from protocol.verdict import Verdict

log = structlog.get_logger(__name__)

MOST_PER_BATCH: Final = MAX_RECEIPTED  # so that one receipt always has room for a batch of one device
MOST_REFUSALS_LISTED: Final = 256  # a flood is counted, not copied
_LINGER_S: Final = 0.004
_IDLE_S: Final = 0.1
_RETRY_S: Final = 0.5
_OPENERS: Final = 2

T = TypeVar("T")


class Outbox(Protocol):
    """Where receipts, beacons and acknowledgements go; see `hub.ingest.subscriber.Subscriber`."""

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Tell the broker that these are stored."""
        ...

    def publish(self, topic: str, block: bytes) -> None:
        """Send ``block`` to whoever listens now, at least once."""
        ...

    def retain(self, topic: str, block: bytes) -> None:
        """Send ``block`` to whoever listens now or later."""
        ...


@dataclass(frozen=True, slots=True)
class WriterTerms:
    """Who writes, for which network, in which epochs, where."""

    network: str
    signer: Signer
    schedule: EpochSchedule
    segments: Path


@dataclass(frozen=True, slots=True)
class _Judged:
    """A batch with its verdicts, the listed messages apart from the merely counted ones."""

    listed: list[tuple[Opened, Verdict]]
    unlisted: tuple[Tally, ...]
    counts: Counter[Verdict]


class IntakeWriter:
    """Owns the log while it runs."""

    def __init__(
        self,
        terms: WriterTerms,
        segment_log: SegmentLog,
        store: Store,
        *,
        inbox: Inbox,
        outbox: Outbox,
        gauges: IntakeGauges,
    ) -> None:
        self._terms = terms
        self._log = segment_log
        self._store = store
        self._inbox = inbox
        self._outbox = outbox
        self._gauges = gauges
        self._beacons: queue.SimpleQueue[tuple[Beacon, UnixMs]] = queue.SimpleQueue()
        self._openers = ThreadPoolExecutor(_OPENERS, thread_name_prefix="opener")
        self._oldest_in_hand_s: float | None = None
        self._epoch = segment_log.epoch

    @property
    def epoch(self) -> int:
        """The epoch being written. Every epoch before it is sealed; other threads may ask."""
        return self._epoch

    def relay(self, beacon: Beacon, made_at_ms: UnixMs) -> None:
        """Ask for ``beacon`` to be logged, indexed and published; returns at once."""
        self._beacons.put((beacon, made_at_ms))

    def oldest_unacknowledged_s(self) -> float:
        """How long the oldest message has been here without its acknowledgement."""
        in_hand = self._oldest_in_hand_s
        return self._inbox.oldest_waits_s() if in_hand is None else time.monotonic() - in_hand

    def run(self, stop: threading.Event, clock: Callable[[], UnixMs]) -> None:
        """Work until ``stop``, leaving nothing half done.

        Raises:
            LogError: the disk refused; whoever supervises this must end the hub, and nothing is lost by that.
        """
        try:
            while not stop.is_set():
                self.turn(clock, stop)
                deliveries = self._inbox.take(MOST_PER_BATCH, wait_s=_IDLE_S, linger_s=_LINGER_S)
                if deliveries:
                    self.take_in(deliveries, clock, stop)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the threads. `run` does that by itself."""
        self._openers.shutdown()

    def turn(self, clock: Callable[[], UnixMs], stop: threading.Event) -> None:
        """Do what time asks for: begin the next epoch's segment, relay waiting beacons."""
        self._turn_epoch(clock())
        while not self._beacons.empty():
            beacon, made_at_ms = self._beacons.get()
            self._relay_now(beacon, made_at_ms, clock(), stop)

    def take_in(self, deliveries: Sequence[Delivery], clock: Callable[[], UnixMs], stop: threading.Event) -> None:
        """Take one batch from arrival to acknowledgement; give up without acknowledging only on ``stop``."""
        self._oldest_in_hand_s = deliveries[0].arrived_s
        opened = self._open(deliveries)
        received_at_ms = max(clock(), self._log.latest_at_ms)
        self._turn_epoch(received_at_ms)
        judged = self._persist(lambda: self._judge(opened, received_at_ms), stop)
        if judged is None:
            return
        entries = [LogEntry(m.digest, v, m.block if v.is_kept else None) for m, v in judged.listed]
        started_s = time.monotonic()
        ref = self._log.append_batch(entries, judged.unlisted, received_at_ms=received_at_ms)
        self._gauges.batch_logged(judged.counts, (time.monotonic() - started_s) * 1_000)
        batch = _logged(ref, judged)
        if self._persist(lambda: self._store.index(batch), stop) is None:
            return
        mark = BatchMark(self._terms.network, ref.epoch, ref.batch, ref.received_at_ms)
        for device, receipt in receipts_of(mark, judged.listed):
            block = seal_receipt(receipt, self._terms.signer)
            self._outbox.publish(receipt_topic(self._terms.network, device), block)
        self._outbox.acknowledge(deliveries)
        self._oldest_in_hand_s = None

    def _open(self, deliveries: Sequence[Delivery]) -> list[Opened]:
        """Check the signatures on two threads: libsodium lets go of the interpreter while it works."""
        middle = len(deliveries) // 2
        halves = (deliveries[:middle], deliveries[middle:]) if len(deliveries) > 8 else (deliveries,)
        opened = [message for half in self._openers.map(self._open_all, halves) for message in half]
        # Brokers keep the order within a topic only: an enrollment may arrive behind the first envelopes.
        return sorted(opened, key=lambda message: message.enrollment is None)

    def _open_all(self, deliveries: Sequence[Delivery]) -> list[Opened]:
        return [open_message(delivery.message, self._terms.network) for delivery in deliveries]

    def _judge(self, opened: Sequence[Opened], received_at_ms: UnixMs) -> _Judged:
        standing = MemoryStanding(self._store.standing_of(opened))
        listed: list[tuple[Opened, Verdict]] = []
        unlisted: Counter[Verdict] = Counter()
        counts: Counter[Verdict] = Counter()
        refusals = 0
        for message in opened:
            verdict = admit(message, standing, self._log.policy, received_at_ms=received_at_ms)
            standing.learn(message, verdict)
            counts[verdict] += 1
            refusals += not verdict.is_final
            if verdict.is_final or refusals <= MOST_REFUSALS_LISTED:
                listed.append((message, verdict))
            else:
                unlisted[verdict] += 1
        tallies = tuple(Tally(verdict, count) for verdict, count in sorted(unlisted.items()))
        return _Judged(listed, tallies, counts)

    def _persist(self, act: Callable[[], T], stop: threading.Event) -> T | None:
        """Ask the database until it answers; None only if told to stop first."""
        while True:
            try:
                return act()
            except StoreError as error:
                self._gauges.index_failed()
                log.warning("index_failed", error=str(error), retry_in_ms=int(_RETRY_S * 1_000))
            if stop.wait(_RETRY_S):
                return None

    def _turn_epoch(self, now_ms: UnixMs) -> None:
        epoch = self._terms.schedule.epoch_at(max(now_ms, self._log.latest_at_ms))
        if epoch > self._log.epoch:
            sealed = self._log.roll(epoch=epoch, sealed_at_ms=now_ms)
            self._epoch = epoch
            log.info("segment_sealed", segment=sealed.segment, epoch=sealed.epoch, size_bytes=sealed.size_bytes)

    def _relay_now(self, beacon: Beacon, made_at_ms: UnixMs, now_ms: UnixMs, stop: threading.Event) -> None:
        place = self._log.append_notice(beacon, made_at_ms=made_at_ms, relayed_at_ms=now_ms)
        block = read_block((self._terms.segments,), place)
        notice = decode_payload(parse_sign1(block).payload, BeaconNotice)
        # Whatever is in the log must be in the index before the next message is judged by it: a replay will be.
        if self._persist(lambda: self._store.index(notice), stop) is None:
            return
        self._outbox.retain(beacon_topic(self._terms.network), block)
        self._gauges.beacon_relayed(notice.relayed_at_ms)


def _logged(ref: BatchRef, judged: _Judged) -> LoggedBatch:
    places = iter(ref.kept)
    return LoggedBatch(
        batch=ref.batch,
        segment=ref.segment,
        epoch=ref.epoch,
        received_at_ms=ref.received_at_ms,
        entries=tuple(
            LoggedEntry(message.digest, verdict, Kept(message, next(places)) if verdict.is_kept else None)
            for message, verdict in judged.listed
        ),
        unlisted=judged.unlisted,
    )
