"""The device agent: the one place where all parts meet, clocks are read and threads are started.

Three threads: *vision* (camera, detector, tracker), *uplink* (MQTT, receipts), and the caller's, which turns tracks
and readings into envelopes, signs them into the outbox and writes the status. Only that one signs.
"""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge.builder import BatchLimits, DraftBuilder, Urgency, coarsened, observation_of
from edge.camera.frame import Camera
from edge.detector.detection import Detector
from edge.identity import load_key_file
from edge.log import get_logger
from edge.opening import class_ids_of, open_named_model, open_timed_camera
from edge.outbox import Outbox, OutboxError, OutboxLimits
from edge.pipeline import Pipeline
from edge.scribe import Scribe
from edge.sensors.schedule import SensorSchedule
from edge.sensors.sysfs import open_sensor
from edge.sequence import SequenceError, SequenceLedger
from edge.settings import EdgeSettings
from edge.signer import EnvelopeSigner
from edge.status import AgentStatus, Parts, StatusFile
from edge.tracker import Tracker
from edge.uplink import Route, Surroundings, UplinkLimits
from edge.uplinks import Uplinks
from edge.vision import Vision
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.identity import KeyPair
from protocol.observation import Position
from protocol.payload import VERSION
from protocol.units import UnixMs

KEY_FILE: Final = "device.key"
SEQUENCE_FILE: Final = "sequence.json"
OUTBOX_FILE: Final = "outbox.db"
DISTRIBUTION: Final = "cairn-network"

_TICK_S: Final = 0.1
_STATUS_EVERY_S: Final = 1.0
_PROGRESS_EVERY_S: Final = 10.0
_GOODBYE_S: Final = 3.0  # for threads that are asked to end

log = get_logger()


