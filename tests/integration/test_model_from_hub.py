"""The whole way of a model: signed, offered by a real hub over a real broker, fetched, tried for real, switched to."""

import json
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from edge.models.choice import ModelSettings
from edge.models.keeper import RESTART_VISION, ModelKeeper
from edge.models.keeping import keeper_of
from edge.models.store import ModelStore
from hub.app import Ready, wall_clock
from hub.cli import main as hub_main
from protocol.identity import KeyPair, PublicKey
from protocol.modelmanifest import parse_head
from protocol.modeloffer import open_offer
from protocol.topics import model_topic
from tests.support.hub_story import NETWORK
from tests.support.hub_world import eventually, running_hub
from tests.support.model_story import ANNA, BEN, BOTH, DEVICE, PICTURE, STRANGER, TINY, lay_out, manifest

NEVER_SLOW_MS = 60_000


@dataclass
class Listener:
    """A device's ear: everything heard on the topic of offers."""

    port: int

    def __post_init__(self) -> None:
        self.heard: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="device-ear")
        self.client.on_connect = lambda client, *_: client.subscribe(model_topic(NETWORK), 1)
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self.heard.put(bytes(message.payload))

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@dataclass
class Town:
    """A running hub, its folder, and one device that listens to it."""

    folder: Path
    ready: Ready
    http: httpx.Client
    listener: Listener
    store: ModelStore
    keeper: ModelKeeper

    def offer(self, text: bytes, *publishers: KeyPair, percent: int = 100) -> int:
        path = lay_out(self.folder / "publisher" / parse_head(text).version, text, *publishers)
        words = ["--manifest", str(path.with_suffix(".toml")), "--file", str(path)]
        words += ["--selftest", str(path.with_name(PICTURE.name)), "--percent", str(percent)]
        return hub_main(["model", "offer", "--data", str(self.folder / "hub"), *words])

    def step(self) -> bool:
        """One turn of the agent's loop; whether the vision had to be restarted."""
        while not self.listener.heard.empty():
            self.keeper.hear(self.listener.heard.get())
        return self.keeper.step() == RESTART_VISION

    @property
    def runs(self) -> str:
        assert self.keeper.runs is not None
        return parse_head(self.keeper.runs.with_suffix(".toml").read_bytes()).version

    def steps_until(self, condition: Callable[[], bool], says: str) -> None:
        def is_so() -> bool:
            self.step()
            return condition()

        eventually(is_so, says)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A device on which version 1, signed by both publishers, was added by its owner."""
    folder = tmp_path_factory.mktemp("town")
    with running_hub(folder / "hub") as (ready, http):
        store = ModelStore(folder / "models", trust=BOTH)
        store.add(str(lay_out(folder / "first", manifest(), ANNA, BEN)), now_ms=wall_clock())
        keeper = begin(store, ready)
        listener = Listener(ready.mqtt_port)
        yield Town(folder, ready, http, listener, store, keeper)
        listener.close()
        keeper.close()


def begin(store: ModelStore, ready: Ready) -> ModelKeeper:
    """The keeper as the agent puts it together, with no time to wait."""
    told = ModelSettings(
        name="door",
        publishers=tuple(key.did for key in BOTH.publishers),
        signatures_required=BOTH.required,
        hub_url=ready.http,
        max_frame_ms=NEVER_SLOW_MS,
        probation_s=1,
    )
    keeper = keeper_of(
        told,
        store.versions.folder,
        offers=(NETWORK, PublicKey.parse(ready.hub)),
        device=DEVICE.public_key,
        now_ms=wall_clock,
        monotonic_s=time.monotonic,
    )
    keeper.start()
    return keeper


def test_a_good_model_reaches_the_device_and_a_bad_one_never_stays(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    # The first one must have proven itself before another may take its place.
    assert town.offer(manifest(version="2", index=1), ANNA, BEN) == 0
    town.steps_until(lambda: town.keeper.waiting == "another model is on trial", "the offer waits")
    town.keeper.vision_works(frame_ms=20)

    # Good: offered, fetched from the hub by digest, tried by the real runtime, switched to, proven at work.
    said = json.loads(capsys.readouterr().out)["offer"]
    assert (said["name"], said["version"], said["percent"]) == ("door", "2", 100)
    assert said["publishers"] == [ANNA.public_key.did, BEN.public_key.did]
    town.steps_until(lambda: town.runs == "2", "version 2 runs")
    town.keeper.vision_works(frame_ms=20)
    town.steps_until(lambda: town.store.versions.state().floors == {"door": 1}, "version 2 has proven itself")
    assert all(finding.problem is None for finding in town.store.verify(now_ms=wall_clock()))

    # Its labels are swapped: it loads and runs, and only the self-test in its trial tells.
    wrong = manifest(version="3", index=1, changes={"labels": '["person", "car", "bicycle"]'})
    assert town.offer(wrong, ANNA, BEN) == 0
    town.steps_until(lambda: "door fails its self-test" in str(town.keeper.note), "version 3 fails its trial")
    assert town.runs == "2"

    # It passes its trial and brings the vision down three times: back by itself, and it stays back.
    assert town.offer(manifest(version="5", index=1), ANNA, BEN) == 0
    town.steps_until(lambda: town.runs == "5", "version 5 runs")
    for _ in range(3):
        town.keeper.vision_crashed("the vision was ended by signal 9")
        town.step()
    assert town.runs == "2"
    assert town.offer(manifest(version="5", index=1), ANNA, BEN) == 0
    for _ in range(20):
        town.step()
        time.sleep(0.02)
    assert town.runs == "2"

    # Half the publishers are not enough, whoever relays it.
    assert town.offer(manifest(version="6", index=1), ANNA, STRANGER) == 0
    town.steps_until(lambda: "1 of the publishers you trust" in str(town.keeper.note), "version 6 is refused")
    assert town.runs == "2"
    assert [f.problem for f in town.store.verify(now_ms=wall_clock()) if f.problem] == []


def test_the_files_of_an_offer_are_served_by_their_digest_for_ever_and_in_parts(town: Town) -> None:
    assert town.offer(manifest(version="2", index=1), ANNA, BEN) == 0
    content = TINY.read_bytes()
    path = f"/v1/models/{parse_head(manifest()).sha256}"
    whole = town.http.get(path)
    assert whole.content == content
    assert "immutable" in whole.headers["cache-control"]
    part = town.http.get(path, headers={"Range": "bytes=100000-"})
    assert (part.status_code, part.content) == (206, content[100_000:])
    assert town.http.head(path).headers["content-length"] == str(len(content))
    for elsewhere in ("0" * 64, "..%2Foffer.cose", "x", "A" * 64):
        assert town.http.get(f"/v1/models/{elsewhere}").status_code in {404, 422}


def test_an_offer_is_there_for_who_comes_later_and_after_the_hub_was_restarted(tmp_path: Path) -> None:
    hub = tmp_path / "hub"
    with running_hub(hub) as (ready, _):
        path = lay_out(tmp_path / "publisher", manifest(), ANNA, BEN)
        goods = ["--manifest", str(path.with_suffix(".toml")), "--file", str(path), "--selftest"]
        offer = ["model", "offer", "--data", str(hub), *goods, str(path.with_name(PICTURE.name)), "--percent"]
        assert hub_main([*offer, "10"]) == 0
        ten = next_offer(ready, lambda percent: percent == 10)
        assert hub_main([*offer, "50"]) == 0
        fifty = next_offer(ready, lambda percent: percent == 50)
        assert open_offer(ten)[1].seed == open_offer(fifty)[1].seed  # the first tenth stays the first tenth
        assert hub_main(["model", "withdraw", "--data", str(hub)]) == 0
        assert open_offer(next_offer(ready, lambda percent: percent == 0))[1].issued_at_ms > 0
    with running_hub(hub) as (ready, _):
        assert open_offer(next_offer(ready, lambda percent: percent == 0))[0].did == ready.hub


def next_offer(ready: Ready, is_it: Callable[[int], bool]) -> bytes:
    """Return the offer that a device hears which comes now."""
    listener = Listener(ready.mqtt_port)
    found: list[bytes] = []

    def heard() -> bool:
        while not listener.heard.empty():
            block = listener.heard.get()
            if is_it(open_offer(block)[1].percent):
                found.append(block)
        return bool(found)

    eventually(heard, "the offer is heard")
    listener.close()
    return found[-1]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"expires": "2020-01-01"}, "has expired"),
        ({"sha256": '"' + "0" * 64 + '"'}, "is not the file that the manifest pins by sha256"),
        ({"image_sha256": '"' + "0" * 64 + '"'}, "pins by selftest.image_sha256"),
        ({"name": '"No Name"'}, "not a model manifest"),
    ],
)
def test_what_no_device_would_take_is_not_offered(
    tmp_path: Path, change: dict[str, str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hub_main(["init", "--data", str(tmp_path / "hub")]) == 0
    path = lay_out(tmp_path, manifest(), ANNA)
    path.with_suffix(".toml").write_bytes(manifest(changes=change))
    path.with_name("door.sig.json").unlink()
    goods = ["--manifest", str(path.with_suffix(".toml")), "--file", str(path), "--selftest"]
    words = [*goods, str(path.with_name(PICTURE.name)), "--percent", "5", "--data", str(tmp_path / "hub")]
    capsys.readouterr()
    assert hub_main(["model", "offer", *words]) == 1
    assert complaint in capsys.readouterr().err
    assert hub_main(["model", "status", "--data", str(tmp_path / "hub")]) == 0
    assert json.loads(capsys.readouterr().out) == {"offer": None}
    assert hub_main(["model", "withdraw", "--data", str(tmp_path / "hub")]) == 1
    assert "nothing to withdraw" in capsys.readouterr().err
