"""Which program sees, and what comes from it at one look."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.wire import Ready
from protocol.observation import Crossing, Stay, Track


@dataclass(frozen=True, slots=True)
class VisionProgram:
    """Which program sees: ours, or one that brings its own camera (the simulator's, a test's)."""

    module: str = "edge.sight.vision"
    arguments: tuple[str, ...] = ()
    read: tuple[str, ...] = ()  # paths it may read beside the usual ones
    write: tuple[str, ...] = ()  # paths it may write beside the usual one
    brings_camera: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Incident:
    """The vision process ended as it should not: whoever looks after models wants to know."""

    reason: str
    is_model: bool  # it said that the model is to blame; False: it crashed or hung


@dataclass(frozen=True, slots=True)
class Glance:
    """What came from the vision process since the last look."""

    observations: tuple[Track | Crossing | Stay, ...] = ()
    read_at_ns: tuple[int, ...] = ()  # one an observation: when its frame was read, CLOCK_MONOTONIC
    ready: Ready | None = None  # it has (re)started with this model
    incidents: tuple[Incident, ...] = ()
    is_at_work: bool = False  # it has told of frames that it had not told of before
