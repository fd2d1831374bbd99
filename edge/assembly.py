"""Puts the keeper together: from a device's directory and settings to parts that are ready to work."""

import os
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from edge.care.host import Host
from edge.care.warden import Warden
from edge.eyes import Eyes
from edge.glance import VisionProgram
from edge.keeping.builder import BatchLimits, DraftBuilder
from edge.keeping.outbox import Outbox, OutboxLimits
from edge.keeping.scribe import Scribe
from edge.keeping.sequence import SequenceError, SequenceLedger
from edge.keeping.signer import EnvelopeSigner
from edge.log import get_logger
from edge.models.keeper import ModelKeeper
from edge.models.keeping import keeper_of
from edge.owning.boots import SEQUENCE_JUMP, count_boot, open_counter
from edge.owning.keys import open_signer
from edge.owning.rotation import plan_of
from edge.parts import Parts, Whither
from edge.place import MODELS_FOLDER, OUTBOX_FILE, SEQUENCE_FILE
from edge.sending.uplink import Route, Surroundings, UplinkLimits
from edge.sending.uplinks import Uplinks
from edge.senses import Senses
from edge.settings import EdgeSettings
from edge.status import About, about_device
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.identity import Signer
from protocol.observation import Position
from protocol.payload import VERSION
from protocol.units import UnixMs

DISTRIBUTION: Final = "cairn-network"

log = get_logger()


@dataclass(frozen=True, slots=True)
class Device:
    """A device that may work: it has its key, and somebody owns it."""

    settings: EdgeSettings
    directory: Path
    owner: bytes  # the account, 20 bytes
    now_ms: Callable[[], UnixMs]
    host: Host  # the machine it runs on


def assemble(device: Device, program: VisionProgram, *, stack: ExitStack) -> tuple[Parts, About]:
    """Open everything the keeper needs; ``stack`` closes it again.

    Raises:
        IdentityError, SequenceError, OutboxError, BootCounterError, ThermalError: it cannot start.
    """
    settings, directory, now_ms = device.settings, device.directory, device.now_ms
    # The ledger comes first: its lock keeps a second agent away from everything else.
    ledger = SequenceLedger.open(directory / SEQUENCE_FILE)
    stack.callback(_close, ledger)
    _count_boot(settings, directory, ledger)
    key = open_signer(settings.key, directory, os.environ)
    is_leaving = plan_of(directory) is not None
    has_eyes = not is_leaving and (program.brings_camera or bool(settings.camera.source))
    # Which model runs is settled before anybody opens it; then vision loads it while the rest is opened here.
    models = _models(device, key, stack) if has_eyes else None
    eyes = _eyes(device, program, stack) if has_eyes else None
    senses = None if is_leaving else _senses(settings, stack)
    outbox = Outbox.open(directory / OUTBOX_FILE, limits=outbox_limits(settings))
    stack.callback(outbox.close)
    last = outbox.last()
    ledger.never_below(last.sequence if last else 0)
    uplinks = _uplinks(device, key, outbox, models)
    signer = EnvelopeSigner(
        key, network=settings.network, ledger=ledger, outbox=outbox, enrollment_digest=uplinks.enrollment_digest
    )
    whither = Whither(settings.position.rules())
    parts = Parts(
        outbox=outbox,
        uplinks=uplinks,
        scribe=Scribe(
            _builder(settings, whither.place(None, now_ms=now_ms())), signer, now_ms=now_ms, monotonic_s=time.monotonic
        ),
        whither=whither,
        warden=Warden(
            directory,
            settings.thermal_limits(),
            health_period_ms=settings.care.health_period_ms,
            host=device.host,
            now_ms=now_ms,
            monotonic_ms=lambda: time.monotonic_ns() // 1_000_000,
        ),
        eyes=eyes,
        senses=senses,
        models=models,
        is_leaving=is_leaving,
    )
    log.info("agent_started", device=key.public_key.did, network=settings.network, boot=ledger.boot)
    return parts, about_device(key.public_key, settings.network, boot=ledger.boot)


def _eyes(device: Device, program: VisionProgram, stack: ExitStack) -> Eyes:
    rss_max_kib = device.settings.care.vision_rss_max_mib << 10
    eyes = Eyes(device.settings.for_vision(), device.directory, program, rss_max_kib=rss_max_kib)
    stack.callback(eyes.halt, at_most_s=0.0)
    eyes.look(time.monotonic())
    return eyes


def _senses(settings: EdgeSettings, stack: ExitStack) -> Senses | None:
    if not settings.sensors.sources:
        return None
    senses = Senses(settings.sensors.order())
    stack.callback(senses.child.stop, at_most_s=1.0)
    senses.feel(time.monotonic())
    return senses


def _count_boot(settings: EdgeSettings, directory: Path, ledger: SequenceLedger) -> None:
    counter = open_counter(settings.boots, os.environ)
    if counter is not None:
        counted = count_boot(counter, file_boot=ledger.boot, every=settings.boots.every, directory=directory)
        if counted.is_restored:
            ledger.go_on_after_copy(boot=counted.boot, skipped=SEQUENCE_JUMP)


def _builder(settings: EdgeSettings, position: Position) -> DraftBuilder:
    batch = settings.batch
    return DraftBuilder(
        model_digest=None,  # vision says which, once it is ready
        agent_release=version(DISTRIBUTION),
        position=position,
        limits=BatchLimits(batch.max_observations, batch.max_delay_ms, batch.beacon_patience_ms),
    )


def _models(device: Device, key: Signer, stack: ExitStack) -> ModelKeeper:
    settings = device.settings
    keeper = keeper_of(
        msgspec.structs.replace(settings.model, hub_url=settings.model.hub_url or settings.hub_url),
        device.directory / MODELS_FOLDER,
        offers=(settings.network, settings.hub_key()),
        device=key.public_key,
        now_ms=device.now_ms,
        monotonic_s=time.monotonic,
    )
    keeper.start()
    stack.callback(keeper.close)
    return keeper


def _uplinks(device: Device, key: Signer, outbox: Outbox, models: ModelKeeper | None) -> Uplinks:
    settings, now_ms = device.settings, device.now_ms
    times, owner, network, me = settings.uplink, device.owner, settings.network, key.public_key
    first = Route(settings.broker.host, settings.broker.port, network, me, settings.hub_key())
    return Uplinks(
        [first, *(Route(each.host, each.port, network, me, each.public_key()) for each in settings.more_hubs)],
        outbox=outbox,
        enrollment=lambda: seal_enrollment(Enrollment(VERSION, network, owner, now_ms()), key),
        limits=UplinkLimits(
            keepalive_s=settings.broker.keepalive_s,
            window=times.window,
            resend_after_s=times.resend_after_ms / 1000,
            reconnect_max_s=times.reconnect_max_ms / 1000,
        ),
        surroundings=Surroundings(now_ms, time.monotonic, random.SystemRandom().random),
        hear_offer=None if models is None else models.hear,
    )


def outbox_limits(settings: EdgeSettings) -> OutboxLimits:
    """Return the outbox's policy as the settings tell it."""
    box = settings.outbox
    return OutboxLimits(
        max_bytes=box.max_bytes,
        max_age_ms=box.max_age_h * 3_600_000,
        receipts=box.receipts_kept,
        receipts_required=settings.uplink.receipts_required,
    )


def _close(ledger: SequenceLedger) -> None:
    try:
        ledger.close()
    except SequenceError as error:  # costs a gap in the numbers at the next start, no more
        log.warning("sequence_not_closed", reason=str(error))
