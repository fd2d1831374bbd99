"""What devices say beyond tracks, through the API: every kind by its fields, and a device by its own words."""

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest

from hub.http import answers
from hub.http.app import create_app
from hub.http.server import HttpServer
from hub.store.store import Store
from protocol.observation import Health
from tests.support.hub_desk import desk_of
from tests.support.hub_intake import IntakeBench
from tests.support.hub_story import NETWORK, StoryDevice
from tests.support.own_words import AT_MS, CROSSING, GAP, HEALTH, OWN_WORDS, STAY, STUCK, TRACK, succession

TALKER, SILENT, HEIR = StoryDevice(1), StoryDevice(2), StoryDevice(3)


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("hub")
    store = Store.open(f"sqlite:///{folder / 'hub.sqlite'}")
    bench = IntakeBench(folder, store)
    bench.relay()
    last = succession(TALKER.keys, HEIR.keys, NETWORK)
    everything = TALKER.envelope(observations=(TRACK, STUCK, CROSSING, STAY, *OWN_WORDS, last))
    bench.take(TALKER.enrollment(), SILENT.enrollment(), everything, SILENT.envelope())
    server = HttpServer("127.0.0.1", 0)
    server.start(create_app(desk_of(bench, folder)))
    with httpx.Client(base_url=server.url) as client:
        yield client
    server.stop()
    bench.shut()
    store.database.close()


def observed(http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(f"/v1/observations?{query}")
    assert answer.status_code == 200, answer.text
    return [row["observed"] for row in answer.json()["rows"]]


PERSON = {"class_id": 0, "class_name": "person"}
HEALTH_SHOWN = msgspec.to_builtins(msgspec.structs.asdict(HEALTH)) | {
    "kind": "health",
    "provider": "xnnpack",
    "clock_source": "ntp",
}


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("crossing", PERSON | {"line": 3, "is_forward": True, "crossed_at_ms": AT_MS, "confidence_ppm": 800_000}),
        (
            "stay",
            {"class_id": 2, "class_name": "car", "zone": 1, "confidence_ppm": 700_000}
            | {"entered_at_ms": AT_MS, "left_at_ms": AT_MS + 60_000},
        ),
        ("reading", {"quantity": "temperature_mdegc", "measured_at_ms": AT_MS, "value": 21_300, "flags": ["stuck"]}),
        ("gap", msgspec.to_builtins(msgspec.structs.asdict(GAP)) | {"reason": "bytes"}),
        ("health", HEALTH_SHOWN),
        (
            "succession",
            {"successor": HEIR.keys.public_key.did, "is_agreed": True, "declared_at_ms": AT_MS},
        ),
    ],
)
def test_every_kind_is_asked_for_by_name_and_shown_by_its_fields(
    http: httpx.Client, kind: str, shown: dict[str, object]
) -> None:
    assert observed(http, f"kind={kind}") == [shown | {"kind": kind}]


def test_a_class_is_that_of_tracks_crossings_and_stays(http: httpx.Client) -> None:
    assert [one["kind"] for one in observed(http, "class_name=person")] == ["track", "crossing", "track"]
    assert [one["kind"] for one in observed(http, "class_name=car")] == ["stay"]
    assert len(observed(http, "class_name=person&kind=track")) == 2
    assert http.get("/v1/observations?kind=dragon").status_code == 422


def test_a_device_is_shown_with_its_own_words(http: httpx.Client) -> None:
    told = http.get(f"/v1/devices/{TALKER.keys.public_key.name}").json()
    assert told["observations"] == 2  # the track and the reading: nothing else is ever paid
    assert told["health"] == HEALTH_SHOWN
    assert told["lost"] == {"gaps": 1, "envelopes": 4, "observations": 40}
    assert told["successor"] == HEIR.keys.public_key.did
    silent = http.get(f"/v1/devices/{SILENT.keys.public_key.name}").json()
    assert (silent["health"], silent["successor"]) == (None, None)
    assert silent["lost"] == {"gaps": 0, "envelopes": 0, "observations": 0}


def test_counts_speak_of_what_may_be_paid(http: httpx.Client) -> None:
    assert [row["observations"] for row in http.get("/v1/verdicts").json()["rows"]] == [0, 0, 2, 1]
    assert http.get("/v1/epochs/1").json()["observations"] == 3


def test_the_api_promises_every_field_of_a_health_record(http: httpx.Client) -> None:
    fields = {field.name for field in msgspec.structs.fields(Health)}
    assert set(answers.DeviceHealth.model_fields) == fields | {"kind"}
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    assert set(schemas["DeviceHealth"]["properties"]) == fields | {"kind"}
    kinds = schemas["Observation"]["properties"]["observed"]["discriminator"]["mapping"]
    assert set(kinds) == {"track", "reading", "crossing", "stay", "gap", "health", "succession"}
