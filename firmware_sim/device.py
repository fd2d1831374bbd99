"""One simulated device: the real edge agent, with a camera that looks at the made-up world."""

import signal
import threading
from dataclasses import dataclass
from pathlib import Path

from edge.agent import Agent, AgentReport
from edge.glance import VisionProgram
from edge.settings import load_settings
from firmware_sim.world import World, WorldSettings, town_vantages
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class Place:
    """Which camera of which town a device is. Two devices with one seed live in the same world."""

    seed: int
    camera_index: int
    camera_count: int
    starts_at_ms: UnixMs

    def world(self) -> World:
        """Return the town this device looks at."""
        return town(self.seed, self.camera_count, self.starts_at_ms)


def town(seed: int, camera_count: int, starts_at_ms: UnixMs) -> World:
    """Return the town of one fleet: the same for every device and for whoever wants to know the truth."""
    return World(seed, town_vantages(seed, camera_count), WorldSettings(starts_at_ms=starts_at_ms))


def run_device(
    directory: Path, place: Place, *, frames_per_s: int, ends_at_ms: UnixMs | None, stop: threading.Event
) -> AgentReport:
    """Run the agent of ``directory`` at ``place`` until ``ends_at_ms``, SIGTERM or Ctrl-C.

    Raises:
        SettingsError, KeyFileError, OutboxError: see `edge.agent.Agent.run`.
    """
    words = ["--seed", place.seed, "--camera", place.camera_index, "--cameras", place.camera_count]
    words += ["--starts-at-ms", place.starts_at_ms, "--frames-per-s", frames_per_s]
    words += [] if ends_at_ms is None else ["--ends-at-ms", ends_at_ms]
    program = VisionProgram(
        module="firmware_sim.sight", arguments=tuple(str(word) for word in words), brings_camera=True
    )
    return Agent(load_settings(directory, {}), directory, program=program).run(stop)


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
