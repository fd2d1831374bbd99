"""From rows of observations to answers, one kind after the other."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hub.http import answers
from hub.store.reading import ObservationLine
from hub.store.tables import ObservationKind
from protocol.classes import class_name
from protocol.identity import PublicKey
from protocol.observation import Gap, Health, Quantity, ReadingFlag, Succession
from protocol.payload import decode_payload


def observed_answer(row: ObservationLine) -> answers.Observed:
    """Return what was observed as the API shows it."""
    return _ANSWERS[row.kind](row)


def health_record_answer(health: Health) -> answers.DeviceHealth:
    """Return a health record as the API shows it: field by field, the enumerations by name."""
    fields = msgspec.structs.asdict(health)
    named = {"provider": health.provider.name.lower(), "clock_source": health.clock_source.name.lower()}
    return answers.DeviceHealth(**fields | named)


def _track(row: ObservationLine) -> answers.Track:
    return answers.Track(
        class_id=row.class_id or 0,
        class_name=class_name(row.class_id or 0),
        first_seen_ms=row.first_ms,
        last_seen_ms=row.last_ms,
        confidence_ppm=row.confidence_ppm or 0,
        continues=row.continues,
    )


def _reading(row: ObservationLine) -> answers.Reading:
    return answers.Reading(
        quantity=Quantity(row.quantity or 0).name.lower(),
        measured_at_ms=row.first_ms,
        value=row.value or 0,
        flags=[str(flag.name).lower() for flag in ReadingFlag(row.flags)],
    )


def _crossing(row: ObservationLine) -> answers.Crossing:
    return answers.Crossing(
        class_id=row.class_id or 0,
        class_name=class_name(row.class_id or 0),
        line=row.value or 0,
        is_forward=row.is_forward,
        crossed_at_ms=row.first_ms,
        confidence_ppm=row.confidence_ppm or 0,
    )


def _stay(row: ObservationLine) -> answers.Stay:
    return answers.Stay(
        class_id=row.class_id or 0,
        class_name=class_name(row.class_id or 0),
        zone=row.value or 0,
        entered_at_ms=row.first_ms,
        left_at_ms=row.last_ms,
        confidence_ppm=row.confidence_ppm or 0,
    )


def _gap(row: ObservationLine) -> answers.Gap:
    gap = decode_payload(row.record or b"", Gap)
    return answers.Gap(**msgspec.structs.asdict(gap) | {"reason": gap.reason.name.lower()})


def _health(row: ObservationLine) -> answers.DeviceHealth:
    return health_record_answer(decode_payload(row.record or b"", Health))


def _succession(row: ObservationLine) -> answers.Succession:
    successor = PublicKey(decode_payload(row.record or b"", Succession).successor)
    return answers.Succession(successor=successor.did, is_agreed=bool(row.value), declared_at_ms=row.first_ms)


_ANSWERS: Final[Mapping[ObservationKind, Callable[[ObservationLine], answers.Observed]]] = {
    ObservationKind.TRACK: _track,
    ObservationKind.READING: _reading,
    ObservationKind.CROSSING: _crossing,
    ObservationKind.STAY: _stay,
    ObservationKind.GAP: _gap,
    ObservationKind.HEALTH: _health,
    ObservationKind.SUCCESSION: _succession,
}
