"""Writes down what was observed: observations into drafts, drafts into signed envelopes, patiently.

While the outbox cannot be written (disk full, read-only) observations wait in memory up to a limit and are tried again
ever more slowly. What finds no room is counted and told in a signed record as soon as the disk takes it.
"""

from collections.abc import Callable, Iterable
from typing import Final

from edge.keeping.builder import Draft, DraftBuilder, Urgency
from edge.keeping.outbox import OutboxError, Waiting
from edge.keeping.sequence import SequenceError
from edge.keeping.signer import EnvelopeSigner
from edge.log import get_logger
from edge.owning.identity import IdentityError
from protocol.beacon import Beacon
from protocol.classes import PERSON
from protocol.errors import MalformedError
from protocol.observation import Gap, Observation, Position, Track
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
        self.last_signed: tuple[Waiting, Observation] | None = None  # the last envelope, and the last thing in it
        self.trouble: str | None = None

    @property
    def waiting(self) -> int:
        """How many observations are not yet in an envelope."""
        return len(self._builder)

    @property
    def refused(self) -> int:
        """How many observations were lost before they were signed, since the start."""
        return self._builder.refused

    def use_model(self, digest: bytes) -> None:
        """What is noted from now on was seen by the model with this SHA-256."""
        self._builder.use_model(digest)

    def move_to(self, position: Position) -> None:
        """The device is at ``position``, coarse already; what is signed from now on says so."""
        self._builder.move_to(position)

    def note(self, observations: Iterable[Observation]) -> None:
        """Take in what vision, sensors and the device itself have to say."""
        now_ms = self._now_ms()
        for observation in observations:
            if isinstance(observation, Track):
                self.people += observation.class_id == PERSON and not observation.continues
            self._builder.add(observation, now_ms=now_ms)

    def write(self, *, beacon: Beacon | None, urgency: Urgency = Urgency.USUAL) -> None:
        """Sign every envelope that is due, as far as the outbox takes them."""
        if self._monotonic_s() < self._retry_at_s:
            return
        try:
            while self._write_once(beacon, urgency):
                pass
        except (OutboxError, SequenceError, IdentityError) as error:
            self._wait_after(str(error))
        else:
            self.trouble = None
            self._retry_wait_s = _RETRY_MIN_S

    def retry_now(self) -> None:
        """Do not wait any longer with the next `write`: it is the last chance."""
        self._retry_at_s = 0.0

    def _write_once(self, beacon: Beacon | None, urgency: Urgency) -> bool:
        """Sign the envelopes that are due and the gaps that are to be told, in one go; False if there were none."""
        now_ms = self._now_ms()
        drafts = self._builder.drafts(now_ms=now_ms, beacon=beacon, urgency=urgency)
        # A record without a beacon would prove no time, and what it tells is safe where it is.
        gaps = self._signer.gaps_to_tell() if beacon is not None else ()
        if gaps:
            record = self._builder.draft_of(gaps, now_ms=now_ms, beacon=beacon)
            self._sign((record, *drafts), told=gaps)
        elif drafts:
            self._sign(drafts)
        return bool(drafts or gaps)

    def _sign(self, drafts: tuple[Draft, ...], told: tuple[Gap, ...] = ()) -> None:
        lost = self._builder.lost
        try:
            envelopes = self._signer.sign(*drafts, lost=lost, told=told)
        except MalformedError as error:
            # Never seen from our own parts; were it kept, it would block everything behind it for ever.
            self._sign_without_the_malformed(drafts, told, str(error))
            return
        if lost is not None:
            self._builder.booked(lost)
        for draft in drafts[1 if told else 0 :]:
            self._builder.sent(draft)
        self.signed += len(envelopes)
        self.last_signed = envelopes[-1], drafts[-1].observations[-1]
        log.debug(
            "envelopes_signed",
            envelopes=len(envelopes),
            last_sequence=envelopes[-1].sequence,
            observations=sum(each.observations for each in envelopes),
        )

    def _sign_without_the_malformed(self, drafts: tuple[Draft, ...], told: tuple[Gap, ...], reason: str) -> None:
        if told:
            self._sign(drafts[:1], told)
            drafts = drafts[1:]
        elif len(drafts) == 1:
            self._builder.drop(drafts[0])
            log.error("draft_dropped", observations=len(drafts[0].observations), reason=reason)
            return
        for draft in drafts:
            self._sign((draft,))

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
