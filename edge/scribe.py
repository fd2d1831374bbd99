"""Writes down what was observed: observations into drafts, drafts into signed envelopes, patiently.

While the outbox cannot take more (disk full, limit reached) observations wait in memory, oldest first, up to a limit,
and are tried again ever more slowly; what finds no room is counted, never dropped in silence.
"""

from collections.abc import Callable, Iterable
from typing import Final

from edge.builder import DraftBuilder, Urgency
from edge.log import get_logger
from edge.outbox import OutboxError
from edge.sequence import SequenceError
from edge.signer import EnvelopeSigner
from protocol.beacon import Beacon
from protocol.classes import PERSON
from protocol.errors import MalformedError
from protocol.observation import Observation, Track
from protocol.units import UnixMs

_RETRY_MIN_S: Final = 1.0
_RETRY_MAX_S: Final = 30.0

log = get_logger()


class Scribe:
    """Used by one thread, the only one that signs."""

    def __init__(
        self,
        builder: DraftBuilder,
        signer: EnvelopeSigner,
        *,
        now_ms: Callable[[], UnixMs],
        monotonic_s: Callable[[], float],
    ) -> None:
        """Begin with nothing written."""
        self._builder = builder
        self._signer = signer
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._retry_wait_s = _RETRY_MIN_S
        self._retry_at_s = 0.0
        self.people = 0
        self.signed = 0
        self.trouble: str | None = None

    @property
    def waiting(self) -> int:
        """How many observations are not yet in an envelope."""
        return len(self._builder)

    @property
    def refused(self) -> int:
        """How many observations were lost for want of room."""
        return self._builder.refused

    def use_model(self, digest: bytes) -> None:
        """What is noted from now on was seen by the model with this SHA-256."""
        self._builder.use_model(digest)

    def note(self, observations: Iterable[Observation]) -> None:
        """Take in what vision and sensors have to say."""
        now_ms = self._now_ms()
        for each in observations:
            self.people += isinstance(each, Track) and each.class_id == PERSON and not each.continues
            self._builder.add(each, now_ms=now_ms)

    def write(self, *, beacon: Beacon | None, urgency: Urgency = Urgency.USUAL) -> None:
        """Sign every envelope that is due, as far as the outbox takes them."""
        if self._monotonic_s() < self._retry_at_s:
            return
        while (draft := self._builder.draft(now_ms=self._now_ms(), beacon=beacon, urgency=urgency)) is not None:
            try:
                signed = self._signer.sign(draft)
            except (OutboxError, SequenceError) as error:
                self._wait_after(str(error))
                return
            except MalformedError as error:
                # Never seen from our own parts; were it kept, it would block everything behind it for ever.
                self._builder.refused += len(draft.observations)
                log.error("draft_dropped", observations=len(draft.observations), reason=str(error))  # noqa: TRY400
            else:
                self.signed += 1
                log.debug("envelope_signed", sequence=signed.sequence, observations=len(draft.observations))
            self._builder.sent(draft)
        self.trouble = None
        self._retry_wait_s = _RETRY_MIN_S

    def retry_now(self) -> None:
        """Do not wait any longer with the next `write`: it is the last chance."""
        self._retry_at_s = 0.0

    def _wait_after(self, reason: str) -> None:
        self.trouble = reason
        self._retry_at_s = self._monotonic_s() + self._retry_wait_s
        log.warning(
            "envelope_not_stored",
            reason=reason,
            observations_waiting=self.waiting,
            observations_refused=self.refused,
            retry_in_ms=int(self._retry_wait_s * 1000),
        )
        self._retry_wait_s = min(self._retry_wait_s * 2, _RETRY_MAX_S)
