"""What the seeing half has done so far. Free of numpy: it travels to the part that signs and writes the status."""

from dataclasses import dataclass
from typing import Final

from protocol.units import PPM_ONE, UnixMs

_RING: Final = 512  # the last so many inferences


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """What the pipeline has done so far."""

    frames: int = 0  # taken in and decided about
    inferred: int = 0  # of those, seen by the model; the gate, or a frozen picture, spared the rest
    skipped: int = 0  # given by the camera and not taken in: more than ``max_fps``
    detections: int = 0  # of the wanted classes
    tracks: int = 0  # finished; parts of one long stay count once
    crossings: int = 0
    stays: int = 0
    inference_us: int = 0  # preprocessing, model and box decoding together
    inference_p50_us: int = 0  # of the last few hundred
    inference_p95_us: int = 0
    clock_steps: int = 0  # how often frame time went backwards and every track was ended
    last_frame_at_ms: UnixMs | None = None

    @property
    def inference_ms_mean(self) -> float:
        """Milliseconds an inference, 0 before the first."""
        return self.inference_us / 1000 / self.inferred if self.inferred else 0.0

    @property
    def inferred_ppm(self) -> int:
        """The share of frames that the model saw; 0 before the first."""
        return self.inferred * PPM_ONE // self.frames if self.frames else 0


class InferenceTimes:
    """The last few hundred inference times; written by one thread, read by any."""

    def __init__(self) -> None:
        """Begin with none."""
        self._ring_us: list[int] = []
        self._next = 0

    def add(self, took_us: int) -> None:
        """Take one in, and forget the oldest if there are many."""
        if len(self._ring_us) < _RING:
            self._ring_us.append(took_us)
        else:
            self._ring_us[self._next] = took_us
            self._next = (self._next + 1) % _RING

    def percentiles_us(self) -> tuple[int, int]:
        """Return the median and the 95th percentile; 0 before the first."""
        ordered = sorted(self._ring_us)
        if not ordered:
            return 0, 0
        return ordered[len(ordered) // 2], ordered[min(len(ordered) * 95 // 100, len(ordered) - 1)]
