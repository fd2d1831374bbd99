"""Settings of one device: ``cairn.toml`` in its directory, closed schema, frozen; ``CAIRN_EDGE_*`` overrides.

A setting ``port`` of table ``[broker]`` is overridden by ``CAIRN_EDGE_BROKER_PORT``, a top-level ``network`` by
``CAIRN_EDGE_NETWORK``. Typos stop the start, in the file and in the environment. ``CAIRN_EDGE_DIR`` is no setting but
says where the file is. msgspec instead of pydantic: a third of the memory on a small board.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from edge.anchors import BootPlace, KeyPlace
from edge.errors import EdgeError
from edge.polygon import fault_of
from edge.thermal import ThermalError, ThermalLimits
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.payload import LatitudeUdeg, LongitudeUdeg, Network

SETTINGS_FILE: Final = "cairn.toml"
ENV_PREFIX: Final = "CAIRN_EDGE_"
DIRECTORY_VARIABLE: Final = "CAIRN_EDGE_DIR"
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")

_Positive = Annotated[int, Meta(ge=1, le=2**31)]
_Permille = Annotated[int, Meta(ge=0, le=1_000)]
Point = tuple[_Permille, _Permille]  # x, y in thousandths of the frame's width and height, y downwards
Polygon = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=32)]
_Port = Annotated[int, Meta(ge=1, le=65_535)]


class SettingsError(EdgeError):
    """The settings are missing, misspelt or impossible; the message says which and what to do."""


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the MQTT broker is."""

    host: str
    port: _Port = 1883
    keepalive_s: Annotated[int, Meta(ge=5, le=3_600)] = 30


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line that is crossed, in thousandths of the frame's width and height; forward is from its left to its right.

    Raises:
        SettingsError: a line without length.
    """

    begin: Point = msgspec.field(name="from")
    end: Point = msgspec.field(name="to")
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise SettingsError(f"camera.lines: {self.name or 'a line'} begins and ends at {list(self.begin)}")


class ZoneSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A zone that is stayed in: a polygon in thousandths of the frame's width and height.

    Raises:
        SettingsError: it encloses nothing, or crosses itself.
    """

    polygon: Polygon
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if fault := fault_of(self.polygon):
            raise SettingsError(f"camera.zones: {self.name or 'a zone'} {fault}")


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look through; ``source`` empty: a device with sensors only."""

    source: str = ""  # webcam:0, rtsp://..., a video file, a folder of pictures
    folder_fps: Annotated[float, Meta(gt=0, le=120)] = 10.0
    silence_max_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 25_000  # then the capture process is started anew
    gate: Literal["auto", "off"] = "auto"  # auto: the model rests while nothing moves; off: it sees every frame
    max_fps: Annotated[float, Meta(ge=0, le=120)] = 0.0  # look at no more frames a second; 0: at all
    lines: Annotated[tuple[LineSettings, ...], Meta(max_length=32)] = ()
    zones: Annotated[tuple[ZoneSettings, ...], Meta(max_length=32)] = ()


class PrivacySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must not be looked at: polygons in thousandths of the frame's width and height, painted over first of all.

    Raises:
        SettingsError: a mask encloses nothing, or crosses itself. The device does not start without it.
    """

    masks: Annotated[tuple[Polygon, ...], Meta(max_length=32)] = ()

    def __post_init__(self) -> None:
        for number, mask in enumerate(self.masks, start=1):
            if fault := fault_of(mask):
                raise SettingsError(f"privacy.masks: mask {number} {fault}")


class ModelSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look for."""

    name: str = "yolox-nano"  # a name in the model store, or the path of an .onnx file
    threads: Annotated[int, Meta(ge=0, le=64)] = 1  # 0: all cores but one
    runner: str = ""  # what runs it, in the place of what its manifest says
    runner_fallback: bool = False  # whether ONNX Runtime may stand in for a runner that cannot work here
    classes: tuple[str, ...] = ("person", "bicycle", "car", "motorcycle", "bus", "truck")  # empty: all


class PositionSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the device stands and looks, and how coarse that is when it leaves the device."""

    lat_udeg: LatitudeUdeg
    lon_udeg: LongitudeUdeg
    accuracy_mm: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 10_000
    heading_mdeg: Annotated[int, Meta(ge=-1, lt=360_000)] = -1  # clockwise from true north; -1: none
    grid_udeg: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000  # about 111 m; 1: as exact as it is


class SensorSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sensors to read; see edge/sensors."""

    sources: tuple[str, ...] = ()  # hwmon:CHIP/temp1, thermal:TYPE
    period_ms: Annotated[int, Meta(ge=1_000, le=86_400_000)] = 60_000


class BatchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How observations become envelopes."""

    max_observations: Annotated[int, Meta(ge=1, le=256)] = 64
    max_delay_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5_000
    beacon_patience_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 30_000


class OutboxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much may wait for receipts."""

    max_envelopes: _Positive = 100_000
    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 64 << 20
    receipts_kept: _Positive = 1_024


class UplinkSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How envelopes travel."""

    window: Annotated[int, Meta(ge=1, le=256)] = 32
    resend_after_ms: Annotated[int, Meta(ge=100, le=600_000)] = 5_000
    reconnect_max_ms: Annotated[int, Meta(ge=100, le=600_000)] = 30_000
    drain_timeout_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 60_000  # after the end of a recording
    stop_timeout_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2_000  # after SIGTERM


class CareSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the device looks after itself; see edge/thermal.py for how the temperatures work together."""

    warm_mdegc: Annotated[int, Meta(ge=30_000, le=110_000)] = 70_000  # from here on fewer frames, step by step
    hot_mdegc: Annotated[int, Meta(ge=30_000, le=115_000)] = 82_000  # the fewest
    critical_mdegc: Annotated[int, Meta(ge=40_000, le=120_000)] = 92_000  # a pause
    spare_mdegc: Annotated[int, Meta(ge=500, le=20_000)] = 3_000  # so much cooler before a step is taken back
    tighten_after_ms: Annotated[int, Meta(ge=0, le=600_000)] = 5_000  # between two steps down
    relax_after_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 30_000  # since the last step, before one back up
    full_mfps: Annotated[int, Meta(ge=1_000, le=240_000)] = 30_000  # thousandths of a frame a second when all is well
    least_mfps: Annotated[int, Meta(ge=100, le=30_000)] = 1_000
    health_period_ms: Annotated[int, Meta(ge=10_000, le=86_400_000)] = 600_000  # between two signed records of health


class StatusPageSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The page a device shows of itself. Nobody has to sign in, so it is for this machine and for the first day."""

    on: Literal["until_adopted", "always", "never"] = "until_adopted"
    host: str = "127.0.0.1"  # 0.0.0.0: everybody on the local network may read it
    port: _Port = 8_070


class EdgeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a device is told. Valid from birth.

    Raises:
        SettingsError: hub or owner is not what its name says.
    """

    network: Network
    hub: str  # did:key of the hub whose receipts and beacons count
    broker: BrokerSettings
    position: PositionSettings
    owner: str = ""  # 0x and 40 hexadecimal digits: the contributor's account; empty: the device waits for an adoption
    hub_url: str = ""  # where the hub's pages are: for the link in the QR code
    key: KeyPlace = KeyPlace()
    boots: BootPlace = BootPlace()
    camera: CameraSettings = CameraSettings()
    privacy: PrivacySettings = PrivacySettings()
    model: ModelSettings = ModelSettings()
    sensors: SensorSettings = SensorSettings()
    batch: BatchSettings = BatchSettings()
    outbox: OutboxSettings = OutboxSettings()
    uplink: UplinkSettings = UplinkSettings()
    care: CareSettings = CareSettings()
    status_page: StatusPageSettings = StatusPageSettings()

    def __post_init__(self) -> None:
        self.hub_key()
        if self.owner and not _ADDRESS.fullmatch(self.owner):
            raise SettingsError(f"owner = {self.owner!r} is not an account: 0x and 40 hexadecimal digits")
        try:
            self.thermal_limits()
        except ThermalError as error:
            raise SettingsError(str(error)) from error

    def thermal_limits(self) -> ThermalLimits:
        """Return when the device slows down."""
        care = self.care
        return ThermalLimits(
            warm_mdegc=care.warm_mdegc,
            hot_mdegc=care.hot_mdegc,
            critical_mdegc=care.critical_mdegc,
            spare_mdegc=care.spare_mdegc,
            tighten_after_ms=care.tighten_after_ms,
            relax_after_ms=care.relax_after_ms,
            full_mfps=care.full_mfps,
            least_mfps=care.least_mfps,
        )

    def hub_key(self) -> PublicKey:
        """Return the key of the hub whose word counts."""
        try:
            return PublicKey.parse(self.hub)
        except MalformedError as error:
            raise SettingsError(f"hub = {self.hub[:80]!r} is not a did:key: copy it from the operator") from error

    def owner_address(self) -> bytes:
        """Return the owner's account, 20 bytes.

        Raises:
            SettingsError: none is set; see edge/adoption.py for a device that was adopted.
        """
        if not self.owner:
            raise SettingsError("this device has no owner yet: let it be adopted (`cairn-edge id` shows how)")
        return bytes.fromhex(self.owner.removeprefix("0x"))


def load_settings(directory: Path, environment: Mapping[str, str]) -> EdgeSettings:
    """Read ``cairn.toml`` in ``directory`` and let ``environment`` override it.

    Raises:
        SettingsError: no file, not TOML, a field missing, unknown or out of range.
    """
    path = directory / SETTINGS_FILE
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"there is no {path}: run `cairn-edge init --dir {directory}` first") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    return settings_of(tables, environment, origin=str(path))


def settings_of(tables: Mapping[str, object], environment: Mapping[str, str], *, origin: str) -> EdgeSettings:
    """Return the settings in ``tables`` (as TOML gives them), overridden by ``environment``.

    Raises:
        SettingsError: see `load_settings`; ``origin`` names the file in the message.
    """
    overrides = _overrides(environment)
    told_by = f"{origin} and {ENV_PREFIX}*" if overrides else origin
    try:
        # Text from the environment may stand for a number; text in a file alone may not.
        return msgspec.convert(_merged(tables, overrides), EdgeSettings, strict=not overrides)
    except (msgspec.ValidationError, SettingsError) as error:
        raise SettingsError(f"{told_by}: {error}") from error


def _overrides(environment: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Return what ``environment`` overrides: ``(table, field)`` or ``(field,)`` to text."""
    known: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(EdgeSettings):
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            for inner in msgspec.structs.fields(field.type):
                known[f"{ENV_PREFIX}{field.name}_{inner.name}".upper()] = (field.name, inner.name)
        else:
            known[f"{ENV_PREFIX}{field.name}".upper()] = (field.name,)
    given = {name for name in environment if name.startswith(ENV_PREFIX) and name != DIRECTORY_VARIABLE}
    stray = sorted(given - known.keys())
    if stray:
        raise SettingsError(f"unknown settings in the environment: {', '.join(stray)}; unset them or mend the name")
    return {known[name]: environment[name] for name in sorted(given)}


def _merged(tables: Mapping[str, object], overrides: Mapping[tuple[str, ...], str]) -> dict[str, object]:
    merged: dict[str, object] = dict(tables)
    for path, text in overrides.items():
        # Only lists of words can be overridden beside plain values: comma separated.
        value: object = [word.strip() for word in text.split(",") if word.strip()] if path[-1] in _LISTS else text
        if len(path) == 1:
            merged[path[0]] = value
        else:
            table = merged.get(path[0], {})
            merged[path[0]] = {**(table if isinstance(table, dict) else {}), path[1]: value}
    return merged


_LISTS: Final = frozenset({"classes", "sources"})
