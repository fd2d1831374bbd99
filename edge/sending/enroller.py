"""A device's enrollment with one hub: what is on offer until the hub has receipted it, and whether it has."""

from collections.abc import Callable
from typing import Self

from edge.keeping.outbox_lane import Lane
from edge.log import get_logger
from protocol.enrollment import parse_enrollment
from protocol.envelope import block_digest
from protocol.receipt import ReceiptLine
from protocol.verdict import Verdict

log = get_logger()


class Enroller:
    """The enrollment on offer: the one that the hub has receipted, or a fresh one until it has."""

    def __init__(self, lane: Lane, *, block: bytes, renew: Callable[[], bytes]) -> None:
        """Offer ``block``; ``renew`` makes another, with a later time, when the hub does not know the device."""
        self._lane = lane
        self._renew = renew
        self.block = block
        self.is_done = lane.enrolled() == block

    @classmethod
    def resume(cls, lane: Lane, *, renew: Callable[[], bytes]) -> Self:
        """Offer what the hub has receipted already, as long as it says what ``renew`` would say now; else a new one.

        Raises:
            MalformedError: what was remembered is no enrollment.
        """
        fresh, receipted = renew(), lane.enrolled()
        is_current = receipted is not None and _says(receipted) == _says(fresh)
        return cls(lane, block=receipted if is_current and receipted is not None else fresh, renew=renew)

    def hear(self, line: ReceiptLine) -> None:
        """Take in the hub's word on an enrollment.

        Raises:
            OutboxError: it cannot be remembered.
        """
        if line.digest != block_digest(self.block) or self.is_done:
            return
        if line.verdict in {Verdict.ACCEPTED, Verdict.DUPLICATE}:
            self._lane.set_enrolled(self.block)
            self.is_done = True
            log.info("enrollment_receipted")
        else:
            log.warning("enrollment_refused", verdict=line.verdict.slug)
            self.block = self._renew()

    def forgotten(self) -> None:
        """Begin again: the hub says that it does not know this device.

        Raises:
            OutboxError: it cannot be remembered.
        """
        if self.is_done:
            log.warning("enrollment_forgotten_by_hub")
            self._lane.set_enrolled(None)
            self.block = self._renew()
            self.is_done = False


def _says(block: bytes) -> tuple[str, bytes]:
    _, enrollment = parse_enrollment(block)
    return enrollment.network, enrollment.owner
