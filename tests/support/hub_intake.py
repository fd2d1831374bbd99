"""The hub's real intake, log and index for tests, with a hand on the clock and without a broker."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path

from hub.archive import Archive, ArchiveTerms
from hub.closing import EpochCloser
from hub.domain.admission import Message
from hub.domain.schedule import EpochSchedule
from hub.ingest.gauges import IntakeGauges
from hub.ingest.inbox import Delivery, Inbox
from hub.ingest.writer import IntakeWriter, WriterTerms
from hub.log.segments import SegmentLog
from hub.pinning.local import LocalPinStore
from hub.store.store import Store
from protocol.beacon import Beacon
from protocol.identity import PublicKey
from protocol.receipt import Receipt, open_receipt
from protocol.units import UnixMs
from protocol.verdict import Verdict
from tests.support.hub_story import BEACON, EPOCH_MS, HUB, NETWORK, START_MS, log_terms

SCHEDULE = EpochSchedule(START_MS, EPOCH_MS)


class NotedOutbox:
    """Notes what the writer sends, in the order it sends it."""

    def __init__(self) -> None:
        self.acknowledged: list[Delivery] = []
        self.receipts: list[Receipt] = []
        self.retained: dict[str, bytes] = {}
        self.acts: list[str] = []

    def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        self.acknowledged += deliveries
        self.acts.append("acknowledge")

    def publish(self, topic: str, block: bytes) -> None:
        signer, receipt = open_receipt(block)
        assert signer == HUB.public_key
        assert topic.endswith(PublicKey(receipt.device).name)
        self.receipts.append(receipt)
        self.acts.append("receipt")

    def retain(self, topic: str, block: bytes) -> None:
        self.retained[topic] = block
        self.acts.append("beacon")


class IntakeBench:
    """One hub's intake over ``folder`` and ``store``; the time is whatever ``now_ms`` says."""

    def __init__(self, folder: Path, store: Store, *, now_ms: int = START_MS) -> None:
        self.folder = folder
        self.segments = folder / "segments"
        self.store = store
        self.now_ms = now_ms
        self.outbox = NotedOutbox()
        self.gauges = IntakeGauges()
        self.stop = threading.Event()
        epoch = SCHEDULE.epoch_at(UnixMs(now_ms))
        self.log = SegmentLog.open(self.segments, log_terms(), epoch=epoch, opened_at_ms=UnixMs(now_ms))
        terms = WriterTerms(NETWORK, HUB, SCHEDULE, self.segments)
        self.writer = IntakeWriter(terms, self.log, store, inbox=Inbox(), outbox=self.outbox, gauges=self.gauges)

    def clock(self) -> UnixMs:
        return UnixMs(self.now_ms)

    def relay(self, beacon: Beacon = BEACON, made_at_ms: int = START_MS) -> None:
        self.writer.relay(beacon, UnixMs(made_at_ms))
        self.writer.turn(self.clock, self.stop)

    def take(self, *messages: Message) -> dict[tuple[bytes, int], Verdict]:
        """Take one batch in; return the receipts' verdicts by (device key id, sequence), the last one of each."""
        before = len(self.outbox.receipts)
        self.writer.take_in(
            [Delivery(message, 1, number + 1, 1, time.monotonic()) for number, message in enumerate(messages)],
            self.clock,
            self.stop,
        )
        return {
            (receipt.device, line.sequence): line.verdict
            for receipt in self.outbox.receipts[before:]
            for line in receipt.lines
        }

    def go_to_epoch(self, epoch: int) -> None:
        self.now_ms = SCHEDULE.starts_at_ms(epoch)
        self.writer.turn(self.clock, self.stop)

    def archive(self) -> Archive:
        terms = ArchiveTerms(NETWORK, HUB.public_key, SCHEDULE)
        return Archive(self.segments, self.folder / "epochs", LocalPinStore(self.folder / "pins"), terms)

    def closer(self) -> EpochCloser:
        return EpochCloser(self.archive(), self.store, segments=self.segments, hub=HUB.public_key, schedule=SCHEDULE)

    def close_epochs(self) -> int:
        return self.closer().close_until(self.writer.epoch, self.stop)

    def shut(self) -> None:
        self.writer.close()
        self.log.close()
