"""The demo's devices: founded with `cairn-edge init`, bonded by their owners, run as processes of their own."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from firmware_sim.children import Child, Children, program
from firmware_sim.device import Place
from firmware_sim.network import Contributor, Network
from protocol.units import UnixMs

TINY_MODEL: Final = Path(__file__).parent / "models" / "cairn-tiny.onnx"
_GRID_UDEG: Final = 50  # about five metres: neighbours in one street stay two vantages
_COUNTED_AFTER_MS: Final = 1_000  # how long after somebody left the picture a device reports
_DOWNLOAD_WITHIN_S: Final = 600.0
_VIDEO_PLACE_UDEG: Final = (52_520_008, 13_404_954)


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How many simulated devices, in which world, how often they look, and the real video where there is one."""

    seed: int
    cameras: int
    frames_per_s: int
    video: Path | None
    model: Path | None


@dataclass(frozen=True, slots=True)
class Device:
    """One running device."""

    name: str
    did: str
    owner: Contributor
    directory: Path
    child: Child
    place: Place | None  # in the made-up town; None: it watches the real video

    def status(self) -> dict[str, object]:
        """Return what the agent last said of itself; empty before it has."""
        try:
            loaded: dict[str, object] = json.loads((self.directory / "status.json").read_text())
        except (OSError, ValueError):
            return {}
        return loaded

    def came_by(self) -> int | None:
        """Return how many really passed its camera while it watched; None where only the video knows."""
        status = self.status()
        if self.place is None or not status:
            return None
        since_ms, until_ms = int(str(status["started_at_ms"])), int(str(status["updated_at_ms"])) - _COUNTED_AFTER_MS
        visits = self.place.world().visits(self.place.camera_index, self.place.starts_at_ms, UnixMs(until_ms))
        return sum(since_ms < visit.leaves_ms <= until_ms for visit in visits)


def start_fleet(settings: FleetSettings, network: Network, children: Children, *, starts_at_ms: UnixMs) -> list[Device]:
    """Found, bond and start every device. The last contributor owns the device that watches the video.

    Raises:
        ChildError: a command failed.
    """
    *sharing, video_owner = network.contributors
    owners = [sharing[index % len(sharing)] for index in range(settings.cameras)]
    foundings = [_simulated(settings, index, owner, network.folder, starts_at_ms) for index, owner in enumerate(owners)]
    if settings.video is not None:
        foundings.append(_watching(settings.video, settings.model, video_owner, network.folder))
    by_owner = [[each for each in foundings if each.owner == owner] for owner in network.contributors]
    with ThreadPoolExecutor(max_workers=len(by_owner)) as pool:
        dids = {
            directory: did
            for founded in pool.map(lambda own: _found_all(own, network, children), filter(None, by_owner))
            for directory, did in founded.items()
        }
    return [
        Device(
            each.directory.name,
            dids[each.directory],
            each.owner,
            each.directory,
            children.start(each.directory.name, each.run, may_end=each.camera is not None),
            each.place,
        )
        for each in foundings
    ]


@dataclass(frozen=True, slots=True)
class _Founding:
    """What a device is told at its beginning, and the command that runs it."""

    directory: Path
    owner: Contributor
    place_udeg: tuple[int, int]
    heading_deg: float
    model: str
    run: tuple[str, ...]
    camera: str | None = None
    place: Place | None = None


def _simulated(
    settings: FleetSettings, index: int, owner: Contributor, folder: Path, starts_at_ms: UnixMs
) -> _Founding:
    directory = folder / "devices" / f"sim-{index + 1}"
    place = Place(settings.seed, index, settings.cameras, starts_at_ms)
    world = place.world()
    run = [program("cairn-sim"), "device", "--dir", str(directory), "--seed", str(settings.seed)]
    run += ["--camera", str(index), "--cameras", str(settings.cameras)]
    run += ["--starts-at-ms", str(starts_at_ms), "--frames-per-s", str(settings.frames_per_s)]
    heading_deg = world.vantages[index].heading_deg
    model = str(TINY_MODEL.resolve())
    return _Founding(directory, owner, world.position_udeg(index), heading_deg, model, tuple(run), place=place)


def _watching(video: Path, model: Path | None, owner: Contributor, folder: Path) -> _Founding:
    directory = folder / "devices" / "video"
    run = (program("cairn-edge"), "run", "--dir", str(directory))
    name = "yolox-nano" if model is None else str(model.resolve())
    return _Founding(directory, owner, _VIDEO_PLACE_UDEG, 0.0, name, run, camera=str(video.resolve()))


def _found_all(foundings: list[_Founding], network: Network, children: Children) -> dict[Path, str]:
    """Make one owner's devices, have their bonds put up, and return their did:keys by directory."""
    dids = {founding.directory: _found(founding, network, children) for founding in foundings}
    network.stake(foundings[0].owner, tuple(dids.values()), children)
    return dids


def _found(founding: _Founding, network: Network, children: Children) -> str:
    """Make a device with `cairn-edge init` and return its did:key."""
    directory = founding.directory
    command = [program("cairn-edge"), "init", "--dir", str(directory), "--hub", network.hub_url]
    command += ["--owner", founding.owner.account, "--grid-udeg", str(_GRID_UDEG), "--model", founding.model]
    command += ["--lat", _degrees(founding.place_udeg[0]), "--lon", _degrees(founding.place_udeg[1])]
    command += ["--heading", f"{founding.heading_deg:.1f}"]
    command += [] if founding.camera is None else ["--camera", founding.camera]
    did = children.output(f"init-{directory.name}", command).splitlines()[0]
    if not founding.model.endswith(".onnx"):
        add = [program("cairn-edge"), "model", "add", "--dir", str(directory), founding.model]
        children.output("model", add, timeout_s=_DOWNLOAD_WITHIN_S)
    return did


def _degrees(value_udeg: int) -> str:
    sign = "-" if value_udeg < 0 else ""
    whole, rest = divmod(abs(value_udeg), 1_000_000)
    return f"{sign}{whole}.{rest:06d}"
