"""The API and the gateway over a real log, a real index and real pins: what it says is what the bytes say."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import httpx
import pytest

from hub.domain.admission import Message
from hub.http import published
from hub.http.app import create_app
from hub.http.server import HttpServer
from hub.ingest.adoptions import AdoptionRelay
from hub.store.store import Store
from protocol.adoption import adopt, parse_adoption, short_code
from protocol.car import read_car
from protocol.cid import Cid
from protocol.envelope import block_digest, open_envelope
from protocol.manifest import EpochManifest, verdict_pages, verdict_rows
from protocol.observation import Quantity, Reading, Track
from protocol.piece import PieceHasher
from protocol.topics import adoption_topic
from protocol.verdict import Verdict
from tests.support.hub_desk import desk_of
from tests.support.hub_intake import IntakeBench, NotedOutbox
from tests.support.hub_story import BEACON, HUB, NETWORK, POLICY, START_MS, StoryDevice, track


@dataclass(frozen=True)
class Served:
    """A hub with one closed epoch, an open one, and what was said to it."""

    http: httpx.Client
    bench: IntakeBench
    device: StoryDevice
    adoptions: NotedOutbox
    envelopes: list[Message]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("hub")
    store = Store.open(f"sqlite:///{folder / 'hub.sqlite'}")
    bench = IntakeBench(folder, store)
    device = StoryDevice(1)
    bench.relay()
    envelopes = [
        device.envelope(observations=(track(n), Reading(Quantity.PRESSURE_PA, START_MS, n, 1))) for n in range(5)
    ]
    bench.take(device.enrollment(), *envelopes)
    bench.take(envelopes[0], Message("x", b"garbage"), StoryDevice(2).envelope())
    bench.go_to_epoch(2)
    bench.close_epochs()
    bench.take(device.envelope(bench.now_ms))
    server = HttpServer("127.0.0.1", 0)
    shelf = NotedOutbox()
    relay = AdoptionRelay(shelf, network=NETWORK, monotonic_s=lambda: 0.0)
    server.start(create_app(replace(desk_of(bench, folder), adoptions=relay)))
    with httpx.Client(base_url=server.url) as http:
        yield Served(http, bench, device, shelf, envelopes)
    server.stop()
    bench.shut()
    store.database.close()


def rows(served: Served, path: str) -> list[dict[str, object]]:
    answer = served.http.get(path)
    assert answer.status_code == 200, answer.text
    found = answer.json()["rows"]
    assert isinstance(found, list)
    return found


def is_problem(answer: httpx.Response, status: int) -> bool:
    fields = answer.json()
    return (
        answer.status_code == status == fields["status"]
        and answer.headers["content-type"] == "application/problem+json"
        and bool(fields["detail"])
    )


def test_the_network_says_whose_receipts_to_trust_and_when_epochs_turn(served: Served) -> None:
    said = served.http.get("/v1/network").json()
    assert said["hub"] == HUB.public_key.did
    assert (said["network"], said["epoch"], said["genesis_ms"]) == (NETWORK, 2, START_MS)
    assert said["broker"] == {"host": "127.0.0.1", "port": 1883}
    assert said["policy"]["beacon_window_ms"] == POLICY.beacon_window_ms


def test_health_adds_up(served: Served) -> None:
    said = served.http.get("/v1/health").json()
    assert said["received"] == said["accepted"] + sum(said["rejected_by_reason"].values())
    assert said["rejected_by_reason"] == {"duplicate": 1, "malformed": 1, "stale_beacon": 1, "unknown_device": 1}
    assert said["status"] == "degraded"  # an hour since the last beacon
    assert any("beacon" in reason for reason in said["reasons"])


def test_a_device_is_shown_with_its_verdicts_under_both_its_names(served: Served) -> None:
    key = served.device.keys.public_key
    listed = rows(served, "/v1/devices")
    assert [device["name"] for device in listed] == [key.name]
    for name in (key.name, key.did):
        shown = served.http.get(f"/v1/devices/{name}").json()
        assert (shown["envelopes"], shown["highest_sequence"], shown["observations"]) == (6, 6, 10)
        assert shown["verdicts"] == {"accepted": 6, "stale_beacon": 1}
        assert shown["owner"] == "0x" + "11" * 20
        assert shown["position"] == {"lat_udeg": 46_500_000, "lon_udeg": 6_600_000, "accuracy_mm": 5_000}


def test_every_observation_is_listed_with_the_envelope_that_proves_it(served: Served) -> None:
    listed = rows(served, "/v1/observations?limit=1000")
    assert len(listed) == 11
    for observation in listed[:10]:
        block = served.http.get(f"/ipfs/{observation['envelope']}").content
        signed, envelope = open_envelope(block)
        assert signed.key.name == observation["device"]
        observed = observation["observed"]
        assert isinstance(observed, dict)
        if observed["kind"] == "track":
            assert observed["class_name"] == "person"
            assert isinstance(envelope.observations[0], Track)
            assert envelope.observations[0].first_seen_ms == observed["first_seen_ms"]
        else:
            assert observed["quantity"] == "pressure_pa"


def test_pages_follow_each_other_without_gap_or_overlap(served: Served) -> None:
    whole = rows(served, "/v1/verdicts?limit=1000")
    paged: list[dict[str, object]] = []
    path: str | None = "/v1/verdicts?limit=2"
    while path is not None:
        page = served.http.get(path).json()
        paged += page["rows"]
        path = None if page["after"] is None else f"/v1/verdicts?limit=2&after={page['after']}"
    assert paged == whole
    assert [row["verdict"] for row in whole].count("accepted") == 6


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("verdict=duplicate", 1),
        ("verdict=malformed", 1),
        ("epoch=1", 9),
        ("epoch=2", 1),
        ("epoch=3", 0),
        ("epoch=1&verdict=accepted", 6),
    ],
)
def test_verdicts_are_filtered(served: Served, query: str, expected: int) -> None:
    assert len(rows(served, f"/v1/verdicts?{query}")) == expected


def test_a_closed_epoch_leads_to_every_byte_of_it(served: Served) -> None:
    epoch = served.http.get("/v1/epochs/1").json()
    assert epoch["state"] == "closed"
    assert epoch["counts"] == {"accepted": 6, "duplicate": 1, "malformed": 1, "unknown_device": 1}
    assert (epoch["envelopes"], epoch["observations"]) == (5, 10)
    answer = served.http.get(f"/ipfs/{epoch['manifest']}?format=car")
    assert answer.headers["content-type"].startswith("application/vnd.ipld.car")
    reader = read_car(io.BytesIO(answer.content))
    blocks = {found.cid: found.block for found in reader}
    assert reader.root == Cid.parse(epoch["manifest"])
    manifest = EpochManifest.from_block(blocks[reader.root])
    number, pages = verdict_pages(blocks[manifest.verdicts])
    judged = [row for page in pages for row in verdict_rows(blocks[page])]
    assert number == 1
    assert [row.verdict for row in judged].count(Verdict.ACCEPTED) == 6
    assert [str(segment.piece) for segment in manifest.segments] == [one["piece"] for one in epoch["segments"]]


def test_a_segment_comes_back_by_its_commitment_and_holds_the_devices_own_bytes(served: Served) -> None:
    (segment,) = served.http.get("/v1/epochs/1").json()["segments"]
    answer = served.http.get(f"/piece/{segment['piece']}")
    assert len(answer.content) == segment["size_bytes"]
    hasher = PieceHasher()
    hasher.update(answer.content)
    assert str(hasher.piece().cid) == segment["piece"]
    blocks = {found.block for found in read_car(io.BytesIO(answer.content))}
    assert {message.block for message in served.envelopes} <= blocks


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [("bytes=0-9", 0, 9), ("bytes=100-", 100, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None)],
)
def test_a_piece_comes_in_ranges(served: Served, wanted: str, first: int, last: int | None) -> None:
    (segment,) = served.http.get("/v1/epochs/1").json()["segments"]
    whole = served.http.get(f"/piece/{segment['piece']}").content
    part = served.http.get(f"/piece/{segment['piece']}", headers={"Range": wanted})
    assert part.status_code == 206
    assert part.content == (whole[first:] if last is None else whole[first : last + 1])
    begins = first % len(whole)
    assert part.headers["content-range"] == f"bytes {begins}-{begins + len(part.content) - 1}/{len(whole)}"


def test_a_range_behind_the_end_is_refused(served: Served) -> None:
    (segment,) = served.http.get("/v1/epochs/1").json()["segments"]
    answer = served.http.get(f"/piece/{segment['piece']}", headers={"Range": "bytes=99999999-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{segment['size_bytes']}"


def test_a_dag_too_large_for_one_answer_is_refused_and_never_cut(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = served.http.get("/v1/epochs/1").json()["manifest"]
    monkeypatch.setattr(published, "_MOST_DAG_BLOCKS", 1)
    answer = served.http.get(f"/ipfs/{manifest}?format=car")
    assert answer.status_code == 413
    assert "fetch its file from /piece" in answer.json()["detail"]


def test_head_says_what_get_would(served: Served) -> None:
    epoch = served.http.get("/v1/epochs/1").json()
    manifest, piece = epoch["manifest"], epoch["segments"][0]["piece"]
    for path in (f"/piece/{piece}", f"/ipfs/{manifest}", f"/ipfs/{manifest}?format=car"):
        get, head = served.http.get(path), served.http.head(path)
        assert head.status_code == get.status_code == 200
        assert head.content == b""
        for name in ("content-length", "content-type", "etag"):
            assert head.headers[name] == get.headers[name]


def test_published_bytes_never_change_and_say_so(served: Served) -> None:
    cid = str(Cid.of_digest(block_digest(served.envelopes[0].block)))
    answer = served.http.get(f"/ipfs/{cid}?format=raw")
    assert answer.content == served.envelopes[0].block
    assert answer.headers["content-type"] == "application/vnd.ipld.raw"
    assert answer.headers["x-ipfs-path"] == f"/ipfs/{cid}"
    assert answer.headers["etag"] == f'"{cid}.raw"'
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = served.http.get(f"/ipfs/{cid}?format=raw", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_car_of_one_envelope_holds_exactly_that_envelope(served: Served) -> None:
    block = served.envelopes[1].block
    answer = served.http.get(f"/ipfs/{Cid.of(block)}", headers={"Accept": "application/vnd.ipld.car"})
    reader = read_car(io.BytesIO(answer.content))
    assert [(found.cid, found.block) for found in reader] == [(Cid.of(block), block)]
    assert reader.root == Cid.of(block)


def test_an_open_epochs_messages_are_counted_and_its_blocks_served(served: Served) -> None:
    epoch = served.http.get("/v1/epochs/2").json()
    assert epoch["state"] == "open"
    assert epoch["manifest"] is None
    assert epoch["counts"] == {"stale_beacon": 1}  # no beacon came for an hour
    listed = rows(served, "/v1/epochs")
    assert [row["epoch"] for row in listed] == [1, 2]
    assert [row["epoch"] for row in rows(served, "/v1/epochs?after=1")] == [2]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ipfs/nonsense", 400),
        (f"/ipfs/{Cid.of(b'never published')}", 404),
        ("/piece/nonsense", 400),
        (f"/piece/{Cid.of(b'not a piece')}", 400),
        ("/piece/bafkzcibcaabnlna36viot6kxrs4ailn5h27zt4atqoar7yuaopypzlaun6lfeoa", 404),
        ("/v1/devices/nobody", 422),
        (f"/v1/devices/{StoryDevice(9).keys.public_key.name}", 404),
        ("/v1/epochs/99", 404),
        ("/v1/epochs/0", 404),
        ("/v1/epochs/x", 422),
        ("/v1/verdicts?limit=1001", 422),
        ("/v1/verdicts?limit=0", 422),
        ("/v1/verdicts?after=-1", 422),
        ("/v1/verdicts?after=9999999999999999999", 422),
        ("/v1/verdicts?verdict=nice", 422),
        ("/v1/verdicts?device=nobody", 422),
        ("/v1/observations?class_name=dragon", 422),
        ("/v1/nothing", 404),
    ],
)
def test_a_wrong_question_gets_a_sentence(served: Served, path: str, status: int) -> None:
    assert is_problem(served.http.get(path), status)


def test_everything_served_is_described(served: Served) -> None:
    described = served.http.get("/openapi.json").json()
    for path in ("health", "network", "devices", "observations", "verdicts", "epochs", "epochs/{number}"):
        schema = described["paths"][f"/v1/{path}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in schema
    assert "/ipfs/{cid}" in served.http.get("/docs").text
    assert "/docs" in served.http.get("/").text


def adoption_words(number: int = 1, **changes: str) -> dict[str, str]:
    device = StoryDevice(number).keys.public_key
    adoption = adopt(b"s" * 16, network=NETWORK, device=device, owner=b"\xa1" * 20)
    return {"device": device.did, "owner": "0x" + "A1" * 20, "tag": adoption.tag.hex()} | changes


def test_an_adoption_is_passed_on_as_it_came(served: Served) -> None:
    device = StoryDevice(7).keys.public_key
    answer = served.http.post("/v1/adoptions", json=adoption_words(7))
    assert answer.status_code == 202
    assert answer.json() == {"device": device.did, "short_code": short_code(device), "owner": "0x" + "a1" * 20}
    left = parse_adoption(served.adoptions.retained[adoption_topic(NETWORK, device)])
    left.verify(b"s" * 16)
    assert (left.device, left.owner) == (device.key_id, b"\xa1" * 20)


@pytest.mark.parametrize(
    "changes",
    [
        {"device": "did:key:zzz"},
        {"device": "z" * 200},
        {"owner": "0x12"},
        {"owner": "0x" + "a1" * 20 + "\n"},
        {"tag": "AB" * 32},
        {"tag": "ab" * 31},
        {"more": "x"},
    ],
)
def test_what_is_no_adoption_is_refused(served: Served, changes: dict[str, str]) -> None:
    before = dict(served.adoptions.retained)
    assert is_problem(served.http.post("/v1/adoptions", json=adoption_words(8, **changes)), 422)
    assert served.adoptions.retained == before


def test_a_flood_of_adoptions_is_refused(served: Served) -> None:
    assert is_problem(served.http.post("/v1/adoptions", content=b"{" * 2_000), 413)
    assert is_problem(served.http.post("/v1/adoptions", content=b"{" * 1_000), 422)
    answers = [served.http.post("/v1/adoptions", json=adoption_words(9)) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [202] * 6 + [429]
    assert answers[-1].headers["retry-after"] == "60"
    assert is_problem(answers[-1], 429)


def test_the_page_of_adoption_may_load_nothing_from_elsewhere(served: Served) -> None:
    page = served.http.get("/adopt")
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/adopt", "/adopt.js", "/adopt.css", "/adopt.svg"):
        answer = served.http.get(path)
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "<script src=" in page.text
    assert "<style" not in page.text


def test_no_page_may_load_anything_from_elsewhere(served: Served) -> None:
    for path in ("/", "/docs", "/v1/health", "/nothing"):
        policy = served.http.get(path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "http" not in policy


def test_beacons_are_part_of_the_story(served: Served) -> None:
    assert served.bench.store.rows("beacons")[0][:2] == (BEACON.round, BEACON.hash)
