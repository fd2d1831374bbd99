"""The keeper: the process that has the key and the network, sees no picture, and keeps the others going.

It supervises vision, capture and sensing (edge/eyes.py, edge/senses.py), turns what they say into envelopes, signs
them into the outbox and sends them. Only its main thread signs; each hub has a thread of its own. numpy, OpenCV and
ONNX Runtime are never imported here (tests/architecture/test_keeper.py): 35 MiB is what it may weigh.
"""

import math
import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.assembly import Device, assemble, outbox_limits
from edge.care.host import Host
from edge.clock import clock_ms
from edge.eyes import Eyes
from edge.glance import Glance, VisionProgram
from edge.keeping.builder import Urgency
from edge.keeping.outbox import OutboxError
from edge.log import get_logger
from edge.memory import give_back
from edge.models.errors import ModelError
from edge.models.keeper import RESTART_VISION, ModelKeeper
from edge.notify import Notifier
from edge.owning.adoption import owner_of
from edge.owning.rotation import finish_rotation
from edge.parts import Parts
from edge.settings import EdgeSettings
from edge.show import Show
from edge.status import AgentStatus, StatusFile, status_place
from edge.waiting import SignsOfLife, waited_for_owner
from protocol.units import UnixMs

_TICK_S: Final = 0.1
_STATUS_EVERY_S: Final = 1.0
_PROGRESS_EVERY_S: Final = 10.0
_SETTLED_S: Final = 5.0  # after this long everything that runs has run
_GOODBYE_S: Final = 3.0  # for processes that are asked to end

log = get_logger()


@dataclass(frozen=True, slots=True)
class AgentReport:
    """How a run ended."""

    status: AgentStatus  # the last one
    failure: str | None  # a sentence, where it ended for want of a camera, a model or the uplink


