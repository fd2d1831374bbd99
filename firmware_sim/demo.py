"""The whole network on this machine: chain, hub, rewards and a fleet, until a claim is paid and verified.

Every part is the real command in a process of its own; this module only starts, waits, asks and tells.
"""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.error import HTTPError

from firmware_sim.asking import Waiter, counted_persons, epoch_told, shares_of
from firmware_sim.children import ChildError, Children, program
from firmware_sim.fleet import Device, FleetSettings, start_fleet
from firmware_sim.network import Contributor, Network
from firmware_sim.servers import ServerSettings, start_servers
from firmware_sim.stage import Stage
from protocol.units import UnixMs

_WORLD_BEFORE_MS: Final = 120_000  # a world begins with empty streets
_VIDEO_WITHIN_S: Final = 600.0
_CLOSED_WITHIN_S: Final = 60.0
_SETTLED_WITHIN_S: Final = 120.0
_AUDIT_WITHIN_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """What to run, and for how long."""

    folder: Path
    epochs: int
    epoch_seconds: int
    fleet: FleetSettings
    hub_port: int
    rewards_port: int


@dataclass(frozen=True, slots=True)
class PaidClaim:
    """One claim, as the chain and the audit saw it."""

    account: str
    epoch: int
    paid_wei: int
    transaction: str
    gas: int
    root: str
    audited_epochs: int
    audited_envelopes: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished demo has to tell."""

    seconds_to_paid_claim: float
    epochs: tuple[dict[str, object], ...]
    claim: PaidClaim
    claimed_for: Device
    share_wei: int  # what that one device earned; the claim pays it and its owner's other devices
    people_counted: int  # persons in that device's accepted observations
    edge_peak_rss_kib: int
    devices: tuple[dict[str, object], ...]


def run_demo(
    settings: DemoSettings, children: Children, stage: Stage, *, now_ms: Callable[[], UnixMs]
) -> tuple[Network, Outcome]:
    """Start everything, wait for the epochs, claim, verify.

    Raises:
        ChildError: something on the way failed; the message says what and shows the log.
    """
    began_s = time.monotonic()
    stage.step("Starting the chain, the hub and the reward service")
    network = start_servers(
        ServerSettings(settings.folder, settings.epoch_seconds, settings.hub_port, settings.rewards_port), children
    )
    stage.pages(network)
    stage.step("Founding, bonding and starting the devices")
    devices = start_fleet(settings.fleet, network, children, starts_at_ms=UnixMs(now_ms() - _WORLD_BEFORE_MS))
    waiter = Waiter(network, children, stage, devices)
    begun = int(str(network.hub("/v1/network")["epoch"]))  # partly over: it does not count
    stage.step(f"Watching for {settings.epochs} epochs of {settings.epoch_seconds} s")
    epoch = _await_epochs(begun + settings.epochs, settings.epoch_seconds, waiter)
    stage.step(f"Waiting until epoch {epoch} is attested on chain")
    waiter.until(lambda: _is_settled(network, epoch), within_s=_SETTLED_WITHIN_S)
    claimed_for = _to_be_paid(network, devices, epoch)
    stage.step(f"Claiming what {claimed_for.name} and its owner's other devices earned")
    claim = _claim(network, claimed_for.owner, epoch, children)
    seconds = time.monotonic() - began_s
    outcome = _outcome(network, devices, claimed_for, claim, seconds)
    return network, outcome


def fresh_folder(folder: Path) -> None:
    """Empty ``folder`` if it is a demo's, so that every demo begins at epoch 1.

    Raises:
        ChildError: something else lives there.
    """
    mark = folder / "demo.json"
    if folder.exists() and any(folder.iterdir()) and not mark.exists():
        raise ChildError(f"{folder} holds something that is no demo: name another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mark.write_text(json.dumps({"kind": "cairn demo"}) + "\n")


def _await_epochs(at_least: int, epoch_seconds: int, waiter: Waiter) -> int:
    """Wait until the epochs are over and the video, if any, has been seen to its end; return the last epoch."""
    network, last = waiter.network, at_least
    video = next((device for device in waiter.devices if device.place is None), None)
    if video is not None:
        waiter.until(lambda: video.child.popen.poll() is not None, within_s=_VIDEO_WITHIN_S)
        last = max(last, int(str(network.hub("/v1/network")["epoch"])))
    epochs_left = last - int(str(network.hub("/v1/network")["epoch"])) + 1
    within_s = max(0, epochs_left) * epoch_seconds + _CLOSED_WITHIN_S
    waiter.until(lambda: epoch_told(network, last) is not None, within_s=within_s)
    return last


def _to_be_paid(network: Network, devices: list[Device], epoch: int) -> Device:
    """Return the device that watched the video, or else the one that earned most.

    Raises:
        ChildError: no device earned anything.
    """
    earned_wei = shares_of(network, epoch)
    video = [device for device in devices if device.place is None]
    best = max(video or devices, key=lambda device: earned_wei.get(device.did, 0))
    if not earned_wei.get(best.did):
        raise ChildError(f"{best.name} earned nothing up to epoch {epoch}: see {network.rewards_url}/v1/epochs/{epoch}")
    return best


def _is_settled(network: Network, epoch: int) -> bool:
    """Whether the root of ``epoch`` can be claimed against; while it is not posted the service knows no such epoch."""
    try:
        told = network.rewards(f"/v1/epochs/{epoch}")
    except HTTPError as error:
        if error.code == HTTPStatus.NOT_FOUND:
            return False
        raise
    return told["state"] == "active"


def _claim(network: Network, owner: Contributor, epoch: int, children: Children) -> PaidClaim:
    """Have ``owner`` paid, then prove the leaf and audit every epoch with nothing but the chain and the hub's bytes."""
    command, gateway = network.servers.rewards_command, ("--hub", network.hub_url)
    reports = ("--reports", network.rewards_url)
    key = ("--key-file", str(owner.key_file))
    paid = children.call("claim", command("claim", *key, *gateway, *reports))
    proof = children.call("prove", command("prove", "--account", owner.account, *gateway, *reports))
    audit = children.call("audit", command("audit", str(epoch), *gateway), timeout_s=_AUDIT_WITHIN_S)
    replay = [program("cairn-hub"), "replay", str(epoch), "--data", str(network.folder / "hub")]
    replayed = children.call("replay", replay, timeout_s=_AUDIT_WITHIN_S)
    if not (proof["verified"] and audit["same"] and replayed["same"]):
        raise ChildError(f"the claim was paid but does not verify: {proof} {audit} {replayed}")
    return PaidClaim(
        account=owner.account,
        epoch=int(str(paid["epoch"])),
        paid_wei=int(str(paid["paid_wei"])),
        transaction=str(paid["transaction"]),
        gas=int(str(paid["gas"])),
        root=str(paid["root"]),
        audited_epochs=int(str(audit["epochs"])),
        audited_envelopes=int(str(audit["envelopes"])),
    )


def _outcome(network: Network, devices: list[Device], claimed_for: Device, claim: PaidClaim, seconds: float) -> Outcome:
    earned_wei = shares_of(network, claim.epoch)
    statuses = [device.status() for device in devices]
    truths = [device.came_by() for device in devices]
    return Outcome(
        seconds_to_paid_claim=round(seconds, 1),
        epochs=tuple(epoch_told(network, epoch) or {} for epoch in range(1, claim.epoch + 1)),
        claim=claim,
        claimed_for=claimed_for,
        share_wei=earned_wei[claimed_for.did],
        people_counted=counted_persons(network, claimed_for.did),
        edge_peak_rss_kib=max(int(str(status.get("peak_rss_kib", 0))) for status in statuses),
        devices=tuple(
            {
                "name": device.name,
                "device": device.did,
                "owner": device.owner.account,
                "frames": status.get("frames", 0),
                "tracks": status.get("tracks", 0),
                "people": status.get("people", 0),
                "came_by": came_by,
                "peak_rss_kib": status.get("peak_rss_kib", 0),
                "share_wei": str(earned_wei.get(device.did, 0)),
            }
            for device, status, came_by in zip(devices, statuses, truths, strict=True)
        ),
    )
