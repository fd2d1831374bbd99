"""What the agent says of itself: ``status.json``, written anew each second, for the demo, `doctor` and people."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec

from edge.eyes import Eyes
from edge.keeping.outbox import Outbox, OutboxDepth, OutboxError
from edge.keeping.priority import Priority
from edge.keeping.scribe import Scribe
from edge.memory import peak_rss_kib, rss_kib
from edge.owning.adoption import short_code
from edge.parts import Parts
from edge.sending.uplinks import HubState
from edge.senses import Senses
from edge.supervisor import Child
from edge.told import words_of
from edge.wire import VisionFigures
from protocol.identity import PublicKey
from protocol.observation import Health
from protocol.units import UnixMs

STATUS_FILE: Final = "status.json"
_CLASSES: Final = {
    Priority.RECORD: "records",
    Priority.TRACK: "tracks",
    Priority.EVENT: "events",
    Priority.READING: "readings",
    Priority.HEALTH: "health",
}
DISTRIBUTION: Final = "cairn-network"
_NEWS_MAX_AGE_MS: Final = 10_000


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same for a whole run."""

    device: str  # did:key
    network: str
    release: str
    boot: int
    adoption_code: str  # by which an owner can name the device on the telephone


class PartStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the agent."""

    name: str
    pid: int | None  # None while it is about to be started again
    restarts: int
    rss_kib: int
    is_running: bool


class HubStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How it stands with one hub."""

    hub: str  # did:key
    is_connected: bool
    is_enrolled: bool
    beacon_age_ms: int | None


class SignedStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The last envelope that was signed."""

    sequence: int
    signed_at_ms: int
    observations: int
    says: str  # its last observation, without any place


class AgentStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of the agent. Counters begin at the start of the process, ``receipts`` with the outbox."""

    device: str  # did:key
    network: str
    release: str
    boot: int
    is_adopted: bool
    adoption_code: str
    started_at_ms: int
    updated_at_ms: int
    is_running: bool
    frames: int = 0
    fps: float = 0.0  # frames a second since the status before
    captured: int = 0  # pictures that a live camera gave; the frames, for a recording
    inferred: int = 0  # frames that the model looked at
    inferred_ppm: int = 0
    max_fps: float | None = None  # what the heat allows; None: full speed
    max_fps_reason: str | None = None
    inference_p50_us: int = 0
    inference_p95_us: int = 0
    latency_p95_ms: float | None = None  # from the frame that ended a track to the durable envelope
    model: str | None = None
    model_digest: str | None = None  # SHA-256 of its file, as in the envelopes
    model_note: str | None = None  # what went wrong last with a model: why one was refused or sent back
    provider: str | None = None  # what really runs it
    confined: tuple[str, ...] = ()  # what the kernel enforces on the vision process
    tracks: int = 0
    people: int = 0  # tracks of persons that have ended
    observations_waiting: int = 0  # in memory, not yet in an envelope
    observations_refused: int = 0  # lost because nothing could take them
    envelopes_signed: int = 0
    last_signed: SignedStatus | None = None
    outbox_envelopes: int = 0
    outbox_bytes: int = 0
    outbox_refused: int = 0
    outbox_oldest_ms: int | None = None  # age of the oldest envelope that waits
    outbox_classes: dict[str, int] = {}  # envelopes by class
    gaps: int = 0  # kinds of loss that are still to be told
    dropped_envelopes: int = 0  # given up, since the start
    disk_writes_per_h: int = 0  # transactions that waited for the disk
    disk_written_mib_per_h: float = 0.0
    receipts: dict[str, int] = {}  # envelopes by verdict
    is_connected: bool = False
    is_enrolled: bool = False
    beacon_round: int | None = None
    beacon_age_ms: int | None = None  # since the hub relayed it
    hubs: tuple[HubStatus, ...] = ()
    unbelievable: int = 0  # messages that proved nothing
    sensor_failures: int = 0
    debug_pictures: int = 0  # blurred ones that the owner asked for, since the start
    health: dict[str, int | None] = {}  # the last record
    processes: tuple[PartStatus, ...]
    rss_kib: int  # of all processes
    peak_rss_kib: int  # the peaks of the keeper and of vision together
    trouble: str | None  # a sentence: what is wrong at present


