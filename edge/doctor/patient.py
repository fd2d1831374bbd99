"""The device under examination and the world around it; what several checks need is looked at once."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.care.host import Host
from edge.doctor.hub_word import HubWord
from edge.doctor.tools import Tools
from edge.keeping.outbox import OutboxLimits
from edge.owning.anchors import KeyPlace
from edge.owning.identity import IdentityError
from edge.owning.keys import open_signer
from edge.sending.uplink import Route
from edge.status_view import StatusView, running_view
from protocol.identity import PublicKey
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class FileNames:
    """How the files in a device's directory are called."""

    key: str
    sequence: str
    outbox: str
    settings: str
    models: str


@dataclass(frozen=True, slots=True)
class Told:
    """What the settings say, as far as a check asks."""

    network: str
    hub: PublicKey
    broker_host: str
    broker_port: int
    camera_source: str  # empty: sensors only
    folder_fps: float
    model_name: str
    model_threads: int
    sensor_sources: tuple[str, ...]
    outbox_limits: OutboxLimits
    warm_mdegc: int  # where the agent begins to slow down
    key: KeyPlace = field(default_factory=KeyPlace)  # where the device's key is


def free_bytes(directory: Path) -> int:
    """Return the room on the file system of ``directory``."""
    return shutil.disk_usage(directory).free


def owner_of(path: Path) -> int:
    """Return the user that ``path`` belongs to; of a link, not of what it points to."""
    return path.lstat().st_uid


def give(path: Path, user_id: int) -> None:
    """Let ``path`` belong to that user."""
    os.chown(path, user_id, -1, follow_symlinks=False)


@dataclass(frozen=True, slots=True)
class World:
    """What the doctor is given instead of looking: a clock, the machine, its programs, and who runs the doctor."""

    now_ms: Callable[[], UnixMs]
    ask_hub: Callable[[Route], HubWord]
    host: Host
    tools: Tools
    user_id: int
    free_bytes: Callable[[Path], int] = free_bytes
    owner_of: Callable[[Path], int] = owner_of
    give: Callable[[Path, int], None] = give


class Patient:
    """One device."""

    def __init__(self, directory: Path, files: FileNames, *, told: Told | str, world: World) -> None:
        """Examine the device in ``directory``; ``told`` is what its settings say, or why there are none."""
        self.directory = directory
        self.files = files
        self.world = world
        self.told = told if isinstance(told, Told) else None
        self.settings_complaint = None if isinstance(told, Told) else told
        self._running: tuple[StatusView | None] | None = None
        self._hub: tuple[HubWord | None] | None = None

    @property
    def running(self) -> StatusView | None:
        """The status of the agent that is at work here; None if none is."""
        if self._running is None:
            self._running = (running_view(self.directory, now_ms=self.world.now_ms()),)
        return self._running[0]

    @property
    def hub(self) -> HubWord | None:
        """What broker and hub said; None if settings or key are missing, which other checks say."""
        if self._hub is None:
            route = self._route()
            self._hub = (None if route is None else self.world.ask_hub(route),)
        return self._hub[0]

    def look_anew(self) -> None:
        """Forget what was seen: something has been changed."""
        self._running = None
        self._hub = None

    def _route(self) -> Route | None:
        if self.told is None:
            return None
        try:
            device = open_signer(self.told.key, self.directory, os.environ).public_key
        except IdentityError:
            return None
        told = self.told
        return Route(told.broker_host, told.broker_port, told.network, device, told.hub)
