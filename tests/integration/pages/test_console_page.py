"""The operator's page, in a real browser against a real hub: what it shows is what is true, and since when."""

import hashlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from protocol.cid import Cid
from tests.support.nursery import Nursery
from tests.support.pages_browser import WITHIN_MS, Reader, figure
from tests.support.pages_stage import LOSING, Street, await_true, get_json, start_hub
from tests.support.pages_town import Town


def _all_verdicts(hub_url: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for epoch in get_json(f"{hub_url}/v1/epochs?limit=1000")["rows"]:
        for slug, messages in epoch["counts"].items():
            counts[slug] = counts.get(slug, 0) + messages
    return counts


def _shown_verdicts(page: Page) -> dict[str, int]:
    bars = page.locator("section", has_text="Verdicts").first.locator("li[data-verdict]")
    return {
        str(bar.get_attribute("data-verdict")): int(str(bar.locator("[data-count]").get_attribute("data-count")))
        for bar in bars.all()
    }


def _shown_devices(page: Page) -> dict[str, int]:
    return {
        str(row.get_attribute("data-device")): int(
            str(row.locator("[data-observations]").get_attribute("data-observations"))
        )
        for row in page.locator("tr[data-device]").all()
    }


def test_console__after_honest_and_dishonest_traffic__shows_what_the_api_says(town: Town, reader: Reader) -> None:
    page = reader.open(town.hub_url).page
    expect(page.locator("h1")).to_have_text("Lakeside hub", timeout=WITHIN_MS)
    expect(page.locator("tr[data-device]")).to_have_count(len(town.street.devices), timeout=WITHIN_MS)
    devices = get_json(f"{town.hub_url}/v1/devices")["rows"]
    assert _shown_devices(page) == {device["name"]: device["observations"] for device in devices}
    verdicts = _all_verdicts(town.hub_url)
    assert {"accepted", "duplicate", "replay", "equivocation", "bad_signature", "unknown_device"} <= verdicts.keys()
    await_true("all verdicts are shown", lambda: _shown_verdicts(page) == _all_verdicts(town.hub_url))
    assert figure(page, "observations").replace(",", "") == str(sum(device["observations"] for device in devices))
    assert figure(page, "broker") == "connected"
    assert figure(page, "status") == "Well"
    expect(page.locator("svg a circle.device")).to_have_count(len(devices), timeout=WITHIN_MS)
    newest = page.locator("tr[data-observation]").first
    await_true("the newest is shown", lambda: newest.get_attribute("data-observation") == _newest(town.hub_url))


def _newest(hub_url: str) -> str:
    """The envelope with the last observation in the hub's log."""
    page = get_json(f"{hub_url}/v1/observations?limit=1000")
    while page["after"] is not None:
        page = get_json(f"{hub_url}/v1/observations?limit=1000&after={page['after']}")
    return str(page["rows"][-1]["envelope"])


def test_console__permalinks__lead_to_a_device_and_to_the_published_bytes_of_an_epoch(
    town: Town, reader: Reader
) -> None:
    device = town.street.devices[2]
    page = reader.open(f"{town.hub_url}/#/devices/{device.name}").page
    expect(page.get_by_text(device.keys.public_key.did)).to_be_visible(timeout=WITHIN_MS)
    detail = get_json(f"{town.hub_url}/v1/devices/{device.name}")
    assert "equivocation" in detail["verdicts"]
    assert _shown_verdicts(page) == detail["verdicts"]
    page.goto(f"{town.hub_url}/#/epochs/1")
    expect(page.locator("[data-figure=state] .value")).to_have_text("closed", timeout=WITHIN_MS)
    epoch = get_json(f"{town.hub_url}/v1/epochs/1")
    link = page.get_by_role("link", name=epoch["verdicts"])
    block = page.request.get(town.hub_url + str(link.get_attribute("href"))).body()
    assert Cid.parse(epoch["verdicts"]).matches(block)
    piece = page.get_by_role("link", name=re.compile(r"^bafkzcib")).last.get_attribute("href")
    assert piece == f"/piece/{epoch['segments'][-1]['piece']}"
    file = page.request.get(town.hub_url + piece).body()
    assert hashlib.sha256(file).digest() == Cid.parse(epoch["segments"][-1]["car"]).digest


def test_console__a_device_that_says_how_it_is__is_shown_in_its_own_words(town: Town, reader: Reader) -> None:
    devices = town.street.devices
    page = reader.open(f"{town.hub_url}/#/devices/{devices[LOSING].name}").page
    words = page.locator("section", has_text="Its own words").first
    expect(words.locator("[data-figure=temperature] .value")).to_have_text("85.0 °C", timeout=WITHIN_MS)
    expect(words.locator("[data-figure=temperature] .value")).to_have_class(re.compile("tone-warn"))
    lost = get_json(f"{town.hub_url}/v1/devices/{devices[LOSING].name}")["lost"]
    assert lost["gaps"] > 0
    expect(words.locator("[data-figure=lost]")).to_contain_text(f"{lost['envelopes']} envelopes")
    expect(words.locator("[data-figure=frames]")).to_contain_text("9.8/s")
    expect(words.locator("[data-figure=clock]")).to_contain_text("12 ms behind")
    expect(words.locator("[data-figure=outbox]")).to_contain_text("3 waiting")
    expect(page.locator("tr[data-kind=gap]").first).to_contain_text("4 envelopes lost")
    expect(page.locator("tr[data-kind=crossing]").first).to_contain_text("line 3 →")
    expect(page.locator("tr[data-kind=stay]").first).to_contain_text("zone 1, 1 min")
    page.goto(f"{town.hub_url}/#/devices/{devices[0].name}")
    expect(page.locator("[data-figure=temperature] .value")).to_have_text("50.0 °C", timeout=WITHIN_MS)
    expect(page.locator("[data-figure=lost] .value")).to_have_text("nothing")


def test_console__hub_stops_and_comes_back__keeps_the_last_values_with_their_age(
    cairn_hub: Nursery, tmp_path: Path, reader: Reader
) -> None:
    hub = start_hub(cairn_hub, tmp_path, epoch_seconds=600)
    try:
        street = Street(hub, [b"\x11" * 20])
        street.enroll()
        street.watch(1)
        street.close()
        watched = reader.open(street.hub_url)
        page = watched.page
        expect(page.locator("tr[data-device]")).to_have_count(6, timeout=WITHIN_MS)
        expect(page.locator("tr[data-observation]").first).to_be_visible(timeout=WITHIN_MS)
        before = (figure(page, "envelopes"), figure(page, "observations"), _shown_devices(page))
        assert before[0] == "6"
        watched.network_fails = True
        hub.stop()
        # A hub that has just started may have something to say of its own health, too: another alarm than this one.
        alarm = page.get_by_role("alert").filter(has_text="does not answer")
        expect(alarm).to_contain_text(re.compile(r"does not answer.*as of \d+ s ago"), timeout=WITHIN_MS)
        expect(alarm).to_contain_text(re.compile(r"as of [3-9] s ago"), timeout=WITHIN_MS)
        assert (figure(page, "envelopes"), figure(page, "observations"), _shown_devices(page)) == before
        health = page.get_by_role("region", name="Health", exact=True)
        expect(health.get_by_text(re.compile("^as of"))).to_be_visible()
        hub = start_hub(cairn_hub, tmp_path, epoch_seconds=600, http_port=int(street.hub_url.rsplit(":", 1)[1]))
        expect(alarm).to_be_hidden(timeout=WITHIN_MS)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
    finally:
        hub.stop()


def test_console__nothing_ever_answered__shows_no_number(town: Town, reader: Reader) -> None:
    watched = reader.open(town.hub_url, prepare=lambda page: page.route("**/v1/**", lambda route: route.abort()))
    watched.network_fails = True
    expect(watched.page.get_by_role("alert")).to_contain_text("nothing to show yet", timeout=WITHIN_MS)
    assert watched.page.locator("[data-figure]").count() == 0
    assert not re.search(r"\b0\b", watched.page.locator("main").inner_text())


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (503, {"detail": "the index is away; try again in a moment"}, "the index is away; try again in a moment"),
        (200, {"rows": [{"name": 7}], "after": None}, "rows[0].name is not text"),
    ],
    ids=["refused", "unreadable"],
)
def test_console__one_list_fails__that_list_alone_turns_old(
    town: Town, reader: Reader, status: int, body: dict[str, object], says: str
) -> None:
    watched = reader.open(town.hub_url)
    page = watched.page
    expect(page.locator("tr[data-device]")).to_have_count(6, timeout=WITHIN_MS)
    watched.network_fails = True
    page.route("**/v1/devices?*", lambda route: route.fulfill(status=status, json=body))
    stale = page.locator("section", has=page.locator("tr[data-device]")).get_by_text(re.compile(r"^as of \d+ s ago$"))
    expect(stale).to_be_visible(timeout=WITHIN_MS)
    assert says in str(stale.get_attribute("title"))
    assert page.locator("tr[data-device]").count() == 6
    assert page.get_by_role("alert").count() == 0


def test_console__keyboard_alone__reaches_a_device(town: Town, reader: Reader) -> None:
    page = reader.open(town.hub_url).page
    expect(page.locator("tr[data-device]")).to_have_count(6, timeout=WITHIN_MS)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="To the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    focused = "document.activeElement.getAttribute('href') ?? ''"
    for _ in range(200):
        page.keyboard.press("Tab")
        if str(page.evaluate(focused)).startswith("#/devices/"):
            break
    name = str(page.evaluate(focused)).removeprefix("#/devices/")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"did:key:{name}")).to_be_visible(timeout=WITHIN_MS)
