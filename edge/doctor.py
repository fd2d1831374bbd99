"""What could be wrong with a device, one small check each: a name, whether it is well, and a sentence that helps.

No check changes anything that matters or disturbs a running agent.
"""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.camera.frame import CameraError
from edge.connection import Connection, UplinkError
from edge.detector.detection import ModelError
from edge.hearing import UnbelievableError, believed_beacon
from edge.identity import KeyFileError, load_key_file
from edge.opening import open_named_model, open_timed_camera
from edge.outbox import OutboxError, OutboxLimits, peek_depth
from edge.sensors.asking import read_once, words_of
from edge.sensors.sensor import SensorAddress, SensorError
from edge.sequence import SequenceError, read_ledger
from edge.status import AgentStatus
from edge.uplink import Route
from protocol.beacon import BeaconNotice
from protocol.topics import beacon_topic
from protocol.units import UnixMs

_DISK_MIN_BYTES: Final = 100 << 20
_PATIENCE_S: Final = 5.0
_SKEW_MAX_MS: Final = 5_000
_BEACON_AGE_MAX_MS: Final = 300_000
_NEWS_MAX_AGE_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check."""

    name: str
    is_well: bool
    says: str


def _well(name: str, says: str) -> Check:
    return Check(name, is_well=True, says=says)


def _ill(name: str, says: str) -> Check:
    return Check(name, is_well=False, says=says)


def is_agent_running(status: AgentStatus | None, *, now_ms: UnixMs) -> bool:
    """Whether the status is that of an agent at work."""
    return status is not None and status.is_running and abs(now_ms - status.updated_at_ms) < _NEWS_MAX_AGE_MS


def check_key(path: Path) -> Check:
    """The key file is there, safe and a key."""
    try:
        return _well("key", load_key_file(path).public_key.did)
    except KeyFileError as error:
        return _ill("key", str(error))


def check_sequence(path: Path) -> Check:
    """The sequence file is there and sound."""
    try:
        boot, used_until = read_ledger(path)
    except SequenceError as error:
        return _ill("sequence", str(error))
    return _well("sequence", f"{boot} starts, numbers reserved up to {used_until}")


def check_disk(directory: Path) -> Check:
    """The directory can be written and has room."""
    try:
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".doctor-"):
            free_bytes = shutil.disk_usage(directory).free
    except OSError as error:
        return _ill("disk", f"{directory} cannot be written ({error.strerror}): check its rights and its disk")
    if free_bytes < _DISK_MIN_BYTES:
        return _ill("disk", f"only {free_bytes >> 20} MiB are free under {directory}: make room")
    return _well("disk", f"{free_bytes >> 20} MiB free under {directory}")


def check_camera(source: str, *, now_ms: Callable[[], UnixMs], folder_fps: float, running: AgentStatus | None) -> Check:
    """The camera gives a frame; a running agent is asked instead of taking its camera away."""
    if not source:
        return _well("camera", "none is set: this device has sensors only")
    if running is not None:
        says = f"the running agent has seen {running.frames} frames, {running.fps} a second"
        return _well("camera", says) if running.frames else _ill("camera", f"{says}: restart the agent")
    try:
        with open_timed_camera(source, now_ms=now_ms, folder_fps=folder_fps) as camera:
            frame = camera.read()
    except CameraError as error:
        return _ill("camera", str(error))
    if frame is None:
        return _ill("camera", f"{source} gives no picture: check that it is not empty")
    height_px, width_px = frame.image_bgr.shape[:2]
    return _well("camera", f"{source} gives pictures of {width_px}x{height_px}")


def check_model(name_or_path: str, *, directory: Path, threads: int) -> Check:
    """The model loads and finds what its self-test picture shows."""
    try:
        opened = open_named_model(name_or_path, directory=directory, threads=threads)
    except ModelError as error:
        return _ill("model", str(error))
    return _well("model", f"{opened.manifest.name} passed its self-test on {opened.detector.provider}")


def check_sensors(sources: tuple[str, ...], *, now_ms: UnixMs) -> Check:
    """Every sensor that is set gives a value."""
    try:
        addresses = [SensorAddress.parse(source) for source in sources]
        values = [
            f"{address} {', '.join(words_of(each) for each in read_once(address, at_ms=now_ms))}"
            for address in addresses
        ]
    except SensorError as error:
        return _ill("sensors", str(error))
    return _well("sensors", ", ".join(values) or "none are set")


def check_outbox(path: Path, *, limits: OutboxLimits, now_ms: UnixMs) -> Check:
    """What waits is little and young."""
    if not path.exists():
        return _well("outbox", "empty: the agent has not run yet")
    try:
        depth = peek_depth(path, limits=limits)
    except OutboxError as error:
        return _ill("outbox", str(error))
    oldest_s = 0 if depth.oldest_created_at_ms is None else (now_ms - depth.oldest_created_at_ms) // 1000
    says = f"{depth.envelopes} of {limits.envelopes} envelopes wait, the oldest for {oldest_s} s"
    if depth.refused:
        return _ill("outbox", f"{says}; the hub refuses {depth.refused}: check that agent and hub are up to date")
    if depth.envelopes * 2 > limits.envelopes or depth.block_bytes * 2 > limits.block_bytes:
        return _ill("outbox", f"{says}: more than half full, check that the hub can be reached")
    return _well("outbox", says)


def check_hub(route: Route, *, now_ms: Callable[[], UnixMs], monotonic_s: Callable[[], float]) -> tuple[Check, ...]:
    """The broker answers, the hub's beacon is to be heard there, and its time and ours agree."""
    where = f"{route.host}:{route.port}"
    try:
        notice = _heard_beacon(route, monotonic_s=monotonic_s)
    except UplinkError as error:
        return (_ill("broker", f"{error}: check its address and this machine's network"),)
    except UnbelievableError as error:
        wrong = f"{where} relays the word of another hub ({error}): check hub and network in cairn.toml"
        return _well("broker", f"{where} answers"), _ill("hub", wrong)
    broker = _well("broker", f"{where} answers")
    if notice is None:
        return broker, _ill("hub", f"no beacon was heard within {_PATIENCE_S:.0f} s: ask the operator")
    hub = _well("hub", f"beacon {notice.beacon.round} heard, signed by the hub")
    return broker, hub, _check_clock(now_ms() - notice.relayed_at_ms)


def _check_clock(ahead_ms: int) -> Check:
    if -_SKEW_MAX_MS <= ahead_ms <= _BEACON_AGE_MAX_MS:
        return _well("clock", "agrees with the hub's")
    side = "behind" if ahead_ms < 0 else "ahead of"
    return _ill("clock", f"{abs(ahead_ms) // 1000} s {side} the hub's beacon: switch on NTP, or the hub is asleep")


def _heard_beacon(route: Route, *, monotonic_s: Callable[[], float]) -> BeaconNotice | None:
    # Another client id than the agent's, which would be thrown out, and a session that ends with the check.
    name = f"{route.device.name}-doctor"
    connection = Connection(client_id=name, keepalive_s=30, monotonic_s=monotonic_s, is_persistent=False)
    topic = beacon_topic(route.network)
    try:
        connection.open(route.host, route.port, topics=[topic])
        give_up_at_s = monotonic_s() + _PATIENCE_S
        while monotonic_s() < give_up_at_s:
            for heard_topic, block in connection.pump(0.1):
                if heard_topic == topic:
                    return believed_beacon(block, hub=route.hub, network=route.network, held=None)
        return None
    finally:
        connection.close()
