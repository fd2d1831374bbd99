"""What would keep a hub from running, found before it runs."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hub.beacon import BeaconError, ChainBeacons
from hub.broker.address import BrokerAddress, BrokerError
from hub.broker.embedded import find_nats_server
from hub.home import HomeError, HubHome
from hub.http.server import HttpError, HttpServer
from hub.store.session import StoreError
from hub.store.store import Store

_ENOUGH_DISK_BYTES: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class PreflightFinding:
    """One thing that was looked at."""

    what: str
    is_well: bool
    says: str


def preflight(
    home: HubHome,
    *,
    database_url: str,
    broker_url: str | None,
    chain_rpc: str | None,
    ports: Mapping[str, tuple[str, int]],
) -> list[PreflightFinding]:
    """Look at everything a hub needs. Changes nothing, except that the database's tables are brought up to date."""
    findings = [_key(home), _disk(home), _database(database_url)]
    findings.append(_embedded_broker() if broker_url is None else _broker(broker_url))
    findings += [
        _port(name, host, port) for name, (host, port) in ports.items() if name == "http" or broker_url is None
    ]
    if chain_rpc is not None:
        findings.append(_chain(chain_rpc))
    return findings


def _key(home: HubHome) -> PreflightFinding:
    try:
        return PreflightFinding("key", is_well=True, says=home.signer().public_key.did)
    except HomeError as error:
        return PreflightFinding("key", is_well=False, says=str(error))


def _disk(home: HubHome) -> PreflightFinding:
    try:
        free = shutil.disk_usage(home.folder).free
    except OSError as error:
        return PreflightFinding("disk", is_well=False, says=f"cannot look at {home.folder}: {error.strerror}")
    return PreflightFinding("disk", free >= _ENOUGH_DISK_BYTES, f"{free >> 20} MiB free")


def _database(url: str) -> PreflightFinding:
    try:
        store = Store.open(url)
        drift = store.database.drift()
        store.database.close()
    except StoreError as error:
        return PreflightFinding("database", is_well=False, says=str(error))
    return PreflightFinding(
        "database", not drift, "its tables are not ours" if drift else "reachable, tables up to date"
    )


def _embedded_broker() -> PreflightFinding:
    try:
        return PreflightFinding("broker", is_well=True, says=find_nats_server())
    except BrokerError as error:
        return PreflightFinding("broker", is_well=False, says=str(error))


def _broker(url: str) -> PreflightFinding:
    try:
        address = BrokerAddress.parse(url)
    except BrokerError as error:
        return PreflightFinding("broker", is_well=False, says=str(error))
    answers = address.answers(timeout_s=3)
    says = "answers" if answers else "does not answer: start it, or correct --broker"
    return PreflightFinding("broker", answers, f"{address.host}:{address.port} {says}")


def _port(name: str, host: str, port: int) -> PreflightFinding:
    try:
        server = HttpServer(host, port)
    except HttpError as error:
        why = getattr(error.__cause__, "strerror", None) or "refused"
        return PreflightFinding(
            f"{name} port", is_well=False, says=f"{host}:{port}: {why}; choose another --{name}-port"
        )
    server.stop()
    return PreflightFinding(f"{name} port", is_well=True, says=f"{host}:{port} is free")


def _chain(rpc_url: str) -> PreflightFinding:
    source = ChainBeacons(rpc_url)
    try:
        return PreflightFinding("chain", is_well=True, says=f"block {source.latest().beacon.round}")
    except BeaconError as error:
        return PreflightFinding("chain", is_well=False, says=str(error))
    finally:
        source.close()
