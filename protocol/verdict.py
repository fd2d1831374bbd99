"""Why an observation counts or not. Names and numbers are published, so they are for ever: add, never change.

``ACCEPTED`` is the only verdict that is paid. What happens to the bytes follows from the verdict alone:

* *kept*: the block goes into the hub's log, because it is evidence for or against a known device;
* *answered*: the device gets a signed receipt, and may delete;
* the rest is recorded by digest and reason only, since anybody can produce any amount of it.
"""

from enum import IntEnum


class Verdict(IntEnum):
    """The admission verdict of one envelope (or enrollment)."""

    ACCEPTED = 0
    MALFORMED = 1  # not an envelope at all
    OVERSIZE = 2
    WRONG_NETWORK = 3
    WRONG_TOPIC = 4  # published under another device's name
    BAD_SIGNATURE = 5
    UNKNOWN_DEVICE = 6  # well signed, by a key that never enrolled here
    DUPLICATE = 7  # the very same bytes again: at-least-once delivery, harmless
    REPLAY = 8  # observations that another envelope already claimed
    EQUIVOCATION = 9  # a second envelope with a sequence already used: proof of a cloned key
    BROKEN_CHAIN = 10  # `previous` is not the envelope before
    STALE_BEACON = 11  # a beacon never relayed, or older than the window allows
    CLOCK_SKEW = 12  # made in the future, before its own beacon, or too long ago

    @property
    def slug(self) -> str:
        """The published word: ``bad_signature``."""
        return self.name.lower()

    @property
    def is_rewardable(self) -> bool:
        """Whether the observations inside may count."""
        return self is Verdict.ACCEPTED

    @property
    def is_kept(self) -> bool:
        """Whether the block itself goes into the log."""
        return self in _KEPT

    @property
    def is_final(self) -> bool:
        """Whether the device may delete its copy when a receipt names this verdict."""
        return self.is_kept or self is Verdict.DUPLICATE


_KEPT = frozenset(
    {
        Verdict.ACCEPTED,
        Verdict.REPLAY,
        Verdict.EQUIVOCATION,
        Verdict.BROKEN_CHAIN,
        Verdict.STALE_BEACON,
        Verdict.CLOCK_SKEW,
    }
)
