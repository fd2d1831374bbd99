"""The page that a device shows of itself, in a real browser."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from edge.owning.qr import save_picture
from tests.support.edge_status import ServedPage, served_page, write_status
from tests.support.edge_story import clock_ms, key_pair
from tests.support.pages_browser import WITHIN_MS, Reader, figure, keep_picture

LINK = f"https://hub.example/adopt#device={key_pair('lakeside').public_key.did}&network=lakeside&secret={'5e' * 16}"


Serve = Callable[..., ServedPage]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start pages that outlive the browser's tabs: a tab that has lost its device complains."""
    with ExitStack() as stack:
        yield lambda *more: stack.enter_context(served_page(tmp_path, *more))


def _with_a_past(page: Page) -> None:
    """The process has only just begun to look: give the hour before it some passers-by."""

    def answer(route: Route) -> None:
        said = route.fetch().json()
        said["minutes"] = [[570, 3 + (7 * minute + minute * minute // 5) % 9, 2] for minute in range(60)]
        route.fulfill(json=said)

    page.route("**/status.json", answer)


def test_device__at_work__shows_what_it_sees_signs_and_how_it_is(tmp_path: Path, serve: Serve, reader: Reader) -> None:
    save_picture(LINK, tmp_path / "adoption.svg")
    write_status(tmp_path, tracks=306, people=198)
    served = serve("--on", "always")
    page = reader.open(served.url).page
    expect(page.locator("#live")).to_have_text("at work", timeout=WITHIN_MS)
    write_status(tmp_path)
    expect(page.locator("[data-figure=tracks] .value")).to_have_text("312", timeout=WITHIN_MS)
    assert (figure(page, "people"), figure(page, "heat")) == ("201", "61.3 °C")
    assert figure(page, "waiting") == "3"
    expect(page.locator("#hour rect")).to_have_count(60)
    expect(page.locator("#hour-words")).to_contain_text("6 in all")
    expect(page.locator("#last")).to_contain_text("Number 1,482")
    expect(page.locator("[data-verdict=clock_skew]")).to_have_attribute("data-tone", "bad")
    expect(page.locator("[data-process=vision]")).to_contain_text("89.2 MiB")
    expect(page.locator("#code")).to_have_text("7KQ-2M9-XW4")
    assert page.locator("#picture").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    for scheme, width, height in (("light", 1280, 1320), ("dark", 1280, 1320), ("phone", 390, 2220)):
        shown = reader.open(
            served.url, width=width, scheme="dark" if scheme == "dark" else "light", prepare=_with_a_past
        ).page
        expect(shown.locator("#live")).to_have_text("at work", timeout=WITHIN_MS)
        write_status(tmp_path)
        keep_picture(shown, f"device-{scheme}", height=height)
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shown.unroute_all(behavior="ignoreErrors")


def test_device__trouble_heat_and_markup__are_shown_as_words(tmp_path: Path, serve: Serve, reader: Reader) -> None:
    trouble = "<img src=x onerror=alert(1)>: the disk is full"
    reason = "At most 4.0 frames a second at 74.0 °C: the board is warm."
    write_status(
        tmp_path,
        trouble=trouble,
        max_fps_reason=reason,
        is_adopted=True,
        health={"soc_mdegc": 81_000, "throttled_bits": 0x50005, "clock_source": 3},
        processes=[{"name": "<b>vision</b>", "is_running": False}],
    )
    served = serve("--on", "always")
    page = reader.open(served.url).page
    expect(page.get_by_role("alert")).to_have_text(trouble, timeout=WITHIN_MS)
    expect(page.locator("#reason")).to_have_text(reason)
    expect(page.locator("[data-figure=heat] .value")).to_have_attribute("data-tone", "bad")
    expect(page.locator("[data-figure=power]")).to_contain_text("too little voltage, throttled")
    expect(page.locator("[data-figure=clock] .value")).to_have_text("nothing")
    expect(page.locator("#processes td").first).to_have_text("<b>vision</b>")
    expect(page.locator("#adopt")).to_be_hidden()
    assert page.locator("img[src=x]").count() == 0


def test_device__stops_adopts_and_leaves__the_page_says_each(tmp_path: Path, serve: Serve, reader: Reader) -> None:
    served = serve("--linger-s", "2")
    watched = reader.open(served.url)
    page = watched.page
    expect(page.get_by_role("alert")).to_contain_text("cairn-edge run", timeout=WITHIN_MS)
    write_status(tmp_path, is_running=False, updated_at_ms=clock_ms() - 65_000)
    expect(page.locator("#live")).to_have_text(re.compile("stopped 1 min"), timeout=WITHIN_MS)
    write_status(tmp_path)
    expect(page.locator("#adopt")).to_be_visible(timeout=WITHIN_MS)
    watched.network_fails = True
    write_status(tmp_path, is_adopted=True)
    expect(page.get_by_role("alert")).to_contain_text("has an owner now", timeout=WITHIN_MS)
    expect(page.locator("#adopt")).to_be_hidden(timeout=WITHIN_MS)
    try:
        assert served.running.wait(20) == 0
    except subprocess.TimeoutExpired:
        raise AssertionError("the page did not end after the adoption") from None
    expect(page.locator("#live")).to_have_text("not answering", timeout=WITHIN_MS)
