"""What the hub's API is given in tests: a real index, real pins, a clock that the test moves."""

from pathlib import Path

from hub.broker.address import BrokerAddress
from hub.http.desk import Desk, HubFacts, Pulse
from hub.models import Shelf
from hub.pinning.local import LocalPinStore
from protocol.units import UnixMs
from tests.support.hub_intake import SCHEDULE, IntakeBench
from tests.support.hub_story import HUB, NETWORK, POLICY


def desk_of(bench: IntakeBench, folder: Path) -> Desk:
    facts = HubFacts(
        version="0.1.0",
        name="Test hub",
        network=NETWORK,
        key=HUB.public_key,
        schedule=SCHEDULE,
        policy=POLICY,
        broker=BrokerAddress("127.0.0.1", 1883),
    )
    return Desk(
        facts=facts,
        store=bench.store,
        pinner=LocalPinStore(folder / "pins"),
        car_folders=(bench.segments, folder / "epochs"),
        shelf=Shelf(folder / "models"),
        console=folder / "no-console",
        clock=lambda: UnixMs(bench.now_ms),
        pulse=lambda: Pulse(
            intake=bench.gauges.read(),
            queue_depth=0,
            oldest_unacknowledged_ms=0,
            broker_connected=True,
            disk_free_bytes=1 << 40,
            troubles=(),
            failure=None,
        ),
    )
