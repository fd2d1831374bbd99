"""What ``cairn-edge rotate-key`` does."""

import os
import sys
from argparse import Namespace
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edge.assembly import outbox_limits
from edge.clock import clock_ms
from edge.commands.doing.shown import show_code
from edge.commands.words import EXIT_UNDELIVERED, EXIT_WELL
from edge.keeping.builder import coarsened
from edge.keeping.outbox import OutboxLimits
from edge.keeping.sequence import read_ledger
from edge.models.own import sign_own_again
from edge.models.versions import ModelVersions
from edge.owning.adoption import owner_of
from edge.owning.farewell import Chain, Speaker, await_receipt, hear_beacon, open_chain, say_farewell, speaking
from edge.owning.keys import make_next_key, open_signer
from edge.owning.qr import require_picture
from edge.owning.rotation import (
    NEXT_FOLDER,
    RotationError,
    RotationPlan,
    farewell_of,
    finish_rotation,
    mark_farewell,
    plan_of,
    prepare,
    switch_unheard,
)
from edge.place import MODELS_FOLDER, RETIRED_FOLDER, SEQUENCE_FILE
from edge.sending.uplink import Route, UplinkLimits
from edge.settings import EdgeSettings, load_settings
from protocol.envelope import MAX_ENVELOPE_BYTES
from protocol.identity import PublicKey, Signer
from protocol.observation import Position

_DISTRIBUTION: Final = "cairn-network"


def rotate_key(options: Namespace) -> int:
    """Go on under a new key, or one step further towards it; print the did:key of the device as it is then."""
    require_picture(options.qr_file)
    directory: Path = options.dir
    settings = load_settings(directory, os.environ)
    limits = _limits(settings)
    arrived = finish_rotation(directory, limits=limits)
    if arrived is not None:
        return _welcome(arrived, settings, options)
    signer = open_signer(settings.key, directory, os.environ)
    used_until = read_ledger(directory / SEQUENCE_FILE)[1]
    with open_chain(directory, limits=limits, used_until=used_until) as chain:
        plan = _prepared(chain, signer, settings, options)
        _vouch_again(signer, settings, options)
        is_heard = not chain.has_begun or _say_farewell(chain, plan, signer, settings, options)
        has_begun = chain.has_begun
    if not is_heard:
        return _wait(signer.public_key)
    arrived = finish_rotation(directory, limits=limits) if has_begun else switch_unheard(directory)
    return _welcome(arrived or plan.next_key, settings, options)


def _prepared(chain: Chain, signer: Signer, settings: EdgeSettings, options: Namespace) -> RotationPlan:
    depth = chain.outbox.depth()
    if plan_of(options.dir) is None and depth.envelopes and not options.abandon:
        raise RotationError(
            f"{depth.envelopes} envelopes have no receipt yet: let `cairn-edge run` deliver them, or give them up "
            f"with --abandon"
        )
    return prepare(
        options.dir,
        network=settings.network,
        device=signer.public_key,
        make_key=lambda folder: make_next_key(
            settings.key, options.dir, os.environ, folder=folder, label=options.key_label
        ),
    )


def _vouch_again(signer: Signer, settings: EdgeSettings, options: Namespace) -> None:
    """Let the next key, too, stand for the models that the owner has added."""
    successor = make_next_key(
        settings.key, options.dir, os.environ, folder=options.dir / NEXT_FOLDER, label=options.key_label
    )
    versions = ModelVersions(options.dir / MODELS_FOLDER)
    sign_own_again(versions, before=signer.public_key, owner=successor, now_ms=clock_ms())


def _say_farewell(chain: Chain, plan: RotationPlan, signer: Signer, settings: EdgeSettings, options: Namespace) -> bool:
    """Sign the last envelope unless it is signed; return whether the hub has receipted it."""
    speaker = _speaker(signer, settings, options.dir)
    mark = farewell_of(options.dir)
    if mark is None:
        beacon = None if options.later else hear_beacon(speaker, at_most_s=options.wait_s)
        mark = say_farewell(speaker, chain, plan.succession, is_abandoning=options.abandon, beacon=beacon)
        mark_farewell(options.dir, mark)
    if options.later:
        return False
    with speaking(speaker, chain.outbox):
        return await_receipt(chain.outbox, mark, at_most_s=options.wait_s)


def _speaker(signer: Signer, settings: EdgeSettings, directory: Path) -> Speaker:
    owner = owner_of(directory, settings)
    if owner is None:
        raise RotationError("this device has no owner: adopt it first (`cairn-edge id` shows how)")
    place, times, broker = settings.position, settings.uplink, settings.broker
    position = Position(place.lat_udeg, place.lon_udeg, place.accuracy_mm, place.heading_mdeg)
    return Speaker(
        signer=signer,
        owner=owner,
        position=coarsened(position, grid_udeg=place.grid_udeg),
        release=version(_DISTRIBUTION),
        route=Route(broker.host, broker.port, settings.network, signer.public_key, settings.hub_key()),
        more_routes=tuple(
            Route(each.host, each.port, settings.network, signer.public_key, each.public_key())
            for each in settings.more_hubs
        ),
        limits=UplinkLimits(
            keepalive_s=broker.keepalive_s,
            window=times.window,
            resend_after_s=times.resend_after_ms / 1000,
            reconnect_max_s=times.reconnect_max_ms / 1000,
        ),
        now_ms=clock_ms,
    )


def _limits(settings: EdgeSettings) -> OutboxLimits:
    """A farewell finds room in an outbox that is full: nothing may be given up after the last word."""
    limits = outbox_limits(settings)
    room_bytes = limits.max_bytes + 2 * MAX_ENVELOPE_BYTES
    return replace(limits, max_bytes=room_bytes, max_age_ms=2**53)


def _wait(device: PublicKey) -> int:
    print(device.did)
    print(
        "The last envelope of the old key has no receipt yet: the device keeps that key. Let `cairn-edge run` deliver "
        "it, or wait for the hub, then run `cairn-edge rotate-key` again.",
        file=sys.stderr,
    )
    return EXIT_UNDELIVERED


def _welcome(device: PublicKey, settings: EdgeSettings, options: Namespace) -> int:
    print(device.did)
    show_code(
        device, directory=options.dir, network=settings.network, hub_url=settings.hub_url, picture=options.qr_file
    )
    print(
        f"The device goes on as {device.name}. The old key and its receipts are kept in {options.dir / RETIRED_FOLDER} "
        f"for disputes.\nThe owner must move the bond to the new key, or it earns nothing; then start the agent.",
        file=sys.stderr,
    )
    return EXIT_WELL
