"""What a device does that nobody owns yet: it shows how to adopt it, listens, and signs nothing."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from edge.notify import Notifier
from edge.owning.adoption import Adoption, owner_of
from edge.owning.awaiting import Meeting, await_owner
from edge.owning.keys import open_signer
from edge.settings import EdgeSettings
from edge.show import Show
from edge.status import AgentStatus, StatusFile, about_device
from protocol.units import UnixMs


def waited_for_owner(  # what a run has in its hands
    settings: EdgeSettings,
    directory: Path,
    status_at: Path,
    notifier: Notifier,
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
    status_file = StatusFile(status_at, about_device(device, settings.network, boot=0), is_adopted=False, now_ms=now_ms)
    status_file.write(None, is_running=True)
    meeting = Meeting(settings.broker.host, settings.broker.port, settings.network, device, settings.broker.keepalive_s)
    notifier.ready("waiting for an owner")
    page = settings.status_page
    with Show(page.on, (page.host, page.port), directory, is_adopted=False) as show:

        def told() -> bytes | None:
            """Asked again and again: the chance to tell others how it stands."""
            now_s = time.monotonic()
            status_file.write(None, is_running=True)
            show.step(now_s)
            notifier.alive("waiting for an owner", now_s=now_s)
            return owner_of(directory, settings)

        adoption = Adoption.open(directory, network=settings.network, device=device)
        owner = await_owner(meeting, adoption, stop, monotonic_s=time.monotonic, told=told)
    return status_file.write(None, is_running=False) if owner is None else owner
