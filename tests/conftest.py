"""What holds for every test: where the shared material lies, and that unit tests touch no socket."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from pytest_socket import disable_socket, enable_socket

from edge.log import configure_log

ROOT = Path(__file__).resolve().parent.parent
_WITHOUT_SOCKETS = {"unit", "property", "architecture"}


def pytest_runtest_setup(item: pytest.Item) -> None:
    kind = Path(item.path).relative_to(ROOT / "tests").parts[0]
    if kind in _WITHOUT_SOCKETS:
        disable_socket(allow_unix_socket=True)
    else:
        enable_socket()


@pytest.fixture(autouse=True)
def _logs_as_told_by_no_other_test() -> Iterator[None]:
    """A command line tested in-process sends the logs to its own stderr, which is closed after its test."""
    yield
    structlog.reset_defaults()
    configure_log(is_verbose=False)


@pytest.fixture(scope="session")
def assets() -> Path:
    """The real video, model and GNSS log: $CAIRN_ASSETS, or shared/assets beside the repository."""
    folder = Path(os.environ.get("CAIRN_ASSETS", ROOT.parent / "shared" / "assets"))
    if not (folder / "ground_truth.json").is_file():
        pytest.fail(f"no test material in {folder}: set CAIRN_ASSETS to the folder that holds ground_truth.json")
    return folder
