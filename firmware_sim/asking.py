"""Waiting for the network and asking it: the same HTTP that anybody can use."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode

from firmware_sim.children import ChildError, Children
from firmware_sim.fleet import Device
from firmware_sim.network import Network
from firmware_sim.stage import Stage

_POLL_S: Final = 0.25
_PAGE_ROWS: Final = 1_000
_MAX_PAGES: Final = 1_000


@dataclass(slots=True)
class Waiter:
    """Waits for conditions while all children are alive, and says meanwhile what the fleet does."""

    network: Network
    children: Children
    stage: Stage
    devices: list[Device]

    def until(self, is_so: Callable[[], bool], *, within_s: float) -> None:
        """Return once ``is_so()``.

        Raises:
            ChildError: a child died, or the time is over.
        """
        deadline_s = time.monotonic() + within_s
        while time.monotonic() < deadline_s:
            self.children.check()
            try:
                if is_so():
                    return
                self.stage.note(self._what_goes_on())
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE:  # busy at this moment is no failure
                    raise
            time.sleep(_POLL_S)
        raise ChildError(f"the network did not get there within {within_s:.0f} s; logs are in {self.children.logs}")

    def _what_goes_on(self) -> str:
        told = self.network.hub("/v1/network")
        health = self.network.hub("/v1/health")
        people = sum(int(str(device.status().get("people", 0))) for device in self.devices)
        return f"epoch {told['epoch']}: {health['accepted']} envelopes accepted, {people} people counted so far"


def epoch_told(network: Network, epoch: int) -> dict[str, object] | None:
    """Return what the hub says of a closed epoch; None while it is not closed."""
    try:
        told = network.hub(f"/v1/epochs/{epoch}")
    except OSError:
        return None
    return told if told.get("state") == "closed" else None


def counted_persons(network: Network, did: str) -> int:
    """Return how many persons the hub's accepted observations of one device tell of.

    A long stay comes in parts, of which only the last does not continue.
    """
    persons = 0
    after: object = None
    for _ in range(_MAX_PAGES):
        query = {"device": did.removeprefix("did:key:"), "limit": str(_PAGE_ROWS)}
        page = network.hub(f"/v1/observations?{urlencode(query | ({} if after is None else {'after': str(after)}))}")
        persons += sum(_is_whole_person(row) for row in rows_of(page))
        after = page["after"]
        if after is None:
            return persons
    raise ChildError(f"the hub pages {did}'s observations without end")


def rows_of(page: dict[str, object]) -> list[dict[str, object]]:
    """Return the rows of one page of a list."""
    rows = page["rows"]
    if not isinstance(rows, list):
        raise ChildError("the hub's list has no rows")
    return rows


def _is_whole_person(row: dict[str, object]) -> bool:
    seen = row["observed"]
    return (
        row["verdict"] == "accepted"
        and isinstance(seen, dict)
        and seen["kind"] == "track"
        and seen["class_name"] == "person"
        and not seen["continues"]
    )


def shares_of(network: Network, last_epoch: int) -> dict[str, int]:
    """Return what each device (did:key) earned in epochs 1 to ``last_epoch``, in wei."""
    shares_wei: dict[str, int] = {}
    for epoch in range(1, last_epoch + 1):
        lines = network.rewards(f"/v1/epochs/{epoch}")["lines"]
        if not isinstance(lines, list):
            raise ChildError(f"epoch {epoch} of the reward service has no lines")
        for line in lines:
            did = f"did:key:{line['device']}"
            shares_wei[did] = shares_wei.get(did, 0) + int(str(line["share_wei"]))
    return shares_wei
