"""Which epoch a moment belongs to.

``epoch = 1 + (received_at_ms - genesis_ms) // epoch_ms``; an epoch is a half-open interval of hub receipt time. Every
number from 1 on has a manifest, whether a message came or not.
"""

from dataclasses import dataclass

from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class EpochSchedule:
    """When a network's epochs begin and end."""

    genesis_ms: UnixMs
    epoch_ms: int

    def __post_init__(self) -> None:
        if self.genesis_ms < 0 or self.epoch_ms < 1:
            raise ValueError("a schedule needs a genesis at or after 1970 and epochs of at least one millisecond")

    def epoch_at(self, moment_ms: UnixMs) -> int:
        """Return the epoch that ``moment_ms`` falls into; 0 or less before genesis."""
        return 1 + (moment_ms - self.genesis_ms) // self.epoch_ms

    def starts_at_ms(self, epoch: int) -> UnixMs:
        """Return the first millisecond of ``epoch``."""
        return UnixMs(self.genesis_ms + (epoch - 1) * self.epoch_ms)

    def ends_at_ms(self, epoch: int) -> UnixMs:
        """Return the first millisecond after ``epoch``."""
        return self.starts_at_ms(epoch + 1)
