"""The outbox's books: what was signed, what became of it, and what has yet to be told. Values alone, no disk.

One row of the outbox holds them; it is written in the very transaction that changes the envelopes, so that after any
crash the books and the envelopes agree.

Invariant: signed = released + waiting + given up, in envelopes (tests/property/test_outbox_conservation.py).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from edge.keeping.priority import Priority
from protocol.observation import Gap, GapReason
from protocol.units import UnixMs
from protocol.verdict import Verdict

_ROW_BYTES: Final = 64  # what an envelope costs on the disk beside its block, about
_STEP_BYTES: Final = 1_024  # a page: thinning leaves pages with one envelope each, which are not joined again


class ClassBook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The envelopes of one class."""

    signed: int = 0  # ever; also numbers them, for thinning
    waiting: int = 0
    waiting_bytes: int = 0  # on the disk, see `cost_bytes`


class Writes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was written to the disk."""

    transactions: int = 0
    flushed: int = 0  # of these, waited for until the disk had them
    written_bytes: int = 0  # to the log and back into the file; 0 where the kernel does not say

    def since(self, before: "Writes") -> "Writes":
        """Return what was written after ``before``."""
        return Writes(
            self.transactions - before.transactions,
            self.flushed - before.flushed,
            self.written_bytes - before.written_bytes,
        )


class Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything the outbox counts. Each method returns the books after one more event."""

    last_sequence: int = 0  # the end of the chain; 0: nothing was ever signed
    last_digest: bytes = b""
    classes: tuple[ClassBook, ...] = (ClassBook(),) * len(Priority)
    released: int = 0  # let go because hubs have them
    released_early: int = 0  # of these, with fewer receipts than are asked for, to make room
    given_up: int = 0  # envelopes that are in a gap
    given_up_observations: int = 0  # observations that are in a gap, those lost before they were signed included
    gaps: tuple[Gap, ...] = ()  # at most one a reason: lost, and not yet told in a signed record
    writes: Writes = Writes()  # this transaction and all before it
    verdicts: dict[int, dict[int, int]] = {}  # the number of a hub -> verdict -> envelopes

    @property
    def signed(self) -> int:
        """Envelopes ever taken in."""
        return sum(each.signed for each in self.classes)

    @property
    def waiting(self) -> int:
        """Envelopes that are there."""
        return sum(each.waiting for each in self.classes)

    @property
    def waiting_bytes(self) -> int:
        """What these take on the disk, about."""
        return sum(each.waiting_bytes for each in self.classes)

    def with_envelope(self, priority: Priority, *, sequence: int, digest: bytes, block_bytes: int) -> "Book":
        """One more was signed; it is the end of the chain."""
        before = self.classes[priority]
        after = ClassBook(before.signed + 1, before.waiting + 1, before.waiting_bytes + cost_bytes(block_bytes))
        classes = _replaced(self.classes, priority, after)
        return msgspec.structs.replace(self, last_sequence=sequence, last_digest=digest, classes=classes)

    def without_envelope(self, priority: Priority, *, block_bytes: int) -> "Book":
        """One is not there any more; `with_release` or `with_gap` says why."""
        before = self.classes[priority]
        after = ClassBook(before.signed, before.waiting - 1, before.waiting_bytes - cost_bytes(block_bytes))
        return msgspec.structs.replace(self, classes=_replaced(self.classes, priority, after))

    def with_release(self, *, is_early: bool) -> "Book":
        """Hubs have one more."""
        return msgspec.structs.replace(
            self, released=self.released + 1, released_early=self.released_early + int(is_early)
        )

    def with_verdict(self, hub: int, verdict: Verdict) -> "Book":
        """The hub of that number said something of one more envelope."""
        of_hub = self.verdicts.get(hub, {})
        counted = {**of_hub, int(verdict): of_hub.get(int(verdict), 0) + 1}
        return msgspec.structs.replace(self, verdicts={**self.verdicts, hub: counted})

    def with_gap(self, gap: Gap) -> "Book":
        """Something was lost, and waits to be told together with what else was lost for that reason."""
        others = tuple(each for each in self.gaps if each.reason != gap.reason)
        same = [each for each in self.gaps if each.reason == gap.reason]
        return msgspec.structs.replace(
            self,
            gaps=(*others, merged([*same, gap])),
            given_up=self.given_up + gap.envelopes,
            given_up_observations=self.given_up_observations + gap.observations,
        )

    def with_abandoned(self, *, observations: int) -> "Book":
        """An envelope was given up, and that has been told already."""
        return msgspec.structs.replace(
            self, given_up=self.given_up + 1, given_up_observations=self.given_up_observations + observations
        )

    def with_told(self, gaps: Iterable[Gap]) -> "Book":
        """These gaps stand in an envelope now."""
        told = set(gaps)
        return msgspec.structs.replace(self, gaps=tuple(each for each in self.gaps if each not in told))


def cost_bytes(block_bytes: int) -> int:
    """Return what an envelope takes on the disk, at most about."""
    return -(-(block_bytes + _ROW_BYTES) // _STEP_BYTES) * _STEP_BYTES


def merged(gaps: Iterable[Gap]) -> Gap:
    """Return one gap for all of ``gaps``, which have one reason and are at least one."""
    each = tuple(gaps)
    return Gap(
        reason=each[0].reason,
        envelopes=sum(gap.envelopes for gap in each),
        observations=sum(gap.observations for gap in each),
        first_sequence=min((gap.first_sequence for gap in each if gap.envelopes), default=0),
        last_sequence=max(gap.last_sequence for gap in each),
        from_ms=min(gap.from_ms for gap in each),
        until_ms=max(gap.until_ms for gap in each),
    )


def lost_in_memory(observations: int, *, from_ms: UnixMs, until_ms: UnixMs) -> Gap:
    """Return the gap of observations that never came into an envelope."""
    return Gap(GapReason.MEMORY, 0, observations, 0, 0, min(from_ms, until_ms), max(from_ms, until_ms))


def _replaced(classes: tuple[ClassBook, ...], priority: Priority, book: ClassBook) -> tuple[ClassBook, ...]:
    return (*classes[:priority], book, *classes[priority + 1 :])