class StatusFile:
    """Writes the status of one run. A reader sees the old one or the new one, never half; it is not fsynced."""

    def __init__(self, place: Path, about: About, *, is_adopted: bool, now_ms: Callable[[], UnixMs]) -> None:
        """Write to ``place``, which may be in memory (`status_place`)."""
        self._place = place
        self._about = about
        self._is_adopted = is_adopted
        self._now_ms = now_ms
        self._started_at_ms = now_ms()
        self._before = (self._started_at_ms, 0)

    def write(self, parts: Parts | None, *, is_running: bool) -> AgentStatus:
        """Write and return the present status; a disk that cannot be written costs the news, not the agent.

        ``parts`` is None while the device waits for its owner.
        """
        status = self._gather(parts, is_running=is_running) if parts is not None else self._idle(is_running=is_running)
        draft = self._place.with_name(self._place.name + ".new")
        with suppress(OSError):
            draft.write_bytes(msgspec.json.format(msgspec.json.encode(status), indent=2) + b"\n")
            draft.replace(self._place)
        return status

    def _common(self, *, is_running: bool) -> dict[str, Any]:
        about = msgspec.structs.asdict(self._about)
        times = {"started_at_ms": self._started_at_ms, "updated_at_ms": self._now_ms()}
        return {**about, **times, "is_adopted": self._is_adopted, "is_running": is_running}

    def _idle(self, *, is_running: bool) -> AgentStatus:
        own = _own_process()
        return AgentStatus(
            **self._common(is_running=is_running),
            processes=(own,),
            rss_kib=own.rss_kib,
            peak_rss_kib=peak_rss_kib(),
            trouble="nobody has adopted this device yet: `cairn-edge id` shows how",
        )

    def _gather(self, parts: Parts, *, is_running: bool) -> AgentStatus:
        now_ms = self._now_ms()
        eyes, senses = parts.eyes, parts.senses
        seen = eyes.figures if eyes is not None else VisionFigures()
        ready = eyes.ready if eyes is not None else None
        processes = (_own_process(), *(_process(child) for child in parts.children))
        before_ms, before_frames = self._before
        self._before = (now_ms, seen.frames)
        uplink, scribe, allowance = parts.uplinks.state, parts.scribe, parts.warden.allowance
        lasted_h = max(now_ms - self._started_at_ms, 1) / 3_600_000
        writes = parts.outbox.writes
        depth, receipts, trouble = _outbox_words(parts.outbox)
        oldest_ms = depth.oldest_created_at_ms
        return AgentStatus(
            **self._common(is_running=is_running),
            frames=seen.frames,
            fps=round(max(0, seen.frames - before_frames) * 1000 / max(1, now_ms - before_ms), 1),
            captured=eyes.captured if eyes is not None else 0,
            inferred=seen.inferred,
            inferred_ppm=seen.inferred * 1_000_000 // seen.frames if seen.frames else 0,
            max_fps=None if allowance is None else allowance.max_mfps / 1000,
            max_fps_reason=None if allowance is None else allowance.reason,
            inference_p50_us=seen.inference_p50_us,
            inference_p95_us=seen.inference_p95_us,
            latency_p95_ms=parts.latencies.p95_ms(),
            model=ready.model if ready is not None else None,
            model_digest=ready.model_digest.hex() if ready is not None else None,
            model_note=parts.models.note if parts.models is not None else None,
            provider=ready.provider if ready is not None else None,
            confined=ready.confined if ready is not None else (),
            tracks=eyes.tracks if eyes is not None else 0,
            people=scribe.people,
            observations_waiting=scribe.waiting,
            observations_refused=scribe.refused,
            envelopes_signed=scribe.signed,
            last_signed=_signed_words(scribe),
            outbox_envelopes=depth.envelopes,
            outbox_bytes=depth.block_bytes,
            outbox_refused=depth.refused,
            outbox_oldest_ms=None if oldest_ms is None else now_ms - oldest_ms,
            outbox_classes={_CLASSES[each]: count for each, count in depth.by_class.items() if count},
            gaps=len(parts.outbox.book.gaps),
            dropped_envelopes=parts.outbox.lost[0],
            disk_writes_per_h=int(writes.flushed / lasted_h),
            disk_written_mib_per_h=round(writes.written_bytes / lasted_h / (1 << 20), 2),
            receipts=receipts,
            is_connected=uplink.is_connected,
            is_enrolled=uplink.is_enrolled,
            beacon_round=uplink.beacon.beacon.round if uplink.beacon else None,
            beacon_age_ms=now_ms - uplink.beacon.relayed_at_ms if uplink.beacon else None,
            hubs=tuple(_hub_words(each, now_ms) for each in uplink.hubs),
            unbelievable=uplink.unbelievable,
            sensor_failures=0 if senses is None else senses.failures,
            debug_pictures=seen.pictures,
            health=_health_words(parts.warden.health),
            processes=processes,
            rss_kib=sum(each.rss_kib for each in processes),
            peak_rss_kib=peak_rss_kib() + seen.peak_rss_kib,
            trouble=scribe.trouble or trouble or _trouble_of(eyes, senses),
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


def about_device(device: PublicKey, network: str, *, boot: int) -> About:
    """Return what the status says of the device all the time."""
    return About(
        device=device.did,
        network=network,
        release=version(DISTRIBUTION),
        boot=boot,
        adoption_code=short_code(device),
    )


def status_place(directory: Path, environment: Mapping[str, str]) -> Path:
    """Return where the status is written: in memory where systemd offers a place there, which spares the card.

    The device's directory then holds a link to it.
    """
    link = directory / STATUS_FILE
    runtime = environment.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not runtime:
        return link
    place = Path(runtime) / STATUS_FILE
    with suppress(OSError):
        link.unlink(missing_ok=True)
        link.symlink_to(place)
        return place
    return link


def _own_process() -> PartStatus:
    return PartStatus(name="keeper", pid=os.getpid(), restarts=0, rss_kib=rss_kib(), is_running=True)


def _hub_words(state: HubState, now_ms: UnixMs) -> HubStatus:
    beacon = state.uplink.beacon
    return HubStatus(
        hub=state.hub,
        is_connected=state.uplink.is_connected,
        is_enrolled=state.uplink.is_enrolled,
        beacon_age_ms=None if beacon is None else now_ms - beacon.relayed_at_ms,
    )


def _signed_words(scribe: Scribe) -> SignedStatus | None:
    last = scribe.last_signed
    if last is None:
        return None
    envelope, observation = last
    return SignedStatus(
        sequence=envelope.sequence,
        signed_at_ms=envelope.created_at_ms,
        observations=envelope.observations,
        says=words_of(observation),
    )


def _health_words(health: Health | None) -> dict[str, int | None]:
    if health is None:
        return {}
    return {name: None if value is None else int(value) for name, value in msgspec.structs.asdict(health).items()}


def _trouble_of(eyes: Eyes | None, senses: Senses | None) -> str | None:
    seeing = eyes.trouble if eyes is not None else None
    return seeing or (senses.trouble if senses is not None else None)


def _process(child: Child) -> PartStatus:
    pid = child.pid
    return PartStatus(
        name=child.name,
        pid=pid,
        restarts=child.restarts,
        rss_kib=0 if pid is None else rss_kib(pid),
        is_running=pid is not None,
    )


def _outbox_words(outbox: Outbox) -> tuple[OutboxDepth, dict[str, int], str | None]:
    try:
        receipts = {verdict.slug: count for verdict, count in sorted(outbox.tally().items())}
        return outbox.depth(), receipts, None
    except OutboxError as error:
        return OutboxDepth(0, 0, 0, None, {}), {}, str(error)
