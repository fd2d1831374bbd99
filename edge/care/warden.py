"""Looks after the machine while the agent runs: how fast vision may look, and what the device says of its health."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.care.clock_watch import ClockSteps
from edge.care.health import GnssWord, KeepingWord, Moment, SeeingWord, gather
from edge.care.host import Host
from edge.care.thermal import Allowance, Governor, Heat, ThermalLimits, allowance, governed
from edge.eyes import Eyes
from edge.keeping.outbox import Outbox, OutboxError
from edge.senses import Senses
from edge.supervisor import Child
from protocol.observation import Health
from protocol.units import UnixMs

_LOOK_EVERY_MS: Final = 2_000
_FIRST_HEALTH_AFTER_MS: Final = 60_000  # by then the rates mean something


@dataclass(frozen=True, slots=True)
class Watched:
    """What the warden looks at."""

    outbox: Outbox
    eyes: Eyes | None
    senses: Senses | None
    observations_refused: Callable[[], int]  # lost in memory since the start
    clock_offset_ms: Callable[[], int | None]  # this device's time minus a hub's


class Warden:
    """`look` is called often and does something every other second. Used by one thread."""

    def __init__(
        self,
        directory: Path,
        limits: ThermalLimits,
        *,
        health_period_ms: int,
        host: Host,
        now_ms: Callable[[], UnixMs],
        monotonic_ms: Callable[[], int],
    ) -> None:
        """Begin with a cool machine and nothing said."""
        self._directory = directory
        self._limits = limits
        self._health_period_ms = health_period_ms
        self._host = host
        self._now_ms = now_ms
        self._monotonic_ms = monotonic_ms
        self._started_ms = monotonic_ms()
        self._look_due_ms = self._started_ms
        self._health_due_ms = self._started_ms + min(_FIRST_HEALTH_AFTER_MS, health_period_ms)
        self._governor = Governor()
        self._frames_before = (self._started_ms, 0)
        self._before: Moment | None = None
        self._steps = ClockSteps()
        self.allowance: Allowance | None = None  # None: full speed
        self.health: Health | None = None  # the last record

    def look(self, watched: Watched) -> tuple[Health, ...]:
        """Slow vision down or let it go as the machine's heat asks; return a record of health when one is due."""
        monotonic_ms = self._monotonic_ms()
        if monotonic_ms < self._look_due_ms:
            return ()
        self._look_due_ms = monotonic_ms + _LOOK_EVERY_MS
        self._steps.look(wall_ms=self._now_ms(), monotonic_ms=monotonic_ms)
        if watched.eyes is not None:
            self._govern(watched.eyes, monotonic_ms)
        if monotonic_ms < self._health_due_ms:
            return ()
        self._health_due_ms = monotonic_ms + self._health_period_ms
        moment = self._moment(watched, monotonic_ms)
        self.health, self._before = gather(moment, self._before), moment
        return (self.health,)

    def _govern(self, eyes: Eyes, monotonic_ms: int) -> None:
        before_ms, frames_before = self._frames_before
        frames = eyes.figures.frames
        self._frames_before = (monotonic_ms, frames)
        running_mfps = max(0, frames - frames_before) * 1_000_000 // max(1, monotonic_ms - before_ms)
        heat = Heat(self._host.soc_mdegc(), self._host.throttled_bits())
        self._governor = governed(
            self._governor, heat, self._limits, monotonic_ms=monotonic_ms, running_mfps=running_mfps
        )
        if self._governor.level == 0:
            self.allowance = None
            eyes.set_max_fps(None)
        else:
            self.allowance = allowance(self._governor, heat, self._limits)
            eyes.set_max_fps(self.allowance.max_mfps / 1000)

    def _moment(self, watched: Watched, monotonic_ms: int) -> Moment:
        now_ms = self._now_ms()
        pids = [os.getpid(), *(child.pid for child in _children(watched) if child.pid is not None)]
        return Moment(
            at_ms=now_ms,
            monotonic_ms=monotonic_ms,
            started_monotonic_ms=self._started_ms,
            host=self._host.word(self._directory, pids=pids),
            keeping=_keeping(watched, now_ms),
            seeing=_seeing(watched.eyes),
            gnss=_gnss(watched.senses),
            clock_offset_ms=watched.clock_offset_ms(),
            clock_steps=self._steps.count,
        )


def _children(watched: Watched) -> Sequence[Child]:
    seeing = watched.eyes.children if watched.eyes is not None else ()
    return (*seeing, watched.senses.child) if watched.senses is not None else seeing


def _seeing(eyes: Eyes | None) -> SeeingWord:
    if eyes is None:
        return SeeingWord()
    figures = eyes.figures
    restarts = {child.name: child.restarts for child in eyes.children}
    return SeeingWord(
        captured_frames=eyes.captured,
        analysed_frames=figures.frames,
        inferred_frames=figures.inferred,
        skipped_frames=figures.skipped,
        inference_p50_us=figures.inference_p50_us,
        inference_p95_us=figures.inference_p95_us,
        provider=eyes.ready.provider if eyes.ready is not None else "",
        camera_restarts=restarts.get("capture", 0),
        vision_restarts=restarts["vision"],
        debug_pictures=figures.pictures,
    )


def _keeping(watched: Watched, now_ms: UnixMs) -> KeepingWord:
    failures = watched.senses.failures if watched.senses is not None else 0
    try:
        depth = watched.outbox.depth()
    except OutboxError:  # the status says so already; the record tells what is known
        return KeepingWord(sensor_failures=failures)
    oldest_ms = depth.oldest_created_at_ms
    lost_envelopes, lost_observations = watched.outbox.lost
    return KeepingWord(
        outbox_envelopes=depth.envelopes,
        outbox_bytes=depth.block_bytes,
        outbox_oldest_ms=None if oldest_ms is None else max(0, now_ms - oldest_ms),
        dropped_envelopes=lost_envelopes,
        dropped_observations=lost_observations + watched.observations_refused(),
        disk_writes=watched.outbox.writes.flushed,
        sensor_failures=failures,
    )


def _gnss(senses: Senses | None) -> GnssWord | None:
    fix = senses.fix if senses is not None else None
    return None if fix is None else GnssWord(fix.dimension, fix.satellites, fix.hdop_milli)
