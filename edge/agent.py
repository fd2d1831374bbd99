"""The keeper: the process that has the key and the network, sees no picture, and keeps the others going.

It supervises vision, capture and sensing (edge/eyes.py, edge/supervisor.py), turns what they say into envelopes,
signs them into the outbox and sends them. Only its main thread signs; each hub has a thread of its own. numpy,
OpenCV and ONNX Runtime are never imported here (tests/architecture/test_keeper.py): 35 MiB is what it may weigh.
"""

import math
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.assembly import assemble
from edge.builder import Urgency
from edge.clock import clock_ms
from edge.eyes import Glance, VisionProgram
from edge.log import get_logger
from edge.memory import give_back
from edge.notify import Notifier
from edge.outbox import OutboxError
from edge.parts import Parts
from edge.settings import EdgeSettings
from edge.status import AgentStatus, StatusFile
from edge.uplink import Uplink
from protocol.units import UnixMs

_TICK_S: Final = 0.1
_STATUS_EVERY_S: Final = 1.0
_PROGRESS_EVERY_S: Final = 10.0
_SETTLED_S: Final = 5.0  # after this long everything that runs has run
_GOODBYE_S: Final = 3.0  # for processes and threads that are asked to end

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
        now_ms: Callable[[], UnixMs] = clock_ms,
    ) -> None:
        """Prepare the device whose key, sequence file and outbox are in ``directory``; nothing is opened yet.

        ``program`` sees in the place of ours, ``notifier`` tells systemd how the agent is.
        """
        self._settings = settings
        self._directory = directory
        self._program = program or VisionProgram()
        self._notifier = notifier or Notifier({})
        self._now_ms = now_ms

    def run(self, stop: threading.Event) -> AgentReport:
        """Observe, sign and send until the source ends or ``stop``; then flush, and wait a while for receipts.

        Raises:
            KeyFileError, SequenceError, OutboxError: it cannot start.
        """
        with ExitStack() as stack:
            parts, status_file = assemble(
                self._settings, self._directory, self._program, stack=stack, now_ms=self._now_ms
            )
            with _running(parts.uplink) as uplink_thread:
                self._notifier.ready("observing")
                failure = self._observe(parts, status_file, uplink_thread, stop)
                self._notifier.stopping()
                self._finish(parts, status_file, stop)
            return AgentReport(status_file.write(parts, is_running=False), failure)

    def _observe(
        self, parts: Parts, status_file: StatusFile, uplink_thread: threading.Thread, stop: threading.Event
    ) -> str | None:
        """Work until the source ends or ``stop``; return why it ended, where it should not have."""
        status_due_s = 0.0
        progress_due_s = time.monotonic() + _PROGRESS_EVERY_S
        settled_at_s = time.monotonic() + _SETTLED_S
        while not stop.is_set():
            now_s = time.monotonic()
            if parts.eyes is not None:
                self._note(parts, parts.eyes.look(now_s))
            self._write_down(parts, Urgency.USUAL)
            if now_s >= status_due_s:
                status_due_s = now_s + _STATUS_EVERY_S
                if parts.eyes is not None:
                    parts.eyes.draw_if_wanted()
                status = status_file.write(parts, is_running=True)
                self._notifier.alive(f"{status.frames} frames, {status.outbox_envelopes} envelopes wait", now_s=now_s)
                if now_s >= progress_due_s:
                    progress_due_s = now_s + _PROGRESS_EVERY_S
                    _log_progress(status)
            if now_s >= settled_at_s:
                settled_at_s = math.inf
                give_back()
            if parts.eyes is not None and parts.eyes.is_over:
                return parts.eyes.failure
            if not uplink_thread.is_alive():
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

    @staticmethod
    def _note(parts: Parts, glance: Glance) -> None:
        if glance.ready is not None:
            parts.scribe.use_model(glance.ready.model_digest)
        if glance.observations:
            parts.latencies.begin(glance.read_at_ns)
            parts.scribe.note(glance.observations)

    def _write_down(self, parts: Parts, urgency: Urgency) -> None:
        if urgency is Urgency.USUAL:
            parts.scribe.note(parts.sensors.read_due(now_ms=self._now_ms()))
        notice = parts.uplink.state.beacon
        parts.scribe.write(beacon=notice.beacon if notice else None, urgency=urgency)
        if parts.scribe.waiting == 0:
            parts.latencies.all_durable(time.monotonic_ns())

    @staticmethod
    def _is_drained(parts: Parts) -> bool:
        with suppress(OutboxError):
            depth = parts.outbox.depth()
            return parts.scribe.waiting == 0 and depth.envelopes == depth.refused
        return False


def _wait_for_news(parts: Parts) -> None:
    """Wait until a child has something to say, at most for a tick."""
    children = parts.eyes.children if parts.eyes is not None else ()
    descriptors = [child.news_descriptor for child in children if child.news_descriptor is not None]
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


@contextmanager
def _running(uplink: Uplink) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=uplink.run, args=(stop,), name="uplink", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(_GOODBYE_S)
