"""Camera and sensors: do they give what they should. A running agent is asked; its camera is never taken away."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from edge.camera.frame import Camera, CameraError
from edge.camera.live import LiveSettings
from edge.camera.opening import open_camera, without_password
from edge.doctor.check import Finding, ill, note, well
from edge.doctor.patient import Patient
from edge.sensors.asking import read_once, words_of
from edge.sensors.sensor import SensorAddress, SensorError
from protocol.units import UnixMs

_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_REACH_S: Final = 2.0
_LOOK_S: Final = 6.5  # whatever a driver or a name server does
# One opening, one picture: a doctor tells what is, it does not wait until all is well again.
HASTY: Final = LiveSettings(
    open_timeout_ms=3_000,
    read_timeout_ms=2_000,
    attempts_max=1,
    pause_first_ms=1,
    pause_max_ms=1,
    silence_max_ms=6_000,
)


def look_at_camera(patient: Patient) -> Finding | None:
    """The camera gives a picture within a few seconds."""
    told = patient.told
    if told is None:
        return None
    source = told.camera_source
    if not source:
        return well("none is set: this device has sensors only")
    running = patient.running
    if running is not None:
        says = f"the running agent has seen {running.frames} frames, {running.fps or 0} a second"
        return well(says) if running.frames else ill(f"{says}: restart the agent")
    now_ms, folder_fps = patient.world.now_ms, told.folder_fps
    found: list[Finding] = []
    # A thread of its own that may be left behind: some drivers hang for ever, and the doctor must not.
    looker = threading.Thread(
        target=lambda: found.append(_looked(source, now_ms, folder_fps)), name="doctor-camera", daemon=True
    )
    looker.start()
    looker.join(_LOOK_S)
    return found[0] if found else ill(f"{_name(source)} has not answered for {_LOOK_S:.0f} s: check power and network")


def look_at_sensors(patient: Patient) -> Finding | None:
    """Every sensor that is set gives a value; a running agent is asked, since a serial line has room for one reader."""
    told = patient.told
    if told is None:
        return None
    running = patient.running
    if told.sensor_sources and running is not None:
        says = f"the running agent reads {len(told.sensor_sources)}, {running.sensor_failures} readings failed"
        return note(f"{says}: check the wiring") if running.sensor_failures else well(says)
    at_ms = patient.world.now_ms()
    try:
        addresses = [SensorAddress.parse(source) for source in told.sensor_sources]
        values = [
            f"{address} {', '.join(words_of(each) for each in read_once(address, at_ms=at_ms))}"
            for address in addresses
        ]
    except SensorError as error:
        return ill(str(error))
    return well(", ".join(values) or "none are set")


def _looked(source: str, now_ms: Callable[[], UnixMs], folder_fps: float) -> Finding:
    name = _name(source)
    absent = _unreachable(source)
    if absent is not None:
        return ill(absent)
    try:
        camera = open_camera(source, now_ms=now_ms, folder_fps=folder_fps, live=HASTY)
    except CameraError as error:
        return ill(str(error))
    try:
        return _pictured(camera, name)
    except CameraError as error:
        is_file = Path(source).expanduser().exists()
        return ill(
            str(error)
            if is_file
            else f"{name} gives no picture: check that it is switched on, that address and password are right, and "
            "that no other program uses it"
        )
    finally:
        camera.close()


def _pictured(camera: Camera, name: str) -> Finding:
    frame = camera.read()
    if frame is None:
        return ill(f"{name} gives no picture: check that it is not empty")
    height_px, width_px = frame.image_bgr.shape[:2]
    return well(f"{name} gives pictures of {width_px}x{height_px}")


def _unreachable(source: str) -> str | None:
    """Return why a stream's machine cannot be reached at all: that is known sooner than the driver knows it."""
    address = _address(source)
    if address is None:
        return None
    host, port = address
    try:
        socket.create_connection(address, _REACH_S).close()
    except socket.gaierror:
        return f"{_name(source)}: there is no machine called {host}; check the name and this machine's network"
    except ConnectionRefusedError:
        return f"{_name(source)}: {host} is there but nothing listens on port {port}; check the camera's port"
    except OSError:
        return f"{_name(source)}: {host} does not answer; check that the camera is switched on and in this network"
    return None


def _address(source: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(source)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError:
        return None  # the driver's words are better
    return (host, port) if host is not None and port is not None else None


def _name(source: str) -> str:
    return without_password(source) if "://" in source else source
