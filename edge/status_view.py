"""What people may see of ``status.json``: known fields only, each believed only if it is what its name says.

The file comes from whatever release of the agent runs. A field that is missing, new or of another kind costs that
field, not the view; and what is not named here (a path, an address, a position) is not shown by mistake.
"""

from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from protocol.observation import Health
from protocol.units import UnixMs

STATUS_FILE: Final = "status.json"
_STATUS_MAX_BYTES: Final = 256 << 10
_NEWS_MAX_AGE_MS: Final = 10_000

_Word = Annotated[str, Meta(max_length=120)]
_Sentence = Annotated[str, Meta(max_length=600)]


class PartView(Struct, frozen=True, kw_only=True):
    """One process of the agent."""

    name: _Word
    pid: int | None = None
    restarts: int = 0
    rss_kib: int | None = None
    is_running: bool = True


class HubView(Struct, frozen=True, kw_only=True):
    """How one hub stands to this device."""

    hub: _Word  # did:key, or how the settings call it
    is_connected: bool = False
    is_enrolled: bool = False
    waiting: int | None = None  # envelopes without its receipt
    beacon_age_ms: int | None = None


class SignedView(Struct, frozen=True, kw_only=True):
    """The last envelope that was signed."""

    sequence: int
    signed_at_ms: int
    observations: int = 0
    says: _Sentence | None = None  # its last observation in words, without any place


class StatusView(Struct, frozen=True, kw_only=True):
    """The agent as people see it; None or empty where the status does not say."""

    device: _Word | None = None
    network: _Word | None = None
    release: _Word | None = None
    boot: int | None = None
    started_at_ms: int | None = None
    updated_at_ms: int | None = None
    is_running: bool = False
    trouble: _Sentence | None = None

    frames: int = 0
    fps: float | None = None
    tracks: int = 0
    people: int = 0
    model: _Word | None = None
    provider: _Word | None = None
    inference_ms_mean: float | None = None
    inference_p50_us: int | None = None
    inference_p95_us: int | None = None
    inferred_ppm: int | None = None
    max_fps: float | None = None
    max_fps_reason: _Sentence | None = None
    debug_pictures: int | None = None

    observations_waiting: int = 0
    observations_refused: int = 0
    envelopes_signed: int = 0
    last_signed: SignedView | None = None
    receipts: dict[_Word, int] = {}
    outbox_envelopes: int = 0
    outbox_bytes: int = 0
    outbox_refused: int = 0
    outbox_oldest_ms: int | None = None
    outbox_classes: dict[_Word, int] = {}
    gaps: int | None = None
    dropped_envelopes: int | None = None
    disk_writes_per_h: int | None = None

    is_connected: bool = False
    is_enrolled: bool = False
    is_adopted: bool | None = None
    adoption_code: _Word | None = None
    beacon_round: int | None = None
    beacon_age_ms: int | None = None
    hubs: tuple[HubView, ...] = ()
    unbelievable: int = 0
    sensor_failures: int = 0

    processes: tuple[PartView, ...] = ()
    peak_rss_kib: int | None = None
    health: dict[str, int | None] = {}  # the fields of `Health` that are known

    def is_fresh(self, *, now_ms: int) -> bool:
        """Whether this is the status of an agent at work."""
        return self.is_running and abs(now_ms - (self.updated_at_ms or 0)) < _NEWS_MAX_AGE_MS

    def is_owned(self) -> bool:
        """Whether somebody has adopted the device: its word, or else that its hub has enrolled it for its owner."""
        return self.is_enrolled if self.is_adopted is None else self.is_adopted


def read_view(directory: Path) -> StatusView | None:
    """Return what the status in ``directory`` lets people see; None if there is none that can be read."""
    try:
        with (directory / STATUS_FILE).open("rb") as file:
            text = file.read(_STATUS_MAX_BYTES + 1)
        said = msgspec.json.decode(text)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
    return view_of(said) if len(text) <= _STATUS_MAX_BYTES and isinstance(said, dict) else None


def view_of(said: dict[str, Any]) -> StatusView:
    """Return the view of a status that was read as plain JSON."""
    known: dict[str, Any] = {}
    for field in msgspec.structs.fields(StatusView):
        if field.name in said and field.name != "health":
            try:
                known[field.name] = msgspec.convert(said[field.name], field.type)
            except msgspec.ValidationError:
                continue
    return StatusView(**known, health=_health_of(said.get("health")))


def running_view(directory: Path, *, now_ms: UnixMs) -> StatusView | None:
    """Return the status of the agent at work in ``directory``; None if none is."""
    view = read_view(directory)
    return view if view is not None and view.is_fresh(now_ms=now_ms) else None


def _health_of(said: object) -> dict[str, int | None]:
    """Take the record of health as an object, or in the form in which it is signed."""
    if isinstance(said, list):
        try:
            said = msgspec.structs.asdict(msgspec.convert(said, Health))
        except msgspec.ValidationError:
            return {}
    if not isinstance(said, dict):
        return {}
    names = Health.__struct_fields__
    return {name: said[name] for name in names if isinstance(said.get(name), int)}
