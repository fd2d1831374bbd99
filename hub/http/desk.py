"""What the HTTP side is given to work with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hub.broker.address import BrokerAddress
from hub.domain.schedule import EpochSchedule
from hub.ingest.adoptions import AdoptionRelay
from hub.ingest.gauges import IntakeReadings
from hub.models import Shelf
from hub.pinning.pinner import Pinner
from hub.store.store import Store
from protocol.identity import PublicKey
from protocol.logbook import Policy
from protocol.units import UnixMs


@dataclass(frozen=True, slots=True)
class HubFacts:
    """What does not change while the hub runs."""

    version: str
    name: str
    network: str
    key: PublicKey
    schedule: EpochSchedule
    policy: Policy
    broker: BrokerAddress


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the hub is doing at one moment."""

    intake: IntakeReadings
    queue_depth: int
    oldest_unacknowledged_ms: int
    broker_connected: bool
    disk_free_bytes: int
    troubles: tuple[str, ...]  # what is being tried again
    failure: str | None  # why it is about to stop


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything an endpoint may look at; nothing it may change, but one thing it may pass on."""

    facts: HubFacts
    store: Store
    pinner: Pinner
    car_folders: tuple[Path, ...]  # where segments and epoch CARs lie
    shelf: Shelf
    console: Path  # the built page, if it was built
    clock: Callable[[], UnixMs]
    pulse: Callable[[], Pulse]
    adoptions: AdoptionRelay | None = None  # None: this hub passes none on