class Agent:
    """One device. `run` may be called once."""

    def __init__(
        self,
        settings: EdgeSettings,
        directory: Path,
        *,
        program: VisionProgram | None = None,
        notifier: Notifier | None = None,
        host: Host | None = None,
        now_ms: Callable[[], UnixMs] = clock_ms,
    ) -> None:
        """Prepare the device in ``directory``; nothing is opened yet.

        ``program`` sees in the place of ours, ``notifier`` tells systemd how the agent is, ``host`` is the machine.
        """
        self._settings = settings
        self._directory = directory
        self._program = program or VisionProgram()
        self._notifier = notifier or Notifier({})
        self._host = host or Host()
        self._now_ms = now_ms
        self._model_digest: bytes | None = None

    def run(self, stop: threading.Event) -> AgentReport:
        """Observe, sign and send until the source ends or ``stop``; then flush, and wait a while for receipts.

        A device that nobody owns waits for its adoption first.

        Raises:
            EdgeError: it cannot start.
        """
        settings, directory = self._settings, self._directory
        finish_rotation(directory, limits=outbox_limits(settings))
        place = status_place(directory, os.environ)
        is_adopted = owner_of(directory, settings) is not None
        with ExitStack() as stack:
            page = settings.status_page
            # One page for the whole run: whoever has just adopted the device reads there that it worked.
            show = stack.enter_context(Show(page.on, (page.host, page.port), directory, is_adopted=is_adopted))
            signs = SignsOfLife(place, self._notifier, show)
            owner = waited_for_owner(settings, directory, signs, stop, now_ms=self._now_ms)
            if isinstance(owner, AgentStatus):
                return AgentReport(owner, None)
            device = Device(settings, directory, owner, self._now_ms, self._host)
            parts, about = assemble(device, self._program, stack=stack)
            status_file = StatusFile(place, about, is_adopted=True, now_ms=self._now_ms)
            with parts.uplinks.running():
                self._notifier.ready("observing")
                failure = self._observe(parts, status_file, show, stop)
                self._notifier.stopping()
                self._finish(parts, status_file, stop)
            return AgentReport(status_file.write(parts, is_running=False), failure)

    def _observe(self, parts: Parts, status_file: StatusFile, show: Show, stop: threading.Event) -> str | None:
        """Work until the source ends or ``stop``; return why it ended, where it should not have."""
        status_due_s = 0.0
        progress_due_s = time.monotonic() + _PROGRESS_EVERY_S
        settled_at_s = time.monotonic() + _SETTLED_S
        while not stop.is_set():
            now_s = time.monotonic()
            self._take_in(parts, now_s)
            self._write_down(parts, Urgency.USUAL)
            if now_s >= status_due_s:
                status_due_s = now_s + _STATUS_EVERY_S
                status = self._tell(parts, status_file, show, now_s)
                if now_s >= progress_due_s:
                    progress_due_s = now_s + _PROGRESS_EVERY_S
                    _log_progress(status)
            if now_s >= settled_at_s:
                settled_at_s = math.inf
                give_back()
            if parts.eyes is not None and parts.eyes.is_over:
                return parts.eyes.failure
            if parts.is_leaving and self._is_drained(parts):
                return None
            if not parts.uplinks.is_alive:
                return "the uplink ended unexpectedly: see the traceback above and report it"
            _wait_for_news(parts)
        return None

    def _finish(self, parts: Parts, status_file: StatusFile, stop: threading.Event) -> None:
        """Let the children end, sign what is left, and wait a while for its receipts."""
        if parts.eyes is not None:
            self._note(parts, parts.eyes.halt(at_most_s=_GOODBYE_S))
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

    def _take_in(self, parts: Parts, now_s: float) -> None:
        """Hear what the children have seen and measured, and what the warden has to say."""
        if parts.eyes is not None:
            self._note(parts, parts.eyes.look(now_s))
        if parts.senses is not None:
            parts.scribe.note(parts.senses.feel(now_s))
            parts.scribe.move_to(parts.whither.place(parts.senses.fix, now_ms=self._now_ms()))
        if not parts.is_leaving:
            parts.scribe.note(parts.warden.look(parts.watched))

    def _tell(self, parts: Parts, status_file: StatusFile, show: Show, now_s: float) -> AgentStatus:
        """Tell everybody who wants to know how the agent is; return what was told."""
        if parts.eyes is not None:
            parts.eyes.draw_if_wanted()
        status = status_file.write(parts, is_running=True)
        show.step(now_s)
        self._notifier.alive(f"{status.frames} frames, {status.outbox_envelopes} envelopes wait", now_s=now_s)
        return status

    def _note(self, parts: Parts, glance: Glance) -> None:
        if glance.ready is not None and glance.ready.model_digest != self._model_digest:
            if self._model_digest is not None:
                self._write_down(parts, Urgency.NOW)  # what the model before has seen is signed in its name
            self._model_digest = glance.ready.model_digest
            parts.scribe.use_model(self._model_digest)
        if parts.models is not None and parts.eyes is not None:
            _look_after_models(parts.models, parts.eyes, glance)
        if glance.observations:
            parts.latencies.begin(glance.read_at_ns)
            parts.scribe.note(glance.observations)

    @staticmethod
    def _write_down(parts: Parts, urgency: Urgency) -> None:
        if parts.is_leaving:
            return
        notice = parts.uplinks.state.beacon
        parts.scribe.write(beacon=notice.beacon if notice else None, urgency=urgency)
        if parts.scribe.waiting == 0:
            parts.latencies.all_durable(time.monotonic_ns())

    @staticmethod
    def _is_drained(parts: Parts) -> bool:
        with suppress(OutboxError):
            depth = parts.outbox.depth()
            return parts.scribe.waiting == 0 and depth.envelopes == depth.refused
        return False


def _look_after_models(models: ModelKeeper, eyes: Eyes, glance: Glance) -> None:
    """Let the keeper of models know how the present one does, and begin anew where it has put another in place."""
    try:
        for incident in glance.incidents:
            (models.model_failed if incident.is_model else models.vision_crashed)(incident.reason)
        if glance.is_at_work:
            models.vision_works(frame_ms=eyes.figures.inference_p50_us // 1000)
    except ModelError as error:  # the disk takes nothing: what runs goes on running
        log.warning("model_state_not_kept", reason=str(error))
    if models.step() == RESTART_VISION:
        eyes.begin_anew()


def _wait_for_news(parts: Parts) -> None:
    """Wait until a child has something to say, at most for a tick."""
    descriptors = [child.news_descriptor for child in parts.children if child.news_descriptor is not None]
    if descriptors:
        select.select(descriptors, [], [], _TICK_S)
    else:
        time.sleep(_TICK_S)


def _log_progress(status: AgentStatus) -> None:
    log.info(
        "agent_progressed",
        frames=status.frames,
        fps=status.fps,
        tracks=status.tracks,
        people=status.people,
        outbox_envelopes=status.outbox_envelopes,
        is_connected=status.is_connected,
        rss_kib=status.rss_kib,
    )
