"""The record of health: what a device says of itself, put together from counters and one look at the machine. Pure.

Whoever runs the agent takes a `Moment` now and then; two of them give the rates between. Nothing here tells where the
device stands, what it saw, or how its owner calls anything.
"""

from dataclasses import dataclass
from typing import Final

from edge.care.clock_watch import source_of
from edge.care.host import HostWord
from protocol.observation import Health, Provider
from protocol.units import UnixMs

_HOUR_MS: Final = 3_600_000
_COUNTER_MAX: Final = 2**53 - 1
_WEAR_MAX_PPM: Final = 10_000_000
_MDEGC: Final = range(-273_150, 1_000_001)
_HDOP_MAX_MILLI: Final = 1_000_000
_SATELLITES_MAX: Final = 255
_BITS_MAX: Final = 2**32 - 1

_PROVIDERS: Final = {
    "CPUExecutionProvider": Provider.CPU,
    "XnnpackExecutionProvider": Provider.XNNPACK,
    "OpenVINOExecutionProvider": Provider.OPENVINO,
    "CUDAExecutionProvider": Provider.CUDA,
    "TensorrtExecutionProvider": Provider.TENSORRT,
    "NvTensorRTRTXExecutionProvider": Provider.TENSORRT,
}


@dataclass(frozen=True, slots=True)
class SeeingWord:
    """What the seeing half has done since the agent started; all zero on a device with sensors only."""

    captured_frames: int = 0
    analysed_frames: int = 0
    inferred_frames: int = 0  # of the analysed ones, those that the model saw
    skipped_frames: int = 0
    inference_p50_us: int = 0  # of the last inferences
    inference_p95_us: int = 0
    provider: str = ""  # what really ran the model, as ONNX Runtime calls it
    camera_restarts: int = 0
    vision_restarts: int = 0
    debug_pictures: int = 0


@dataclass(frozen=True, slots=True)
class KeepingWord:
    """What waits, and what was given up, since the agent started."""

    outbox_envelopes: int = 0
    outbox_bytes: int = 0
    outbox_oldest_ms: int | None = None  # age
    dropped_envelopes: int = 0
    dropped_observations: int = 0
    disk_writes: int = 0  # transactions that reached the disk
    sensor_failures: int = 0


@dataclass(frozen=True, slots=True)
class GnssWord:
    """The receiver's last word on its position; the position itself is not asked for."""

    fix: int  # 0 none, 2 or 3 dimensions
    satellites: int | None = None
    hdop_milli: int | None = None
    gives_time: bool = False  # the machine's clock follows it


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything a record is made of, at one time."""

    at_ms: UnixMs  # the device's time
    monotonic_ms: int
    started_monotonic_ms: int
    host: HostWord
    keeping: KeepingWord = KeepingWord()
    seeing: SeeingWord = SeeingWord()
    gnss: GnssWord | None = None
    clock_offset_ms: int | None = None  # device minus hub, at the last beacon
    clock_steps: int = 0


def gather(now: Moment, before: Moment | None) -> Health:
    """Return the record of ``now``; rates are those since ``before``, or since the start where there is none."""
    span_ms = max(1, now.monotonic_ms - (before.monotonic_ms if before else now.started_monotonic_ms))
    seen, seen_before = now.seeing, before.seeing if before else SeeingWord()
    kept, kept_before = now.keeping, before.keeping if before else KeepingWord()
    analysed = _since(seen.analysed_frames, seen_before.analysed_frames)
    inferred = _since(seen.inferred_frames, seen_before.inferred_frames)
    gnss = now.gnss
    return Health(
        measured_at_ms=now.at_ms,
        uptime_s=_counted((now.monotonic_ms - now.started_monotonic_ms) // 1000),
        captured_mfps=_rate_mfps(_since(seen.captured_frames, seen_before.captured_frames), span_ms),
        analysed_mfps=_rate_mfps(analysed, span_ms),
        skipped_frames=_counted(seen.skipped_frames),
        inference_p50_us=_counted(seen.inference_p50_us),
        inference_p95_us=_counted(seen.inference_p95_us),
        inferred_ppm=min(1_000_000, inferred * 1_000_000 // analysed) if analysed else 0,
        provider=provider_of(seen.provider),
        camera_restarts=_counted(seen.camera_restarts),
        vision_restarts=_counted(seen.vision_restarts),
        sensor_failures=_counted(kept.sensor_failures),
        outbox_envelopes=_counted(kept.outbox_envelopes),
        outbox_bytes=_counted(kept.outbox_bytes),
        outbox_oldest_s=_counted((kept.outbox_oldest_ms or 0) // 1000),
        dropped_envelopes=_counted(kept.dropped_envelopes),
        dropped_observations=_counted(kept.dropped_observations),
        disk_writes_per_h=_counted(_since(kept.disk_writes, kept_before.disk_writes) * _HOUR_MS // span_ms),
        disk_free_mib=_counted(now.host.disk_free_mib or 0),
        disk_wear_ppm=_within(now.host.disk_wear_ppm, range(_WEAR_MAX_PPM + 1)),
        soc_mdegc=_within(now.host.soc_mdegc, _MDEGC),
        throttled_bits=_within(now.host.throttled_bits, range(_BITS_MAX + 1)),
        clock_source=source_of(now.host.clock, has_gnss_time=gnss is not None and gnss.gives_time),
        clock_offset_ms=_within(now.clock_offset_ms, range(-_COUNTER_MAX, _COUNTER_MAX + 1)),
        clock_steps=_counted(now.clock_steps),
        gnss_fix=_within(gnss.fix if gnss else None, range(4)),
        gnss_satellites=_within(gnss.satellites if gnss else None, range(_SATELLITES_MAX + 1)),
        gnss_hdop_milli=_within(gnss.hdop_milli if gnss else None, range(_HDOP_MAX_MILLI + 1)),
        rss_kib=_counted(now.host.rss_kib),
        debug_pictures=_counted(seen.debug_pictures),
    )


def provider_of(name: str) -> Provider:
    """Return the number for the provider that ONNX Runtime calls ``name``; empty where no model runs."""
    return _PROVIDERS.get(name, Provider.OTHER) if name else Provider.NONE


def _since(now: int, before: int) -> int:
    """Return how much a counter has grown; one that began anew (its process was restarted) counts from 0."""
    return now - before if now >= before else now


def _rate_mfps(frames: int, span_ms: int) -> int:
    return _counted(frames * 1_000_000 // span_ms)


def _counted(value: int) -> int:
    return min(max(0, value), _COUNTER_MAX)


def _within(value: int | None, limits: range) -> int | None:
    """Nonsense is not passed on: what is impossible is not known."""
    return value if value is not None and value in limits else None
