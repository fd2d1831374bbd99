"""A browser that notes every complaint of the pages it opens."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.conftest import ROOT

WITHIN_MS: Final = 20_000
CHROMIUM_WORDS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""


Scheme = Literal["light", "dark"]


@dataclass
class Watched:
    """A page and everything it complained about."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    network_fails: bool = False  # a test that stops servers expects the browser to say that requests failed

    def note(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"{said.text} ({said.location['url']})")

    def unexpected(self) -> list[str]:
        if not self.network_fails:
            return self.complaints
        return [one for one in self.complaints if "Failed to load resource" not in one]


@dataclass
class Reader:
    """Somebody with a browser."""

    browser: Browser
    opened: list[Watched] = field(default_factory=list)

    def open(
        self,
        url: str,
        *,
        width: int = 1280,
        scheme: Scheme = "light",
        prepare: Callable[[Page], object] = lambda _: None,
    ) -> Watched:
        """Open ``url``; ``prepare`` may put things in the way before the first request."""
        context = self.browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.add_init_script(_TELL_VIOLATIONS)
        watched = Watched(context.new_page())
        watched.page.on("console", watched.note)
        watched.page.on("pageerror", lambda error: watched.complaints.append(str(error)))
        self.opened.append(watched)
        prepare(watched.page)
        watched.page.goto(url)
        return watched

    def close(self) -> list[str]:
        """Close everything; return what the pages complained of: errors, and what their security policy stopped."""
        for watched in self.opened:
            watched.page.context.close()
        return [one for watched in self.opened for one in watched.unexpected()]


def figure(page: Page, mark: str) -> str:
    """The number that the page shows under a name."""
    return page.locator(f"[data-figure={mark}] .value").inner_text()


def number(page: Page, selector: str, attribute: str) -> int:
    """The whole number in an attribute of the only element that ``selector`` finds."""
    return int(str(page.locator(selector).get_attribute(attribute)))


def keep_picture(page: Page, name: str, *, height: int) -> None:
    """Save what the page looks like for the documents, if CAIRN_SCREENSHOTS is set: a plain run changes no file."""
    if "CAIRN_SCREENSHOTS" not in os.environ:
        return
    expect(page.locator("table").last).to_be_visible(timeout=WITHIN_MS)
    picture = ROOT / "docs" / "images" / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.set_viewport_size({"width": page.viewport_size["width"] if page.viewport_size else 1280, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=picture, animations="disabled")
    assert picture.stat().st_size < 200_000, f"{picture.name} is too large for the repository"
