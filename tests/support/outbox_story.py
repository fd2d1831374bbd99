"""An outbox with everything around it that signs and settles: for tests of what it keeps, gives up and tells."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxLimits, Waiting
from edge.keeping.outbox_lane import Lane
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from protocol.envelope import NO_MODEL, open_envelope
from protocol.observation import Crossing, Gap, GapReason, Observation, Quantity, Reading
from protocol.receipt import ReceiptLine
from protocol.units import Ppm, UnixMs
from protocol.verdict import Verdict
from tests.support.edge_story import BEACON, NETWORK, NOW_MS, PLACE, key_pair, person

HUB = key_pair("hub").public_key
OTHER_HUB = key_pair("other hub").public_key
SMALL = OutboxLimits(max_bytes=66 * 1_024, receipts=4)  # 66 of the smallest envelopes
ENROLLMENT_DIGEST = b"\xee" * 32


def crossing(number: int) -> Crossing:
    return Crossing(number, 0, 1, is_forward=True, crossed_at_ms=NOW_MS, confidence_ppm=Ppm(1))


def reading(number: int) -> Reading:
    return Reading(Quantity.TEMPERATURE_MDEGC, NOW_MS, number, 500)


MAKERS = (person, crossing, reading)  # of tracks, events and readings, the highest class first


@dataclass
class Desk:
    """A device's outbox, sequence file and signer in one folder, opened."""

    folder: Path
    outbox: Outbox
    ledger: SequenceLedger
    signer: EnvelopeSigner
    lanes: tuple[Lane, ...]
    made: int = field(default=0)

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limits: OutboxLimits = SMALL,
        hubs: int = 1,
        ledger_kind: type[SequenceLedger] = SequenceLedger,
    ) -> Self:
        path = folder / "sequence.json"
        if not path.exists():
            SequenceLedger.create(path)
        ledger = ledger_kind.open(path)
        outbox = Outbox.open(folder / "outbox.db", limits=limits)
        last = outbox.last()
        ledger.never_below(last.sequence if last else 0)
        signer = EnvelopeSigner(
            key_pair("device"), network=NETWORK, ledger=ledger, outbox=outbox, enrollment_digest=ENROLLMENT_DIGEST
        )
        lanes = tuple(Lane(outbox, key) for key in (HUB, OTHER_HUB)[:hubs])
        return cls(folder, outbox, ledger, signer, lanes, made=ledger.boot * 1_000_000)

    def close(self) -> None:
        self.outbox.close()
        self.ledger.close()

    def sign(self, kind: int = 0, *, count: int = 1, at_ms: int = NOW_MS) -> list[Waiting]:
        """Sign ``count`` envelopes of one observation each, one transaction each; kind as in `MAKERS`."""
        signed: list[Waiting] = []
        for _ in range(count):
            self.made += 1
            signed += self.signer.sign(draft(MAKERS[kind](self.made), at_ms=at_ms))
        return signed

    def tell_gaps(self) -> tuple[Gap, ...]:
        """Sign the record that is due; return what it tells."""
        gaps = self.signer.gaps_to_tell()
        if gaps:
            self.signer.sign(draft(*gaps), told=gaps)
        return gaps

    def settle(self, envelopes: Sequence[Waiting], *, lane: int = 0, verdict: Verdict = Verdict.ACCEPTED) -> None:
        lines = [ReceiptLine(each.sequence, each.digest, verdict) for each in envelopes]
        self.lanes[lane].settle(lines, receipt=b"receipt", heard_at_ms=NOW_MS)

    def waiting(self) -> list[int]:
        return sorted(each.sequence for each in self.outbox.every_one())

    def pending(self, reason: GapReason) -> Gap | None:
        return next((gap for gap in self.outbox.book.gaps if gap.reason is reason), None)


def draft(*observations: Observation, at_ms: int = NOW_MS) -> Draft:
    return Draft(BEACON, NO_MODEL, "1.0", PLACE, UnixMs(at_ms), observations)


def gaps_in(envelope: Waiting) -> list[Gap]:
    return [each for each in open_envelope(envelope.block)[1].observations if isinstance(each, Gap)]


def some(dice: random.Random, envelopes: Sequence[Waiting]) -> list[Waiting]:
    """A random part of ``envelopes``, in a random order."""
    return dice.sample(list(envelopes), dice.randint(0, len(envelopes)))
