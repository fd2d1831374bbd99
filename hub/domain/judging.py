"""Judging: the verdicts of an epoch, computed again from the log's bytes and nothing else.

First pass, in log order: every kept block is opened, its signature included, and admitted with the receipt time and the
policy that the log states; the outcome must be the verdict the log states. Bodies that were not kept are taken as
logged, as far as the log itself does not contradict: a DUPLICATE must be held, an unknown device's block must not.

Second pass: a device that put one sequence on two different envelopes within the epoch loses all of them, the first
included, because nobody can say which copy of the key was the honest one.

Invariants: tests/property/test_log_properties.py.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hub.domain.admission import admit, open_block, parse_block
from hub.domain.records import HeaderRecord, IntakeRecord, LogEntry, LogRecord, NoticeRecord
from hub.domain.standing import MemoryStanding
from protocol.identity import PublicKey
from protocol.logbook import Policy
from protocol.manifest import VerdictRow
from protocol.units import UnixMs
from protocol.verdict import Verdict


class JudgingError(Exception):
    """The log states a verdict that its own bytes do not give: a broken or a dishonest hub."""


@dataclass(frozen=True, slots=True)
class EpochTerms:
    """Which epoch is judged: its network, its number, and its half-open interval of receipt times."""

    network: str
    epoch: int
    started_at_ms: UnixMs
    ended_at_ms: UnixMs


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts of an epoch.

    Attributes:
        rows: one for each listed message, in log order.
        counts: messages by verdict slug, those included that the log only counts; no zeros.
    """

    rows: tuple[VerdictRow, ...]
    counts: dict[str, int]


def judge(records: Iterable[LogRecord], standing: MemoryStanding, terms: EpochTerms) -> Judged:
    """Judge an epoch.

    Args:
        records: all segments of the epoch, in log order.
        standing: what the log held before; learns what the epoch adds.
        terms: which epoch it is.

    Raises:
        JudgingError: a logged verdict is not the one its bytes give, or a record belongs to another epoch.
    """
    rows: list[VerdictRow] = []
    unlisted: Counter[str] = Counter()
    policy: Policy | None = None
    for record in records:
        if isinstance(record, HeaderRecord):
            policy = _checked_policy(record, terms)
        elif isinstance(record, NoticeRecord):
            standing.learn_beacon(record.notice)
        elif isinstance(record, IntakeRecord):
            if policy is None or not terms.started_at_ms <= record.intake.received_at_ms < terms.ended_at_ms:
                raise JudgingError(f"batch {record.intake.batch} was not received in epoch {terms.epoch}")
            rows.extend(_judge_batch(record, standing, policy, terms.network))
            unlisted.update({tally.verdict.slug: tally.messages for tally in record.intake.unlisted})
    judged = _revoke_equivocations(rows)
    counts = Counter(row.verdict.slug for row in judged) + unlisted
    return Judged(judged, dict(sorted(counts.items())))


def learn_records(records: Iterable[LogRecord], standing: MemoryStanding, network: str) -> None:
    """Take note of what earlier epochs added, believing their verdicts: they were judged when they closed."""
    for record in records:
        if isinstance(record, NoticeRecord):
            standing.learn_beacon(record.notice)
        elif isinstance(record, IntakeRecord):
            for entry in record.entries:
                if entry.block is not None:
                    standing.learn(parse_block(entry.block, network), entry.verdict)


def _checked_policy(record: HeaderRecord, terms: EpochTerms) -> Policy:
    header = record.header
    if (header.network, header.epoch) != (terms.network, terms.epoch):
        raise JudgingError(f"segment {header.segment} belongs to epoch {header.epoch} of network {header.network!r}")
    return header.policy


def _judge_batch(record: IntakeRecord, standing: MemoryStanding, policy: Policy, network: str) -> Iterable[VerdictRow]:
    received_at_ms = record.intake.received_at_ms
    for entry in record.entries:
        if entry.block is None:
            _check_unkept(entry, standing)
            yield VerdictRow(entry.digest, None, 0, entry.verdict, received_at_ms, 0)
            continue
        opened = open_block(entry.block, network)
        verdict = admit(opened, standing, policy, received_at_ms=received_at_ms)
        if verdict is not entry.verdict:
            raise JudgingError(
                f"{entry.digest.hex()} was logged as {entry.verdict.slug}, but its bytes give {verdict.slug}"
            )
        standing.learn(opened, verdict)
        yield VerdictRow(entry.digest, opened.key, opened.sequence, verdict, received_at_ms, opened.observations)


def _check_unkept(entry: LogEntry, standing: MemoryStanding) -> None:
    held = standing.holds(entry.digest)
    if entry.verdict is Verdict.DUPLICATE and not held:
        raise JudgingError(f"{entry.digest.hex()} was logged as a duplicate of nothing in the log")
    if entry.verdict is Verdict.UNKNOWN_DEVICE and held:
        raise JudgingError(f"{entry.digest.hex()} was logged as an unknown device's, but the log holds it")


def _revoke_equivocations(rows: Iterable[VerdictRow]) -> tuple[VerdictRow, ...]:
    """Apply the second pass."""
    rows = tuple(rows)
    cloned: set[tuple[PublicKey | None, int]] = {
        (row.device, row.sequence) for row in rows if row.verdict is Verdict.EQUIVOCATION
    }
    return tuple(
        replace(row, verdict=Verdict.EQUIVOCATION) if (row.device, row.sequence) in cloned else row for row in rows
    )
