"""What the agent says of itself: ``status.json``, written anew each second, for the demo, `doctor` and people."""

import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from edge.outbox import Outbox, OutboxDepth, OutboxError
from edge.pipeline import PipelineStats
from edge.scribe import Scribe
from edge.sensors.schedule import SensorSchedule
from edge.uplinks import Uplinks
from edge.vision import Vision
from protocol.units import UnixMs

STATUS_FILE: Final = "status.json"


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the agent. Counters begin at the start of the process, ``receipts`` with the outbox."""

    device: str  # did:key
    network: str
    release: str
    boot: int
    started_at_ms: int
    updated_at_ms: int
    is_running: bool
    frames: int
    fps: float  # frames a second since the status before
    inference_ms_mean: float
    tracks: int
    people: int  # tracks of persons that have ended
    observations_waiting: int  # in memory, not yet in an envelope
    observations_refused: int  # lost because nothing could take them
    envelopes_signed: int
    outbox_envelopes: int
    outbox_bytes: int
    outbox_refused: int
    outbox_oldest_ms: int | None  # age of the oldest envelope that waits
    receipts: dict[str, int]  # envelopes by verdict
    is_connected: bool
    is_enrolled: bool
    beacon_round: int | None
    beacon_age_ms: int | None  # since the hub relayed it
    unbelievable: int  # messages that proved nothing
    sensor_failures: int
    peak_rss_kib: int
    trouble: str | None  # a sentence: what is wrong at present


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running agent is made of."""

    outbox: Outbox
    uplink: Uplinks
    scribe: Scribe
    sensors: SensorSchedule
    vision: Vision | None  # None: sensors only


class StatusFile:
    """Writes the status of one run. A reader sees the old one or the new one, never half; it is not fsynced."""

    def __init__(
        self, directory: Path, *, about: tuple[str, str, str], boot: int, now_ms: Callable[[], UnixMs]
    ) -> None:
        """``about`` is the device's did:key, its network and its release."""
        self._directory = directory
        self._about = about
        self._boot = boot
        self._now_ms = now_ms
        self._started_at_ms = now_ms()
        self._before = (self._started_at_ms, 0)

    def write(self, parts: Parts, *, is_running: bool) -> AgentStatus:
        """Write and return the present status; a disk that cannot be written costs the news, not the agent."""
        status = self._gather(parts, is_running=is_running)
        draft = self._directory / (STATUS_FILE + ".new")
        with suppress(OSError):
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n")
            draft.replace(self._directory / STATUS_FILE)
        return status

    def _gather(self, parts: Parts, *, is_running: bool) -> AgentStatus:
        now_ms = self._now_ms()
        seen = parts.vision.stats if parts.vision is not None else PipelineStats()
        before_ms, before_frames = self._before
        self._before = (now_ms, seen.frames)
        uplink, scribe = parts.uplink.state, parts.scribe
        depth, receipts, trouble = _outbox_words(parts.outbox)
        oldest_ms = depth.oldest_created_at_ms
        device, network, release = self._about
        return AgentStatus(
            device=device,
            network=network,
            release=release,
            boot=self._boot,
            started_at_ms=self._started_at_ms,
            updated_at_ms=now_ms,
            is_running=is_running,
            frames=seen.frames,
            fps=round(max(0, seen.frames - before_frames) * 1000 / max(1, now_ms - before_ms), 1),
            inference_ms_mean=round(seen.inference_ms_mean, 2),
            tracks=seen.tracks,
            people=scribe.people,
            observations_waiting=scribe.waiting,
            observations_refused=scribe.refused,
            envelopes_signed=scribe.signed,
            outbox_envelopes=depth.envelopes,
            outbox_bytes=depth.block_bytes,
            outbox_refused=depth.refused,
            outbox_oldest_ms=None if oldest_ms is None else now_ms - oldest_ms,
            receipts=receipts,
            is_connected=uplink.is_connected,
            is_enrolled=uplink.is_enrolled,
            beacon_round=uplink.beacon.beacon.round if uplink.beacon else None,
            beacon_age_ms=now_ms - uplink.beacon.relayed_at_ms if uplink.beacon else None,
            unbelievable=uplink.unbelievable,
            sensor_failures=parts.sensors.failures,
            peak_rss_kib=peak_rss_kib(),
            trouble=scribe.trouble or trouble,
        )


def read_status(directory: Path) -> AgentStatus | None:
    """Return the last status; None if there is none that can be read."""
    try:
        return msgspec.json.decode((directory / STATUS_FILE).read_bytes(), type=AgentStatus)
    except (OSError, msgspec.MsgspecError):
        return None


def peak_rss_kib() -> int:
    """Return the most memory this process has had resident, in KiB."""
    try:
        # Not getrusage: on Linux it inherits the peak of whoever started this process.
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except (OSError, ValueError):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def _outbox_words(outbox: Outbox) -> tuple[OutboxDepth, dict[str, int], str | None]:
    try:
        receipts = {verdict.slug: count for verdict, count in sorted(outbox.tally().items())}
        return outbox.depth(), receipts, None
    except OutboxError as error:
        return OutboxDepth(0, 0, 0, None, {}), {}, str(error)
