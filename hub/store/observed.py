"""How observations become rows, and what becomes of a device's own words: its health, its gaps, its successor."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, assert_never

from hub.domain.admission import Opened
from hub.store.tables import ObservationKind, observations
from protocol.envelope import Envelope
from protocol.errors import ProtocolError
from protocol.identity import PublicKey
from protocol.observation import Crossing, Gap, Health, Observation, Reading, Stay, Succession, Track
from protocol.payload import encode_payload
from protocol.succession import verify_succession
from protocol.verdict import Verdict

Row = dict[str, Any]  # column name -> value, as SQLAlchemy takes and gives them

_BLANK: Final = dict.fromkeys(column.name for column in observations.columns)
_MOST: Final = 2**53 - 1  # sums stop here: a device may claim to have lost any number, again and again
_DISBELIEVED: Final = (Verdict.EQUIVOCATION, Verdict.REPLAY)  # perhaps not the device itself, or said before


@dataclass(frozen=True, slots=True)
class Word:
    """Something a device says of itself."""

    device: PublicKey
    sequence: int
    number: int  # of the observation
    says: Gap | Health | PublicKey  # the key: a successor that agreed


def observation_rows(first: int, opened: Opened) -> list[Row]:
    """Return the rows of an envelope's observations, numbered from ``first`` on."""
    if opened.envelope is None or opened.key is None:
        return []
    envelope, device = opened.envelope, opened.key
    return [
        _BLANK | {"observation": first | nth} | _columns(observation, envelope, device)
        for nth, observation in enumerate(envelope.observations)
    ]


def words_of(first: int, opened: Opened, verdict: Verdict) -> Iterator[Word]:
    """Yield what the device says of itself in an envelope whose observations are numbered from ``first`` on.

    Late envelopes and those with an old beacon count: a device that lost something was in trouble.
    """
    if opened.envelope is None or opened.key is None or verdict in _DISBELIEVED:
        return
    for nth, observation in enumerate(opened.envelope.observations):
        if isinstance(observation, Gap | Health):
            yield Word(opened.key, opened.sequence, first | nth, observation)
        elif isinstance(observation, Succession) and _is_agreed(opened.envelope, opened.key):
            yield Word(opened.key, opened.sequence, first | nth, PublicKey(observation.successor))


def changed_conditions(before: Mapping[int, Row], words: Iterable[tuple[int, Word]]) -> list[Row]:
    """Return the rows of ``before`` (by device id) and of new devices after ``words``, which are in log order."""
    after = {device_id: dict(row) for device_id, row in before.items()}
    for device_id, word in words:
        row = after.setdefault(device_id, _silent(device_id))
        match word.says:
            case Health() if word.sequence >= (row["health_sequence"] or 0):
                row |= {"health": word.number, "health_sequence": word.sequence}
            case Gap(envelopes=lost_envelopes, observations=lost_observations):
                row["gaps"] += 1
                row["lost_envelopes"] = min(_MOST, row["lost_envelopes"] + lost_envelopes)
                row["lost_observations"] = min(_MOST, row["lost_observations"] + lost_observations)
            case PublicKey() as successor if row["successor"] is None:
                row["successor"] = successor.name  # whoever holds the old key may name others later: too late
    return list(after.values())


def _silent(device_id: int) -> Row:
    nothing = {"gaps": 0, "lost_envelopes": 0, "lost_observations": 0}
    return {"device_id": device_id, "health": None, "health_sequence": None, "successor": None} | nothing


def _columns(observation: Observation, envelope: Envelope, device: PublicKey) -> Row:
    match observation:
        case Track() as track:
            told = {
                **_kind(ObservationKind.TRACK, track.first_seen_ms, track.last_seen_ms),
                "class_id": track.class_id,
                "confidence_ppm": track.confidence_ppm,
                "continues": int(track.continues),
            }
        case Reading() as reading:
            told = {
                **_kind(ObservationKind.READING, reading.measured_at_ms, reading.measured_at_ms),
                "quantity": int(reading.quantity),
                "value": reading.value,
                "flags": reading.flags or None,
            }
        case Crossing() as crossing:
            told = {
                **_kind(ObservationKind.CROSSING, crossing.crossed_at_ms, crossing.crossed_at_ms),
                "class_id": crossing.class_id,
                "confidence_ppm": crossing.confidence_ppm,
                "value": crossing.line,
                "is_forward": int(crossing.is_forward),
            }
        case Stay() as stay:
            told = {
                **_kind(ObservationKind.STAY, stay.entered_at_ms, stay.left_at_ms),
                "class_id": stay.class_id,
                "confidence_ppm": stay.confidence_ppm,
                "value": stay.zone,
            }
        case Gap() as gap:
            told = {**_kind(ObservationKind.GAP, gap.from_ms, gap.until_ms), "record": encode_payload(gap)}
        case Health() as health:
            kind = _kind(ObservationKind.HEALTH, health.measured_at_ms, health.measured_at_ms)
            told = {**kind, "record": encode_payload(health)}
        case Succession() as succession:
            told = {
                **_kind(ObservationKind.SUCCESSION, envelope.created_at_ms, envelope.created_at_ms),
                "value": int(_is_agreed(envelope, device)),
                "record": encode_payload(succession),
            }
        case _:
            assert_never(observation)
    return told


def _kind(kind: ObservationKind, first_ms: int, last_ms: int) -> Row:
    return {"kind": int(kind), "first_ms": first_ms, "last_ms": last_ms}


def _is_agreed(envelope: Envelope, device: PublicKey) -> bool:
    try:
        verify_succession(envelope, device)
    except ProtocolError:
        return False
    return True
