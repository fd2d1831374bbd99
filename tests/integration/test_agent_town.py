"""One agent with everything: vision, sensors, a receiver, two hubs, a hot machine. The hubs hear of all of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.care.host import Host
from edge.settings import SETTINGS_FILE
from edge.status import AgentStatus, read_status
from protocol.identity import PublicKey
from protocol.observation import Health, Observation, Provider, Quantity, Reading, Track
from tests.support.agent_story import cairn_edge, is_gone, kill, observed, pid_in, running_agent, told
from tests.support.edge_machine import PI, change, machine
from tests.support.edge_story import Broker, ListeningHub, key_pair, make_device, running_broker, wait_until
from tests.support.scripted_vision import program

HUB = key_pair("hub").public_key
OTHER_HUB = key_pair("other hub")
HEAT = "sys/class/thermal/thermal_zone0/temp"
SOURCES = ["simulated:temperature", "simulated:pm", "simulated:gnss/46520500/6630500@1000"]
QUANTITIES = {
    Quantity.TEMPERATURE_MDEGC,
    Quantity.PM1_NG_M3,
    Quantity.PM2_5_NG_M3,
    Quantity.PM10_NG_M3,
}


@dataclass
class Town:
    """A device at work, its machine and its two hubs."""

    home: Path
    machine: Path
    device: PublicKey
    brokers: tuple[Broker, Broker]
    hubs: tuple[ListeningHub, ListeningHub]

    @property
    def status(self) -> AgentStatus:
        status = read_status(self.home)
        assert status is not None
        return status

    def heard(self, kind: type[Observation], hub: int = 0) -> list[Observation]:
        return observed(self.hubs[hub], self.device, kind)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    with (
        running_broker("mosquitto", folder / "a") as near,
        running_broker("mosquitto", folder / "b") as far,
        ListeningHub(near.port) as first,
        ListeningHub(far.port) as second,
    ):
        second.hub.keys = OTHER_HUB
        for hub in (first, second):
            hub.relay_beacon()
        home = folder / "door"
        device = make_device(
            home,
            hub=HUB,
            port=near.port,
            uplink={"receipts_required": 2, "resend_after_ms": 1_000, "reconnect_max_ms": 500},
            position={"lat_udeg": 52_500_123, "lon_udeg": 13_400_456, "source": "gnss"},
            care={"health_period_ms": 10_000, "full_mfps": 10_000, "relax_after_ms": 1_000, "tighten_after_ms": 0},
            batch={"max_delay_ms": 1_000},
        ).public_key
        with (home / SETTINGS_FILE).open("a") as settings:
            settings.write(f"\n[sensors]\nsources = {json.dumps(SOURCES)}\nperiod_ms = 1000\n")
            settings.write(f'\n[[more_hubs]]\nkey = "{OTHER_HUB.public_key.did}"\n')
            settings.write(f'host = "127.0.0.1"\nport = {far.port}\n')
        made = machine(folder / "machine", PI)
        with running_agent(home, program(9_999, frame_s=0.05), host=Host(made)):
            told(home, lambda status: status.frames > 0, what="it sees")
            yield Town(home, made, device, (near, far), (first, second))


def test_readings_arrive_at_both_hubs_in_envelopes_that_stand_where_the_receiver_is(town: Town) -> None:
    def quantities(hub: int) -> set[Quantity]:
        return {each.quantity for each in town.heard(Reading, hub) if isinstance(each, Reading)}

    wait_until(lambda: quantities(0) == quantities(1) == QUANTITIES, at_most_s=20, what="both hubs have readings")
    readings = [each for each in town.heard(Reading) if isinstance(each, Reading)]
    assert {each.flags for each in readings} == {0}
    wait_until(lambda: len(town.heard(Track)) > 2, at_most_s=20, what="tracks beside them")
    last = town.hubs[0].hub.kept[town.device]
    place = last[max(last)].position
    assert (place.lat_udeg, place.lon_udeg) == (46_520_500, 6_630_500)
    # Half a grid's diagonal at the least: nobody is told more exactly where it is.
    assert place.accuracy_mm > 79_000


def test_a_sensing_process_that_is_killed_is_started_again(town: Town) -> None:
    before = pid_in(told(town.home, lambda status: status.is_running, what="it runs"), "sensing")
    heard = len(town.heard(Reading))
    kill(before)
    status = told(
        town.home,
        lambda status: any(
            each.name == "sensing" and each.restarts == 1 and each.is_running for each in status.processes
        ),
        what="it runs again",
    )
    assert is_gone(before)
    assert pid_in(status, "sensing") != before
    wait_until(lambda: len(town.heard(Reading)) > heard + 4, at_most_s=20, what="readings come again")
    assert town.status.trouble is None


def test_heat_slows_vision_down_and_lets_it_go_again(town: Town) -> None:
    full = told(town.home, lambda status: status.fps > 14, what="it runs at full speed")
    assert (full.max_fps, full.max_fps_reason) == (None, None)
    change(town.machine, HEAT, "71000\n")
    hot = told(town.home, lambda status: (status.max_fps or 99) <= 5, what="it is slowed down")
    assert "71.0 °C" in str(hot.max_fps_reason)
    told(town.home, lambda status: 0 < status.fps < 13, what="it looks less often")
    assert "71.0 °C" in cairn_edge("status", "--dir", town.home).stdout
    change(town.machine, HEAT, "48000\n")
    told(town.home, lambda status: status.max_fps is None and status.fps > 14, what="it is at full speed again")


def test_a_record_of_health_arrives_and_says_what_is_so(town: Town) -> None:
    wait_until(lambda: bool(town.heard(Health)), at_most_s=30, what="a record of health")
    (record, *_) = town.heard(Health)
    assert isinstance(record, Health)
    assert record.uptime_s >= 10
    assert 1_000 < record.analysed_mfps <= 101_000
    assert record.captured_mfps == record.analysed_mfps
    assert record.inferred_ppm > 0
    assert record.provider == Provider.CPU
    assert record.soc_mdegc is not None
    assert record.soc_mdegc in range(48_000, 84_000)
    assert record.throttled_bits == 0
    assert record.gnss_fix == 3
    assert record.rss_kib == 0  # the machine of files has no processes; the real one's are in the status
    assert town.status.rss_kib > 50_000
    assert record.disk_free_mib > 0
    assert (record.camera_restarts, record.vision_restarts, record.dropped_envelopes) == (0, 0, 0)
    assert town.status.health["soc_mdegc"] is not None


def test_the_outbox_is_emptied_only_by_both_hubs(town: Town) -> None:
    assert [hub.is_enrolled for hub in town.status.hubs] == [True, True]
    assert [hub.hub for hub in town.status.hubs] == [HUB.did, OTHER_HUB.public_key.did]
    town.brokers[1].kill()
    away = told(
        town.home,
        lambda status: not status.hubs[1].is_connected and status.outbox_envelopes > 1,
        what="envelopes wait for the hub that is away",
    )
    assert away.hubs[0].is_connected
    assert away.is_connected
    wait_until(
        lambda: len(town.hubs[0].hub.kept[town.device]) >= away.envelopes_signed, at_most_s=20, what="one has all"
    )
    assert town.status.outbox_envelopes > 1
    said = json.loads(cairn_edge("outbox", "stats", "--json", "--dir", town.home).stdout)
    assert said["waiting"] > 1
    town.brokers[1].start()
    told(town.home, lambda status: status.outbox_envelopes <= 1, what="both have it")
    for listening in town.hubs:
        assert listening.hub.chain_breaks(town.device) == []
        assert listening.hub.reused == []


def test_the_commands_look_at_the_running_agent(town: Town) -> None:
    said = json.loads(cairn_edge("status", "--json", "--dir", town.home).stdout)
    assert said["is_at_work"]
    assert {each["name"] for each in said["processes"]} == {"keeper", "vision", "sensing"}
    words = cairn_edge("status", "--dir", town.home).stdout
    assert "at work" in words
    assert "people" in words
    picture = Path(cairn_edge("snapshot", "--dir", town.home).stdout.strip())
    assert picture.read_bytes().startswith(b"\x89PNG")
    doctor = json.loads(cairn_edge("doctor", "--json", "--dir", town.home, status=None).stdout)
    found = {each["name"]: (each["grade"], each["says"]) for each in doctor["checks"]}

    assert found["camera"][0] == "well"
    assert "running agent" in found["sensors"][1]
    assert all(hub.is_connected for hub in town.status.hubs)  # nobody has taken its connection
