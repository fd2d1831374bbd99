"""The last envelope of a key: it names its successor, and what was given up, and must reach the hub.

The device's own uplink brings it there. Nobody else signs meanwhile: whoever opens a `Chain` holds the lock.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.keeping.book import merged
from edge.keeping.builder import Draft
from edge.keeping.outbox import Outbox, OutboxLimits, Waiting
from edge.keeping.priority import Priority
from edge.keeping.sequence import SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from edge.log import get_logger
from edge.owning.rotation import FarewellMark, RotationError, is_delivered
from edge.place import OUTBOX_FILE, SEQUENCE_FILE
from edge.sending.connection import Connection, UplinkError
from edge.sending.hearing import UnbelievableError, believed_beacon
from edge.sending.uplink import Route, Surroundings, UplinkLimits
from edge.sending.uplinks import Uplinks
from protocol.beacon import NO_BEACON, Beacon
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.envelope import NO_MODEL, parse_envelope
from protocol.identity import Signer
from protocol.observation import Gap, GapReason, Observation, Position, Succession
from protocol.payload import VERSION
from protocol.topics import beacon_topic
from protocol.units import UnixMs

_POLL_S: Final = 0.05
_BEACON_WAIT_S: Final = 10.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who says farewell, and where."""

    signer: Signer
    owner: bytes
    position: Position  # coarse already
    release: str
    route: Route
    limits: UplinkLimits
    now_ms: Callable[[], UnixMs]
    more_routes: tuple[Route, ...] = ()  # to the other hubs


@dataclass(frozen=True, slots=True)
class Chain:
    """The end of a device's chain, locked."""

    outbox: Outbox
    ledger: SequenceLedger
    used_until: int  # the highest number that was reserved before

    @property
    def has_begun(self) -> bool:
        """Whether the key may ever have signed an envelope."""
        return self.outbox.last() is not None or self.used_until > 0


@contextmanager
def open_chain(directory: Path, *, limits: OutboxLimits, used_until: int) -> Iterator[Chain]:
    """Lock the device in ``directory`` and open what its next envelope hangs on.

    Args:
        directory: the device's.
        limits: of its outbox.
        used_until: the highest number its sequence file had reserved before.

    Raises:
        SequenceError: an agent is running, or the sequence file cannot be trusted.
        OutboxError: the outbox cannot be opened.
    """
    ledger = SequenceLedger.open(directory / SEQUENCE_FILE)
    try:
        outbox = Outbox.open(directory / OUTBOX_FILE, limits=limits)
        try:
            last = outbox.last()
            ledger.never_below(last.sequence if last else 0)
            yield Chain(outbox, ledger, used_until)
        finally:
            outbox.close()
    finally:
        ledger.close()


def say_farewell(
    speaker: Speaker, chain: Chain, succession: Succession, *, is_abandoning: bool, beacon: Beacon | None
) -> FarewellMark:
    """Sign the last envelope into the outbox; what waits before it is given up if ``is_abandoning``.

    An envelope that says the same already, left by a crash, is taken instead.

    Raises:
        OutboxError, SequenceError, IdentityError: it cannot be signed or stored; nothing was given up.
    """
    for said in chain.outbox.every_one():
        if said.priority is not Priority.RECORD:
            break  # records come first
        if succession in parse_envelope(said.block)[1].observations:
            return _settled(chain, said, is_abandoning=is_abandoning)
    # What was lost before and is not told yet: nobody will tell it after this.
    told = chain.outbox.book.gaps
    abandoned = _gap_of(chain.outbox.every_one()) if is_abandoning else None
    observations: tuple[Observation, ...] = (*told, *([abandoned] if abandoned else []), succession)
    signer = EnvelopeSigner(
        speaker.signer,
        network=speaker.route.network,
        ledger=chain.ledger,
        outbox=chain.outbox,
        enrollment_digest=_uplinks(speaker, chain.outbox).enrollment_digest,
    )
    (said,) = signer.sign(
        Draft(
            beacon=beacon or NO_BEACON,
            model_digest=NO_MODEL,
            agent_release=speaker.release,
            position=speaker.position,
            created_at_ms=speaker.now_ms(),
            observations=observations,
        ),
        told=told,
    )
    return _settled(chain, said, is_abandoning=is_abandoning)


def _settled(chain: Chain, said: Waiting, *, is_abandoning: bool) -> FarewellMark:
    if is_abandoning:
        chain.outbox.abandon(below=said.sequence)
    return FarewellMark(said.sequence, said.digest.hex())


def _gap_of(waiting: Iterable[Waiting]) -> Gap | None:
    gap: Gap | None = None
    for each in waiting:
        at_ms, number = each.created_at_ms, each.sequence
        one = Gap(GapReason.ABANDONED, 1, each.observations, number, number, at_ms, at_ms)
        gap = one if gap is None else merged((gap, one))
    return gap


@contextmanager
def speaking(speaker: Speaker, outbox: Outbox) -> Iterator[None]:
    """Let the device's uplink work while the block runs."""
    with _uplinks(speaker, outbox).running():
        yield


def hear_beacon(speaker: Speaker, *, at_most_s: float) -> Beacon | None:
    """Wait for the hub's beacon, so that the last envelope proves its time; None: none came.

    Nothing is sent meanwhile: what is to be given up must not arrive all the same.
    """
    route = speaker.route
    topic = beacon_topic(route.network)
    connection = Connection(
        client_id=route.device.name,
        keepalive_s=speaker.limits.keepalive_s,
        monotonic_s=time.monotonic,
        is_persistent=False,
    )
    give_up_at_s = time.monotonic() + min(at_most_s, _BEACON_WAIT_S)
    try:
        connection.open(route.host, route.port, topics=(topic,))
        while time.monotonic() < give_up_at_s:
            for heard_on, block in connection.pump(_POLL_S):
                with suppress(UnbelievableError):
                    if heard_on == topic:
                        return believed_beacon(block, hub=route.hub, network=route.network, held=None).beacon
    except UplinkError as error:
        log.warning("beacon_not_heard", reason=str(error))
    finally:
        connection.close()
    return None


def await_receipt(outbox: Outbox, mark: FarewellMark, *, at_most_s: float) -> bool:
    """Wait until the hub has receipted the last envelope; False: not within ``at_most_s``.

    Raises:
        RotationError: the hub refused it for good.
        OutboxError: the outbox cannot be read.
    """

    def is_over() -> bool:
        depth = outbox.depth()
        return depth.envelopes == depth.refused

    _wait_until(is_over, at_most_s=at_most_s)
    if is_delivered(outbox, mark):
        return True
    depth = outbox.depth()
    if depth.envelopes and depth.refused == depth.envelopes:
        raise RotationError("the hub refuses the last envelope of the old key: ask its operator why, then try again")
    return False


def _wait_until(is_so: Callable[[], bool], *, at_most_s: float) -> None:
    give_up_at_s = time.monotonic() + at_most_s
    while not is_so() and time.monotonic() < give_up_at_s:
        time.sleep(_POLL_S)


def _uplinks(speaker: Speaker, outbox: Outbox) -> Uplinks:
    def enrollment() -> bytes:
        statement = Enrollment(VERSION, speaker.route.network, speaker.owner, speaker.now_ms())
        return seal_enrollment(statement, speaker.signer)

    return Uplinks(
        (speaker.route, *speaker.more_routes),
        outbox=outbox,
        enrollment=enrollment,
        limits=speaker.limits,
        surroundings=Surroundings(speaker.now_ms, time.monotonic, random.SystemRandom().random),
    )
