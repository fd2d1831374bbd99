"""What holds for both pages: they fit, they follow the reader's light or dark, and they need nothing from elsewhere."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.pages_browser import WITHIN_MS, Reader, Scheme, keep_picture
from tests.support.pages_town import Town

SCHEMES: tuple[Scheme, ...] = ("light", "dark")


@pytest.mark.parametrize("width", [360, 768])
def test_pages__narrow_screens__fit(town: Town, reader: Reader, width: int) -> None:
    device = town.street.devices[0].name
    console = [f"{town.hub_url}/#/{place}" for place in ("", f"devices/{device}", "epochs/1")]
    portal = [f"{town.rewards_url}/{query}" for query in ("", f"?account={town.account(0)}")]
    for url in console + portal:
        page = reader.open(url, width=width).page
        expect(page.locator("table").last).to_be_visible(timeout=WITHIN_MS)
        page.wait_for_timeout(500)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (url, scheme)


def _lightness(page: Page) -> float:
    """How light the ground of the page is, 0 to 1."""
    colour = str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    red, green, blue = (int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    return (red + green + blue) / 3 / 255


@pytest.mark.parametrize(
    ("look", "width", "scheme"), [("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 390, "light")]
)
def test_pages__light_and_dark__follow_the_reader(
    town: Town, reader: Reader, look: str, width: int, scheme: Scheme
) -> None:
    console = reader.open(town.hub_url, width=width, scheme=scheme).page
    expect(console.locator("svg a circle.device")).to_have_count(6, timeout=WITHIN_MS)
    portal = reader.open(f"{town.rewards_url}/?account={town.account(1)}", width=width, scheme=scheme).page
    portal.get_by_role("button", name="Verify in this browser").click()
    expect(portal.locator("[data-verified=true]")).to_be_visible(timeout=WITHIN_MS)
    for page in (console, portal):
        assert _lightness(page) < 0.15 if scheme == "dark" else _lightness(page) > 0.9
    keep_picture(console, f"console-{look}", height=1_000)
    keep_picture(portal, f"portal-{look}", height=1_260)


def test_pages__everything__comes_from_their_own_server(town: Town, reader: Reader) -> None:
    for url in (town.hub_url, town.rewards_url):
        asked: list[str] = []

        def note(page: Page, asked: list[str] = asked) -> None:
            page.on("request", lambda request: asked.append(request.url))

        page = reader.open(url, prepare=note).page
        expect(page.locator("table").last).to_be_visible(timeout=WITHIN_MS)
        assert asked
        assert [one for one in asked if not one.startswith(url)] == []
        assert page.locator("script:not([src]), style, [style]").count() == 0