def clock_ms() -> UnixMs:
    """Return the device's time."""
    return UnixMs(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class AgentReport:
    """How a run ended."""

    status: AgentStatus  # the last one
    failure: str | None  # a sentence, where it ended for want of a camera, a model or the uplink


class Agent:
    """One device. `run` may be called once; several agents may live in one process, each in its own directory."""

    def __init__(
        self,
        settings: EdgeSettings,
        directory: Path,
        *,
        camera: Camera | None = None,
        detector: Detector | None = None,
        now_ms: Callable[[], UnixMs] = clock_ms,
    ) -> None:
        """Prepare the device whose key, sequence file and outbox are in ``directory``; nothing is opened yet.

        ``camera`` and ``detector`` take the place of what the settings name; the camera stays the caller's to close.
        """
        self._settings = settings
        self._directory = directory
        self._camera = camera
        self._detector = detector
        self._now_ms = now_ms

    def run(self, stop: threading.Event) -> AgentReport:
        """Observe, sign and send until the source ends or ``stop``; then flush, and wait a while for receipts.

        Raises:
            KeyFileError, SequenceError, OutboxError, ModelError, CameraError, SensorError: it cannot start.
        """
        with ExitStack() as stack:
            parts, status_file = self._open(stack)
            with parts.uplink.running():
                if parts.vision is not None:
                    parts.vision.start()
                failure = self._observe(parts, status_file, stop)
                self._finish(parts, status_file, stop)
            return AgentReport(status_file.write(parts, is_running=False), failure)

    def _observe(self, parts: Parts, status_file: StatusFile, stop: threading.Event) -> str | None:
        """Work until the source ends or ``stop``; return why it ended, where it should not have."""
        status_due_s = 0.0
        progress_due_s = time.monotonic() + _PROGRESS_EVERY_S
        while not stop.is_set():
            is_last = parts.vision is not None and parts.vision.is_over  # asked before the last tracks are taken
            self._write_down(parts, Urgency.USUAL)
            if time.monotonic() >= status_due_s:
                status_due_s = time.monotonic() + _STATUS_EVERY_S
                status = status_file.write(parts, is_running=True)
                if time.monotonic() >= progress_due_s:
                    progress_due_s = time.monotonic() + _PROGRESS_EVERY_S
                    _log_progress(status)
            if parts.vision is not None and is_last:
                return parts.vision.failure
            if not parts.uplink.is_alive:
                return "the uplink ended unexpectedly: see the traceback above and report it"
            stop.wait(_TICK_S)
        return None

    def _finish(self, parts: Parts, status_file: StatusFile, stop: threading.Event) -> None:
        """End the tracks, sign what is left, and wait a while for its receipts."""
        if parts.vision is not None:
            parts.vision.stop(at_most_s=_GOODBYE_S)
        began_s = time.monotonic()
        times = self._settings.uplink
        status_due_s = 0.0
        while True:
            at_most_ms = times.stop_timeout_ms if stop.is_set() else times.drain_timeout_ms
            is_over = time.monotonic() - began_s >= at_most_ms / 1000
            if is_over:
                parts.scribe.retry_now()
            # A stop waits for nothing; a recording that has ended waits for a beacon, as long as there is time.
            self._write_down(parts, Urgency.NOW if is_over or stop.is_set() else Urgency.SOON)
            if is_over or self._is_drained(parts):
                return
            if time.monotonic() >= status_due_s:
                status_due_s = time.monotonic() + _STATUS_EVERY_S
                status_file.write(parts, is_running=True)
            time.sleep(_TICK_S / 2)

    def _write_down(self, parts: Parts, urgency: Urgency) -> None:
        tracks = parts.vision.take() if parts.vision is not None else ()
        readings = parts.sensors.read_due(now_ms=self._now_ms()) if urgency is Urgency.USUAL else ()
        parts.scribe.note([*map(observation_of, tracks), *readings])
        notice = parts.uplink.state.beacon
        parts.scribe.write(beacon=notice.beacon if notice else None, urgency=urgency)

    @staticmethod
    def _is_drained(parts: Parts) -> bool:
        with suppress(OutboxError):
            depth = parts.outbox.depth()
            return parts.scribe.waiting == 0 and depth.envelopes == depth.refused
        return False

    def _open(self, stack: ExitStack) -> tuple[Parts, StatusFile]:
        settings, directory = self._settings, self._directory
        key = load_key_file(directory / KEY_FILE)
        # The ledger comes first: its lock keeps a second agent away from everything else.
        ledger = SequenceLedger.open(directory / SEQUENCE_FILE)
        stack.callback(_close, ledger)
        outbox = Outbox.open(directory / OUTBOX_FILE, limits=outbox_limits(settings))
        stack.callback(outbox.close)
        last = outbox.last()
        ledger.never_below(last.sequence if last else 0)
        uplinks = self._make_uplinks(key, outbox)
        signer = EnvelopeSigner(
            key,
            network=settings.network,
            ledger=ledger,
            outbox=outbox,
            enrollment_digest=uplinks.enrollment_digest,
        )
        vision, model_digest = self._open_vision(stack)
        parts = Parts(
            outbox=outbox,
            uplink=uplinks,
            scribe=Scribe(self._make_builder(model_digest), signer, now_ms=self._now_ms, monotonic_s=time.monotonic),
            sensors=SensorSchedule(
                [open_sensor(source) for source in settings.sensors.sources], period_ms=settings.sensors.period_ms
            ),
            vision=vision,
        )
        log.info("agent_started", device=key.public_key.did, network=settings.network, boot=ledger.boot)
        about = (key.public_key.did, settings.network, version(DISTRIBUTION))
        return parts, StatusFile(directory, about=about, boot=ledger.boot, now_ms=self._now_ms)

    def _open_vision(self, stack: ExitStack) -> tuple[Vision | None, bytes | None]:
        settings = self._settings
        if self._camera is None and not settings.camera.source:
            return None, None
        detector = (
            self._detector
            or open_named_model(settings.model.name, directory=self._directory, threads=settings.model.threads).detector
        )
        camera = self._camera or stack.enter_context(
            open_timed_camera(settings.camera.source, now_ms=self._now_ms, folder_fps=settings.camera.folder_fps)
        )
        pipeline = Pipeline(camera, detector, Tracker(), class_ids=class_ids_of(settings.model.classes))
        return Vision(pipeline), detector.model_digest

    def _make_builder(self, model_digest: bytes | None) -> DraftBuilder:
        place, batch = self._settings.position, self._settings.batch
        position = Position(place.lat_udeg, place.lon_udeg, place.accuracy_mm, place.heading_mdeg)
        return DraftBuilder(
            model_digest=model_digest,
            agent_release=version(DISTRIBUTION),
            position=coarsened(position, grid_udeg=place.grid_udeg),
            limits=BatchLimits(batch.max_observations, batch.max_delay_ms, batch.beacon_patience_ms),
        )

    def _make_uplinks(self, key: KeyPair, outbox: Outbox) -> Uplinks:
        settings, times = self._settings, self._settings.uplink
        owner, network, me = settings.owner_address(), settings.network, key.public_key
        return Uplinks(
            [
                Route(settings.broker.host, settings.broker.port, network, me, settings.hub_key()),
                *(Route(each.host, each.port, network, me, each.public_key()) for each in settings.more_hubs),
            ],
            outbox=outbox,
            enrollment=lambda: seal_enrollment(Enrollment(VERSION, network, owner, self._now_ms()), key),
            limits=UplinkLimits(
                keepalive_s=settings.broker.keepalive_s,
                window=times.window,
                resend_after_s=times.resend_after_ms / 1000,
                reconnect_max_s=times.reconnect_max_ms / 1000,
            ),
            surroundings=Surroundings(self._now_ms, time.monotonic, random.SystemRandom().random),
        )


def outbox_limits(settings: EdgeSettings) -> OutboxLimits:
    """Return the outbox's policy as the settings tell it."""
    box = settings.outbox
    return OutboxLimits(
        max_bytes=box.max_bytes,
        max_age_ms=box.max_age_h * 3_600_000,
        receipts=box.receipts_kept,
        receipts_required=settings.uplink.receipts_required,
    )


def _log_progress(status: AgentStatus) -> None:
    log.info(
        "agent_progressed",
        frames=status.frames,
        fps=status.fps,
        tracks=status.tracks,
        people=status.people,
        outbox_envelopes=status.outbox_envelopes,
        is_connected=status.is_connected,
        peak_rss_kib=status.peak_rss_kib,
    )


def _close(ledger: SequenceLedger) -> None:
    try:
        ledger.close()
    except SequenceError as error:  # costs a gap in the numbers at the next start, no more
        log.warning("sequence_not_closed", reason=str(error))
