"""The ways up to all hubs of a device, as one: each hub has its own connection, thread, enrollment and receipts."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from edge.keeping.outbox import Outbox
from edge.keeping.outbox_lane import Lane
from edge.sending.enroller import Enroller
from edge.sending.uplink import Route, Surroundings, Uplink, UplinkLimits, UplinkState
from protocol.beacon import BeaconNotice
from protocol.envelope import block_digest
from protocol.verdict import Verdict

_GOODBYE_S: Final = 3.0  # for threads that are asked to end


@dataclass(frozen=True, slots=True)
class HubState:
    """How it stands with one hub."""

    hub: str  # did:key
    host: str
    port: int
    uplink: UplinkState
    receipts: dict[Verdict, int]  # envelopes by verdict, over the life of the outbox


@dataclass(frozen=True, slots=True)
class UplinksState:
    """A snapshot for people."""

    is_connected: bool  # to a hub at least
    is_enrolled: bool  # with a hub at least
    beacon: BeaconNotice | None  # the newest that any of the hubs has relayed
    published: int  # envelopes, resends included, all hubs together
    unbelievable: int  # messages that proved nothing
    clock_offset_ms: int | None  # this device's time minus a hub's, at the last beacon
    hubs: tuple[HubState, ...]


class Uplinks:
    """Brings one outbox to one or several hubs, each in a thread of its own."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        outbox: Outbox,
        enrollment: Callable[[], bytes],
        limits: UplinkLimits,
        surroundings: Surroundings,
        hear_offer: Callable[[bytes], None] | None = None,
    ) -> None:
        """Put the parts together; nothing is sent before `start`.

        Args:
            routes: at least one, each to another hub.
            outbox: where the envelopes are; its limits say how many hubs must receipt one.
            enrollment: makes an enrollment block of this device, with the present time.
            limits: of each uplink.
            surroundings: clocks and chance.
            hear_offer: takes in what the first hub offers of models; may raise UnbelievableError.

        Raises:
            OutboxError: a hub cannot be remembered.
            MalformedError: what was remembered of a hub is broken.
        """
        self._routes = tuple(routes)
        self._lanes = [Lane(outbox, route.hub) for route in routes]
        enrollers = [Enroller.resume(lane, renew=enrollment) for lane in self._lanes]
        self.enrollment_digest = block_digest(enrollers[0].block)  # for the chain, where nothing else is known
        self._uplinks = [
            Uplink(
                route,
                lane=lane,
                enroller=enroller,
                limits=limits,
                surroundings=surroundings,
                hear_offer=hear_offer if route is routes[0] else None,
            )
            for route, lane, enroller in zip(routes, self._lanes, enrollers, strict=True)
        ]
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to connect, send and listen. Once in a life."""
        for number, uplink in enumerate(self._uplinks):
            thread = threading.Thread(target=uplink.run, args=(self._stop,), name=f"uplink-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, *, at_most_s: float = _GOODBYE_S) -> None:
        """Ask all threads to end, and wait for each that long."""
        self._stop.set()
        for thread in self._threads:
            thread.join(at_most_s)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Between start and stop."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    @property
    def is_alive(self) -> bool:
        """Whether no thread has ended: each runs until `stop`, whatever the network does."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def state(self) -> UplinksState:
        """All uplinks as they stand."""
        states = [uplink.state for uplink in self._uplinks]
        notices = [state.beacon for state in states if state.beacon is not None]
        return UplinksState(
            is_connected=any(state.is_connected for state in states),
            is_enrolled=any(state.is_enrolled for state in states),
            beacon=max(notices, key=lambda notice: (notice.made_at_ms, notice.relayed_at_ms), default=None),
            published=sum(state.published for state in states),
            unbelievable=sum(state.unbelievable for state in states),
            clock_offset_ms=next(
                (state.clock_offset_ms for state in states if state.clock_offset_ms is not None), None
            ),
            hubs=tuple(
                HubState(route.hub.did, route.host, route.port, state, lane.tally())
                for route, state, lane in zip(self._routes, states, self._lanes, strict=True)
            ),
        )
