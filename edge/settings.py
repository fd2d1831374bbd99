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

from edge.care.thermal import ThermalError, ThermalLimits
from edge.errors import SettingsError as SettingsError  # noqa: PLC0414 - whoever loads settings meets it
from edge.models.choice import ModelSettings
from edge.models.errors import ModelError
from edge.owning.anchors import BootPlace, KeyPlace
from edge.sensors.messages import SensingOrder
from edge.sensors.sensor import PERIOD_MAX_MS, PERIOD_MIN_MS, SensorAddress, SensorError
from edge.sensors.whereabouts import PlaceRules
from edge.sight.looking import CameraSettings, LookFor, PrivacySettings, VisionSettings
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.observation import Position
from protocol.payload import LatitudeUdeg, LongitudeUdeg, Network

SETTINGS_FILE: Final = "cairn.toml"
ENV_PREFIX: Final = "CAIRN_EDGE_"
DIRECTORY_VARIABLE: Final = "CAIRN_EDGE_DIR"
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")

_Positive = Annotated[int, Meta(ge=1, le=2**31)]
_Port = Annotated[int, Meta(ge=1, le=65_535)]


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the MQTT broker is."""

    host: str
    port: _Port = 1883
    keepalive_s: Annotated[int, Meta(ge=5, le=3_600)] = 30


class HubSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One more hub that gets every envelope, beside the first: ``[[more_hubs]]``."""

    key: str  # did:key of the hub
    host: str  # its MQTT broker
    port: _Port = 1883

    def __post_init__(self) -> None:
        self.public_key()

    def public_key(self) -> PublicKey:
        """Return the key of the hub whose word counts."""
        return _hub_key("more_hubs.key", self.key)


class PositionSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the device stands and looks, and how coarse that is when it leaves the device."""

    lat_udeg: LatitudeUdeg
    lon_udeg: LongitudeUdeg
    accuracy_mm: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 10_000
    heading_mdeg: Annotated[int, Meta(ge=-1, lt=360_000)] = -1  # clockwise from true north; -1: none
    grid_udeg: Annotated[int, Meta(ge=1, le=1_000_000)] = 1_000  # about 111 m; 1: as exact as it is
    # Where envelopes take their position from. With "gnss" the numbers above stand in while there is no good fix.
    source: Literal["settings", "gnss"] = "settings"
    gnss_min_dimension: Annotated[int, Meta(ge=2, le=3)] = 2
    gnss_min_satellites: Annotated[int, Meta(ge=0, le=64)] = 4
    gnss_max_hdop_milli: Annotated[int, Meta(ge=1, le=1_000_000)] = 5_000
    gnss_hold_s: Annotated[int, Meta(ge=1, le=86_400)] = 300  # how long the last good fix counts
    gnss_fallback_accuracy_mm: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 1_000_000  # after that: 1 km

    def rules(self) -> PlaceRules:
        """Return what `edge.sensors.whereabouts` needs."""
        return PlaceRules(
            configured=Position(self.lat_udeg, self.lon_udeg, self.accuracy_mm, self.heading_mdeg),
            follows_gnss=self.source == "gnss",
            min_dimension=self.gnss_min_dimension,
            min_satellites=self.gnss_min_satellites,
            max_hdop_milli=self.gnss_max_hdop_milli,
            hold_ms=self.gnss_hold_s * 1_000,
            fallback_accuracy_mm=self.gnss_fallback_accuracy_mm,
            grid_udeg=self.grid_udeg,
        )


class SensorSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which sensors to read; `cairn-edge sensor list` says what there is.

    Raises:
        SettingsError: a source is no sensor's word, or stands there twice.
    """

    # KIND:WHICH, with a period of its own KIND:WHICH@MS: hwmon:CHIP/temp1, thermal:TYPE, iio:bme280/pressure,
    # gnss:/dev/ttyUSB0@1000, gpsd:127.0.0.1:2947, sds011:/dev/ttyUSB1@300000, pms5003:/dev/ttyAMA0, simulated:pm
    sources: tuple[str, ...] = ()
    period_ms: Annotated[int, Meta(ge=PERIOD_MIN_MS, le=PERIOD_MAX_MS)] = 60_000

    def __post_init__(self) -> None:
        try:
            names = [str(SensorAddress.parse(source)) for source in self.sources]
        except SensorError as error:
            raise SettingsError(f"sensors.sources: {error}") from error
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SettingsError(f"sensors.sources: {', '.join(twice)} stands there twice: one of them is enough")

    def order(self, *, seed: int = 0) -> SensingOrder:
        """Return what the sensing process is told; ``seed`` is for simulated sensors."""
        return SensingOrder(sources=self.sources, period_ms=self.period_ms, seed=seed)


class BatchSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How observations become envelopes."""

    max_observations: Annotated[int, Meta(ge=1, le=256)] = 64
    max_delay_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 5_000
    beacon_patience_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 30_000


class OutboxSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much may wait for receipts, and how long. What is given up beyond that is told in a signed record."""

    max_bytes: Annotated[int, Meta(ge=1 << 20)] = 128 << 20  # seven days of one observation a second, and more
    max_age_h: Annotated[int, Meta(ge=1, le=24 * 366)] = 24 * 30  # a hub may refuse to pay for what is older than days
    receipts_kept: _Positive = 1_024


class UplinkSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How envelopes travel."""

    receipts_required: Annotated[int, Meta(ge=1, le=16)] = 1  # of different hubs, before an envelope is deleted
    window: Annotated[int, Meta(ge=1, le=256)] = 32
    resend_after_ms: Annotated[int, Meta(ge=100, le=600_000)] = 5_000
    reconnect_max_ms: Annotated[int, Meta(ge=100, le=600_000)] = 30_000
    drain_timeout_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 60_000  # after the end of a recording
    stop_timeout_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2_000  # after SIGTERM


class CareSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the device looks after itself; see edge/care/thermal.py for how the temperatures work together."""

    warm_mdegc: Annotated[int, Meta(ge=30_000, le=110_000)] = 70_000  # from here on fewer frames, step by step
    hot_mdegc: Annotated[int, Meta(ge=30_000, le=115_000)] = 82_000  # the fewest
    critical_mdegc: Annotated[int, Meta(ge=40_000, le=120_000)] = 92_000  # a pause
    spare_mdegc: Annotated[int, Meta(ge=500, le=20_000)] = 3_000  # so much cooler before a step is taken back
    tighten_after_ms: Annotated[int, Meta(ge=0, le=600_000)] = 5_000  # between two steps down
    relax_after_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 30_000  # since the last step, before one back up
    full_mfps: Annotated[int, Meta(ge=1_000, le=240_000)] = 30_000  # thousandths of a frame a second when all is well
    least_mfps: Annotated[int, Meta(ge=100, le=30_000)] = 1_000
    vision_rss_max_mib: Annotated[int, Meta(ge=96, le=65_536)] = 1_024  # beyond it vision begins anew; tracks go on
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
    more_hubs: Annotated[tuple[HubSettings, ...], Meta(max_length=15)] = ()

    def __post_init__(self) -> None:
        hubs = [self.hub_key(), *(each.public_key() for each in self.more_hubs)]
        if len(set(hubs)) != len(hubs):
            raise SettingsError("a hub stands in more_hubs that is there already: each hub once")
        brokers = [(self.broker.host, self.broker.port), *((each.host, each.port) for each in self.more_hubs)]
        if len(set(brokers)) != len(brokers):
            raise SettingsError("two hubs on one broker would take each other's connection: each needs its own")
        if self.uplink.receipts_required > len(hubs):
            raise SettingsError(
                f"uplink.receipts_required = {self.uplink.receipts_required}, but there are {len(hubs)} hubs: "
                f"add [[more_hubs]] or ask for fewer"
            )
        try:
            self.model.publisher_keys()
        except ModelError as error:
            raise SettingsError(str(error)) from error
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
        return _hub_key("hub", self.hub)

    def for_vision(self) -> VisionSettings:
        """Return what the vision process is told: no key, no network, no place."""
        model = self.model
        look_for = LookFor(
            name=model.name,
            threads=model.threads,
            runner=model.runner,
            runner_fallback=model.runner_fallback,
            classes=model.classes,
        )
        return VisionSettings(camera=self.camera, model=look_for, privacy=self.privacy)

    def owner_address(self) -> bytes:
        """Return the owner's account, 20 bytes.

        Raises:
            SettingsError: none is set; see edge/owning/adoption.py for a device that was adopted.
        """
        if not self.owner:
            raise SettingsError("this device has no owner yet: let it be adopted (`cairn-edge id` shows how)")
        return bytes.fromhex(self.owner.removeprefix("0x"))


def _hub_key(name: str, text: str) -> PublicKey:
    try:
        return PublicKey.parse(text)
    except MalformedError as error:
        raise SettingsError(f"{name} = {text[:80]!r} is not a did:key: copy it from the operator") from error


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
        elif field.name != "more_hubs":  # a list of tables: in the file alone
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


_LISTS: Final = frozenset({"classes", "publishers", "sources"})
