"""A key changes under a device that systemd starts again and again: the old one's last word, then the new one works."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.owning.identity import load_key_file
from edge.owning.rotation import plan_of
from edge.place import KEY_FILE
from edge.settings import SETTINGS_FILE
from protocol.identity import PublicKey
from protocol.observation import Reading, Succession
from tests.support.agent_story import cairn_edge, observed, running_process, told
from tests.support.edge_story import Broker, ListeningHub, key_pair, make_device, running_broker, wait_until

HUB = key_pair("hub").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


def key_of(home: Path) -> PublicKey:
    return load_key_file(home / KEY_FILE).public_key


def test_later_is_carried_out_by_the_next_runs(broker: Broker, tmp_path: Path) -> None:
    make_device(tmp_path, hub=HUB, port=broker.port, batch={"max_delay_ms": 500})
    with (tmp_path / SETTINGS_FILE).open("a") as settings:
        settings.write('\n[sensors]\nsources = ["simulated:co2"]\nperiod_ms = 1000\n')
    old = key_of(tmp_path)
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        with running_process(tmp_path) as agent:
            wait_until(lambda: len(observed(listening, old, Reading)) > 1, at_most_s=20, what="readings")
            assert "agent is running" in cairn_edge("rotate-key", "--later", "--dir", tmp_path, status=1).stderr
            agent.terminate()
            agent.communicate(timeout=20)
        assert cairn_edge("rotate-key", "--later", "--abandon", "--dir", tmp_path, status=3).stdout == f"{old.did}\n"
        plan = plan_of(tmp_path)
        assert plan is not None
        readings = len(observed(listening, old, Reading))
        with running_process(tmp_path) as agent:  # delivers the last word, signs nothing, ends by itself
            out, err = agent.communicate(timeout=30)
        assert (agent.returncode, json.loads(out)["envelopes_signed"]) == (0, 0), err
        (last,) = observed(listening, old, Succession)
        assert isinstance(last, Succession)
        assert last.successor == plan.next_key.key_id
        assert len(observed(listening, old, Reading)) == readings
        with running_process(tmp_path) as agent:
            wait_until(
                lambda: bool(observed(listening, plan.next_key, Reading)), at_most_s=20, what="the new key signs"
            )
            told(
                tmp_path,
                lambda status: status.device == plan.next_key.did and status.is_enrolled,
                what="the status says so",
            )
            agent.terminate()
            assert agent.wait(20) == 0
        assert key_of(tmp_path) == plan.next_key
        assert plan_of(tmp_path) is None
        for key in (old, plan.next_key):
            assert listening.hub.chain_breaks(key) == []
        assert listening.hub.reused == []
