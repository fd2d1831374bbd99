"""What a device does that nobody owns yet: it shows how to adopt it, listens, and signs nothing."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.notify import Notifier
from edge.owning.adoption import Adoption, owner_of
from edge.owning.awaiting import Meeting, await_owner
from edge.owning.keys import open_signer
from edge.settings import EdgeSettings
from edge.show import Show
from edge.status import AgentStatus, StatusFile, about_device
from protocol.units import UnixMs

_STATUS_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class SignsOfLife:
    """Where a device that waits tells that it does."""

    status_at: Path
    notifier: Notifier
    show: Show


def waited_for_owner(
    settings: EdgeSettings,
    directory: Path,
    signs: SignsOfLife,
    stop: threading.Event,
    *,
    now_ms: Callable[[], UnixMs],
) -> bytes | AgentStatus:
    """Return the owner of the device at once where it has one, else as soon as it is adopted.

    Returns:
        The account, 20 bytes; or the last status, where the device was told to stop first.

    Raises:
        AdoptionError, IdentityError: who owns it, or its key, cannot be read.
    """
    owner = owner_of(directory, settings)
    if owner is not None:
        return owner
    device = open_signer(settings.key, directory, os.environ).public_key
    about = about_device(device, settings.network, boot=0)
    status_file = StatusFile(signs.status_at, about, is_adopted=False, now_ms=now_ms)
    status_file.write(None, is_running=True)
    meeting = Meeting(settings.broker.host, settings.broker.port, settings.network, device, settings.broker.keepalive_s)
    signs.notifier.ready("waiting for an owner")
    status_due_s = 0.0

    def told() -> bytes | None:
        """Asked again and again: the chance to tell others how it stands."""
        nonlocal status_due_s
        now_s = time.monotonic()
        if now_s >= status_due_s:
            status_due_s = now_s + _STATUS_EVERY_S
            status_file.write(None, is_running=True)
        signs.show.step(now_s)
        signs.notifier.alive("waiting for an owner", now_s=now_s)
        return owner_of(directory, settings)

    adoption = Adoption.open(directory, network=settings.network, device=device)
    owner = await_owner(meeting, adoption, stop, monotonic_s=time.monotonic, told=told)
    return status_file.write(None, is_running=False) if owner is None else owner
