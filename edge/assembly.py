"""Puts the keeper together: from a device's directory and settings to parts that are ready to work."""

import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge.builder import BatchLimits, DraftBuilder, coarsened
from edge.eyes import Eyes, VisionProgram
from edge.identity import load_key_file
from edge.log import get_logger
from edge.outbox import Outbox, OutboxLimits
from edge.parts import Parts
from edge.place import KEY_FILE, OUTBOX_FILE, SEQUENCE_FILE
from edge.scribe import Scribe
from edge.sensors.schedule import SensorSchedule
from edge.sensors.sysfs import open_sensor
from edge.sequence import SequenceError, SequenceLedger
from edge.settings import EdgeSettings
from edge.signer import EnvelopeSigner
from edge.status import StatusFile
from edge.uplink import Enroller, Route, Surroundings, Uplink, UplinkLimits
from protocol.enrollment import Enrollment, parse_enrollment, seal_enrollment
from protocol.envelope import block_digest
from protocol.identity import KeyPair
from protocol.observation import Position
from protocol.payload import VERSION
from protocol.units import UnixMs

DISTRIBUTION: Final = "cairn-network"

log = get_logger()


def assemble(
    settings: EdgeSettings,
    directory: Path,
    program: VisionProgram,
    *,
    stack: ExitStack,
    now_ms: Callable[[], UnixMs],
) -> tuple[Parts, StatusFile]:
    """Open everything the keeper needs; ``stack`` closes it again.

    Raises:
        KeyFileError, SequenceError, OutboxError, SensorError: it cannot start.
    """
    key = load_key_file(directory / KEY_FILE)
    # The ledger comes first: its lock keeps a second agent away from everything else.
    ledger = SequenceLedger.open(directory / SEQUENCE_FILE)
    stack.callback(_close, ledger)
    # Vision next: it loads its model while the rest is opened here.
    has_eyes = program.brings_camera or bool(settings.camera.source)
    eyes = Eyes(settings, directory, program) if has_eyes else None
    if eyes is not None:
        stack.callback(eyes.halt, at_most_s=0.0)
        eyes.look(time.monotonic())
    limits = settings.outbox
    outbox = Outbox.open(
        directory / OUTBOX_FILE, limits=OutboxLimits(limits.max_envelopes, limits.max_bytes, limits.receipts_kept)
    )
    stack.callback(outbox.close)
    last = outbox.last()
    ledger.never_below(last.sequence if last else 0)
    enroller = _enroller(settings, key, outbox, now_ms)
    signer = EnvelopeSigner(
        key, network=settings.network, ledger=ledger, outbox=outbox, enrollment_digest=block_digest(enroller.block)
    )
    parts = Parts(
        outbox=outbox,
        uplink=_uplink(settings, key, outbox, enroller, now_ms),
        scribe=Scribe(_builder(settings), signer, now_ms=now_ms, monotonic_s=time.monotonic),
        sensors=SensorSchedule(
            [open_sensor(source) for source in settings.sensors.sources], period_ms=settings.sensors.period_ms
        ),
        eyes=eyes,
    )
    log.info("agent_started", device=key.public_key.did, network=settings.network, boot=ledger.boot)
    about = (key.public_key.did, settings.network, version(DISTRIBUTION))
    return parts, StatusFile(directory, about=about, boot=ledger.boot, now_ms=now_ms)


def _builder(settings: EdgeSettings) -> DraftBuilder:
    place, batch = settings.position, settings.batch
    position = Position(place.lat_udeg, place.lon_udeg, place.accuracy_mm, place.heading_mdeg)
    return DraftBuilder(
        model_digest=None,  # vision says which, once it is ready
        agent_release=version(DISTRIBUTION),
        position=coarsened(position, grid_udeg=place.grid_udeg),
        limits=BatchLimits(batch.max_observations, batch.max_delay_ms, batch.beacon_patience_ms),
    )


def _enroller(settings: EdgeSettings, key: KeyPair, outbox: Outbox, now_ms: Callable[[], UnixMs]) -> Enroller:
    owner = settings.owner_address()

    def fresh() -> bytes:
        return seal_enrollment(Enrollment(VERSION, settings.network, owner, now_ms()), key)

    receipted = outbox.enrolled()
    if receipted is not None:
        _, held = parse_enrollment(receipted)
        if (held.owner, held.network) == (owner, settings.network):
            return Enroller(outbox, block=receipted, renew=fresh)
    return Enroller(outbox, block=fresh(), renew=fresh)


def _uplink(
    settings: EdgeSettings, key: KeyPair, outbox: Outbox, enroller: Enroller, now_ms: Callable[[], UnixMs]
) -> Uplink:
    times = settings.uplink
    return Uplink(
        Route(settings.broker.host, settings.broker.port, settings.network, key.public_key, settings.hub_key()),
        outbox=outbox,
        enroller=enroller,
        limits=UplinkLimits(
            keepalive_s=settings.broker.keepalive_s,
            window=times.window,
            resend_after_s=times.resend_after_ms / 1000,
            reconnect_max_s=times.reconnect_max_ms / 1000,
        ),
        surroundings=Surroundings(now_ms, time.monotonic, random.SystemRandom().random),
    )


def _close(ledger: SequenceLedger) -> None:
    try:
        ledger.close()
    except SequenceError as error:  # costs a gap in the numbers at the next start, no more
        log.warning("sequence_not_closed", reason=str(error))
