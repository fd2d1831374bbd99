"""An observation in words, for the owner: what it was, never where."""

from edge.sensors.quantities import words_for
from protocol.classes import class_name
from protocol.observation import Crossing, Observation, Reading, Stay, Track

_TEN_THOUSAND_PPM = 10_000


def words_of(observation: Observation) -> str:
    """Return one short line."""
    match observation:
        case Track():
            seconds = (observation.last_seen_ms - observation.first_seen_ms) / 1000
            sure = observation.confidence_ppm // _TEN_THOUSAND_PPM
            return f"{class_name(observation.class_id)}, seen for {seconds:.0f} s, {sure} % sure"
        case Crossing():
            way = "forward" if observation.is_forward else "back"
            return f"{class_name(observation.class_id)} crossed line {observation.line + 1} {way}"
        case Stay():
            seconds = (observation.left_at_ms - observation.entered_at_ms) / 1000
            return f"{class_name(observation.class_id)} was in zone {observation.zone + 1} for {seconds:.0f} s"
        case Reading():
            return words_for(observation)
        case _:
            return f"a record of {type(observation).__name__.lower()}"
