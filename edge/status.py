"""What the agent says of itself: ``status.json``, written anew each second, for the demo, `doctor` and people."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from edge.memory import peak_rss_kib, rss_kib
from edge.outbox import Outbox, OutboxDepth, OutboxError
from edge.parts import Parts
from edge.supervisor import Child
from edge.wire import VisionFigures
from protocol.units import UnixMs

STATUS_FILE: Final = "status.json"
_NEWS_MAX_AGE_MS: Final = 10_000


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the agent."""

    name: str
    pid: int | None  # None while it is about to be started again
    restarts: int
    rss_kib: int


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
    captured: int  # pictures that a live camera gave; the frames, for a recording
    inferred: int  # frames that the model looked at
    inference_p50_us: int
    inference_p95_us: int
    latency_p95_ms: float | None  # from the frame that ended a track to the durable envelope
    model: str | None
    provider: str | None  # what really runs it
    confined: tuple[str, ...]  # what the kernel enforces on the vision process
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
    pictures: int  # blurred ones that the owner asked for, since the start
    processes: tuple[ProcessStatus, ...]
    rss_kib: int  # of all processes
    peak_rss_kib: int  # the peaks of the keeper and of vision together
    trouble: str | None  # a sentence: what is wrong at present


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
        eyes = parts.eyes
        seen = eyes.figures if eyes is not None else VisionFigures()
        ready = eyes.ready if eyes is not None else None
        processes = (_own_process(), *(_process(child) for child in (eyes.children if eyes is not None else ())))
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
            captured=eyes.captured if eyes is not None else 0,
            inferred=seen.inferred,
            inference_p50_us=seen.inference_p50_us,
            inference_p95_us=seen.inference_p95_us,
            latency_p95_ms=parts.latencies.p95_ms(),
            model=ready.model if ready is not None else None,
            provider=ready.provider if ready is not None else None,
            confined=ready.confined if ready is not None else (),
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
            pictures=seen.pictures,
            processes=processes,
            rss_kib=sum(each.rss_kib for each in processes),
            peak_rss_kib=peak_rss_kib() + seen.peak_rss_kib,
            trouble=scribe.trouble or trouble or (eyes.trouble if eyes is not None else None),
        )


def read_status(directory: Path) -> AgentStatus | None:
    """Return the last status; None if there is none that can be read."""
    try:
        return msgspec.json.decode((directory / STATUS_FILE).read_bytes(), type=AgentStatus)
    except (OSError, msgspec.MsgspecError):
        return None


def is_agent_running(status: AgentStatus | None, *, now_ms: UnixMs) -> bool:
    """Whether the status is that of an agent at work."""
    return status is not None and status.is_running and abs(now_ms - status.updated_at_ms) < _NEWS_MAX_AGE_MS


def _own_process() -> ProcessStatus:
    return ProcessStatus(name="keeper", pid=os.getpid(), restarts=0, rss_kib=rss_kib())


def _process(child: Child) -> ProcessStatus:
    pid = child.pid
    return ProcessStatus(name=child.name, pid=pid, restarts=child.restarts, rss_kib=0 if pid is None else rss_kib(pid))


def _outbox_words(outbox: Outbox) -> tuple[OutboxDepth, dict[str, int], str | None]:
    try:
        receipts = {verdict.slug: count for verdict, count in sorted(outbox.tally().items())}
        return outbox.depth(), receipts, None
    except OutboxError as error:
        return OutboxDepth(0, 0, 0, None), {}, str(error)
