"""One connection to the broker, as a guest: does it answer, is the hub's beacon to be heard, what time is it there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edge.sending.connection import Connection, UplinkError
from edge.sending.hearing import UnbelievableError, believed_beacon
from edge.sending.uplink import Route
from protocol.beacon import BeaconNotice
from protocol.topics import beacon_topic
from protocol.units import UnixMs

PATIENCE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class HubWord:
    """What was heard."""

    where: str  # host:port
    broker_complaint: str | None = None  # why the broker could not be asked
    impostor: str | None = None  # why the beacon there is not our hub's
    beacon_round: int | None = None  # None: no beacon was heard
    waited_s: float = PATIENCE_S
    ahead_ms: int | None = None  # this device's clock minus the time at which the hub relayed the beacon


def asked_hub(
    route: Route, *, now_ms: Callable[[], UnixMs], monotonic_s: Callable[[], float], patience_s: float = PATIENCE_S
) -> HubWord:
    """Ask the broker of ``route`` for the hub's beacon, and wait for it for at most ``patience_s``."""
    where = f"{route.host}:{route.port}"
    try:
        notice = _heard_beacon(route, monotonic_s=monotonic_s, patience_s=patience_s)
    except UplinkError as error:
        return HubWord(where, broker_complaint=str(error))
    except UnbelievableError as error:
        return HubWord(where, impostor=str(error))
    if notice is None:
        return HubWord(where, waited_s=patience_s)
    return HubWord(where, beacon_round=notice.beacon.round, ahead_ms=now_ms() - notice.relayed_at_ms)


def _heard_beacon(route: Route, *, monotonic_s: Callable[[], float], patience_s: float) -> BeaconNotice | None:
    # Another client id than the agent's, which would be thrown out, and a session that ends with the check.
    name = f"{route.device.name}-doctor"
    connection = Connection(client_id=name, keepalive_s=30, monotonic_s=monotonic_s, is_persistent=False)
    topic = beacon_topic(route.network)
    try:
        connection.open(route.host, route.port, topics=[topic])
        give_up_at_s = monotonic_s() + patience_s
        while monotonic_s() < give_up_at_s:
            for heard_topic, block in connection.pump(0.1):
                if heard_topic == topic:
                    return believed_beacon(block, hub=route.hub, network=route.network, held=None)
        return None
    finally:
        connection.close()
