"""What a hub writes between the devices' blocks: its own signed, hash-chained records.

A segment is a CAR file::

    header | (beacon notice | block* intake)* | seal

The header's CID is the CAR's root. An *intake* record lists, for one batch, every message that arrived and what was
made of it, in order; the kept blocks stand before it. It is the commit mark: whatever follows the last hub record of a
segment was never acknowledged and is cut off at the next start. Every hub record names the digest of the one before,
across segments, so two different heads at one place prove a hub that tells two stories.

Verdicts are a function of these bytes alone: see hub.domain.
"""

from typing import Annotated, Final

import msgspec

from protocol.payload import Counter, Digest, Millis, Network, Version
from protocol.verdict import Verdict

NO_RECORD: Final = bytes(32)  # `previous` of the first record a hub ever writes
MAX_ENTRIES: Final = 4_096


class Policy(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """The admission limits in force, written down so that a replay uses the same ones."""

    max_clock_skew_ms: Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
    beacon_window_ms: Annotated[int, msgspec.Meta(ge=1_000, le=31 * 86_400_000)]
    max_lateness_ms: Annotated[int, msgspec.Meta(ge=1_000, le=366 * 86_400_000)]


class SegmentHeader(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=5):
    """The first block of a segment."""

    version: Version
    network: Network
    segment: Counter
    epoch: Counter
    opened_at_ms: Millis
    policy: Policy
    previous: Digest


class IntakeEntry(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """One message that arrived: the digest of its bytes and its verdict."""

    digest: Digest
    verdict: Verdict


class Tally(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Messages beyond what a batch lists one by one: a flood is counted, not copied."""

    verdict: Verdict
    messages: Counter


class Intake(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=4):
    """The commit mark of one batch. Entries stand in order of arrival."""

    version: Version
    network: Network
    batch: Counter
    received_at_ms: Millis
    entries: Annotated[tuple[IntakeEntry, ...], msgspec.Meta(max_length=MAX_ENTRIES)]
    unlisted: Annotated[tuple[Tally, ...], msgspec.Meta(max_length=64)]
    previous: Digest


class SegmentSeal(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=7):
    """The last block of a segment: nothing follows."""

    version: Version
    network: Network
    segment: Counter
    batches: Counter
    blocks: Counter
    sealed_at_ms: Millis
    previous: Digest
