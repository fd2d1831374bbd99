"""The hub's offer over a real broker changes the model of a running agent, and a bad one goes back by itself."""

import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest

from edge.models.store import ModelStore
from edge.models.trust import Trust
from edge.place import MODELS_FOLDER
from edge.settings import SETTINGS_FILE
from protocol.identity import PublicKey
from protocol.topics import model_topic
from tests.support.agent_story import children_of, is_gone, kill, pid_in, running_agent, running_process, told, words_of
from tests.support.edge_story import (
    NETWORK,
    Broker,
    ListeningHub,
    clock_ms,
    key_pair,
    make_device,
    running_broker,
    wait_until,
)
from tests.support.model_story import ANNA, PICTURE, TINY, lay_out, manifest, offer
from tests.support.pictured_vision import program

HUB = key_pair("hub").public_key


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker("mosquitto", tmp_path_factory.mktemp("broker")) as running:
        yield running


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder served over HTTP as the hub serves its models: by digest."""
    folder = tmp_path / "shelf" / "v1" / "models"
    folder.mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(tmp_path / "shelf")))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def put(folder: Path, content: bytes) -> None:
    (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)


def variant(version: str, index: int) -> tuple[bytes, bytes]:
    """The tiny model under another digest (a comment, which ONNX keeps in field 6, differs), and its manifest."""
    model = TINY.read_bytes() + b"\x32" + bytes([len(version)]) + version.encode()
    changes = {"sha256": f'"{hashlib.sha256(model).hexdigest()}"', "size_bytes": str(len(model))}
    return model, manifest(version=version, index=index, changes=changes)


def digests(listening: ListeningHub, device: PublicKey) -> list[str]:
    """The models that the device's envelopes name, in their order, each once in a row."""
    kept = dict(listening.hub.kept.get(device, {}))
    named = [kept[number].model_digest.hex() for number in sorted(kept)]
    return [each for number, each in enumerate(named) if number == 0 or named[number - 1] != each]


def test_an_offered_model_takes_over_and_one_that_brings_vision_down_goes_back(
    broker: Broker, shelf: tuple[Path, str], tmp_path: Path
) -> None:
    home = tmp_path / "door"
    folder, url = shelf
    device = make_device(
        home,
        hub=HUB,
        port=broker.port,
        model={"name": "door", "publishers": [ANNA.public_key.did], "hub_url": url, "probation_s": 1},
        batch={"max_delay_ms": 500},
    ).public_key
    store = ModelStore(home / MODELS_FOLDER, trust=Trust(frozenset({ANNA.public_key}), 1, device))
    store.add(str(lay_out(tmp_path / "first", manifest(), ANNA)), now_ms=clock_ms())
    first = hashlib.sha256(TINY.read_bytes()).hexdigest()
    good, good_manifest = variant("2", 1)
    bad, bad_manifest = variant("3", 2)
    for content in (PICTURE.read_bytes(), good, bad):
        put(folder, content)
    second, third = (hashlib.sha256(each).hexdigest() for each in (good, bad))
    with ListeningHub(broker.port) as listening:
        listening.relay_beacon()
        with running_agent(home, program()):
            wait_until(lambda: digests(listening, device) == [first], at_most_s=30, what="the first model sees")
            listening.say(model_topic(NETWORK), offer(good_manifest, ANNA, issued_at_ms=clock_ms()), retain=True)
            wait_until(lambda: digests(listening, device) == [first, second], at_most_s=30, what="the second sees")
            status = told(home, lambda status: status.model_digest == second, what="the status names it")
            assert status.processes[1].restarts == 1
            wait_until(lambda: store.versions.state().floors == {"door": 1}, at_most_s=20, what="it has proven itself")
        text = (home / SETTINGS_FILE).read_text()
        (home / SETTINGS_FILE).write_text(text.replace("probation_s = 1\n", "probation_s = 600\n"))
        with running_agent(home, program()):
            listening.say(model_topic(NETWORK), offer(bad_manifest, ANNA, issued_at_ms=clock_ms()), retain=True)
            status = told(home, lambda status: status.model_digest == third, what="the third one sees")
            for _ in range(3):  # what a model does that takes too much memory
                before = pid_in(status, "vision")
                kill(before)
                status = told(
                    home,
                    lambda status, before=before: any(  # type: ignore[misc]
                        each.name == "vision" and each.pid not in {None, before} for each in status.processes
                    ),
                    what="vision runs again",
                )
            status = told(home, lambda status: status.model_digest == second, what="the second one is back")
            assert "without a word" in str(status.model_note)
            wait_until(lambda: digests(listening, device)[-1] == second, at_most_s=20, what="it signs again")
        assert digests(listening, device)[:2] == [first, second]
        assert listening.hub.chain_breaks(device) == []


class Silent(SimpleHTTPRequestHandler):
    """A server that takes every request and never answers."""

    asked = Event()
    is_over = Event()

    def do_GET(self) -> None:
        self.asked.set()
        self.is_over.wait(60)


def test_a_download_under_way_ends_with_the_agent(broker: Broker, tmp_path: Path) -> None:
    home = tmp_path / "door"
    server = ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    model = {"name": "door", "publishers": [ANNA.public_key.did], "hub_url": url}
    make_device(home, hub=HUB, port=broker.port, camera={"source": f"{url}/stream"}, model=model)
    with ListeningHub(broker.port) as listening, running_process(home) as agent:
        listening.say(model_topic(NETWORK), offer(manifest(), ANNA, issued_at_ms=clock_ms()), retain=True)

        def errands() -> set[int]:
            return {pid for pid in children_of(agent.pid) if "edge.models.fetch" in words_of(pid)}

        wait_until(lambda: bool(errands()), at_most_s=20, what="the download is under way")
        below = children_of(agent.pid)
        agent.kill()
        wait_until(lambda: all(is_gone(pid) for pid in below), at_most_s=10, what="nothing is left behind")
    Silent.is_over.set()
    server.shutdown()
    server.server_close()
