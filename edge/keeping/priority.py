"""What comes first when not everything can be kept or sent at once. An envelope has one class: that of all it holds."""

from enum import IntEnum

from protocol.observation import Crossing, Health, Observation, Reading, Stay, Track


class Priority(IntEnum):
    """The class of an observation and of its envelope; the lower, the longer it is kept and the earlier it is sent."""

    RECORD = 0  # a gap, a succession: few, and never given up
    TRACK = 1
    EVENT = 2  # a crossing, a stay
    READING = 3
    HEALTH = 4


def priority_of(observation: Observation) -> Priority:
    """Return the class of ``observation``."""
    match observation:
        case Track():
            return Priority.TRACK
        case Crossing() | Stay():
            return Priority.EVENT
        case Reading():
            return Priority.READING
        case Health():
            return Priority.HEALTH
        case _:
            return Priority.RECORD
