"""The commands of the hub and of the rewards, imported once for all tests that start them."""

from collections.abc import Iterator

import pytest

from tests.support.nursery import Nursery


@pytest.fixture(scope="session")
def cairn_hub() -> Iterator[Nursery]:
    with Nursery("cairn-hub", "hub.cli") as nursery:
        yield nursery


@pytest.fixture(scope="session")
def cairn_rewards() -> Iterator[Nursery]:
    with Nursery("cairn-rewards", "rewards.cli") as nursery:
        yield nursery
