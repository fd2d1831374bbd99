"""Which receipts a batch earns: one a device, for every message that device provably signed and the batch lists."""

from collections.abc import Iterable
from dataclasses import dataclass

from hub.domain.admission import Opened
from protocol.identity import PublicKey
from protocol.payload import VERSION
from protocol.receipt import Receipt, ReceiptLine
from protocol.units import UnixMs
from protocol.verdict import Verdict


@dataclass(frozen=True, slots=True)
class BatchMark:
    """Which intake record the receipts refer to."""

    network: str
    epoch: int
    batch: int
    received_at_ms: UnixMs


def receipts_of(mark: BatchMark, judged: Iterable[tuple[Opened, Verdict]]) -> list[tuple[PublicKey, Receipt]]:
    """Return the receipts of a batch, in order of each device's first message.

    An unknown device is answered too: it learns that it has to enroll. Bytes whose signer is not proven are not.
    """
    lines: dict[PublicKey, list[ReceiptLine]] = {}
    for opened, verdict in judged:
        if opened.refusal is None and opened.key is not None:
            lines.setdefault(opened.key, []).append(ReceiptLine(opened.sequence, opened.digest, verdict))
    return [
        (
            key,
            Receipt(
                version=VERSION,
                network=mark.network,
                device=key.key_id,
                epoch=mark.epoch,
                batch=mark.batch,
                received_at_ms=mark.received_at_ms,
                lines=tuple(of_device),
            ),
        )
        for key, of_device in lines.items()
    ]
