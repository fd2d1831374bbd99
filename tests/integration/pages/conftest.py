"""One browser and one running network for all tests of the pages."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import ROOT
from tests.support.nursery import Nursery
from tests.support.pages_browser import CHROMIUM_WORDS, Reader
from tests.support.pages_stage import await_true, get_json
from tests.support.pages_town import Programs, Town, running_town

EPOCH_SECONDS = 5


@pytest.fixture(scope="session", autouse=True)
def built_pages() -> None:
    for dist in (ROOT / "hub" / "console" / "dist", ROOT / "rewards" / "portal" / "dist"):
        if not (dist / "index.html").is_file():
            pytest.fail(f"{dist.relative_to(ROOT)} is not built: run `make web` first")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.fail("no chromium on this machine: run tests/system-packages.sh")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=CHROMIUM_WORDS)
        yield opened
        opened.close()


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    """At the end no page may have complained."""
    opened = Reader(browser)
    yield opened
    assert opened.close() == []


@pytest.fixture(scope="session")
def town(cairn_hub: Nursery, cairn_rewards: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A network in which two epochs are posted, one of them with cheating, and then all is quiet."""
    programs = Programs(cairn_hub, cairn_rewards)
    with running_town(programs, tmp_path_factory.mktemp("town"), epoch_seconds=EPOCH_SECONDS) as built:
        built.street.watch(2)
        built.street.misbehave()
        busy_until = get_json(f"{built.hub_url}/v1/network")["epoch"] + 1
        while get_json(f"{built.hub_url}/v1/network")["epoch"] <= busy_until:
            built.street.watch(1)
        await_true("the busy epochs are posted", lambda: built.posted_epochs() >= busy_until, within_s=60)
        yield built
