"""``outbox``: what waits for receipts, and a way out of a device without a network."""

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from edge.clock import clock_ms
from edge.commands.words import EXIT_WELL, Verbs, add_command, add_group
from edge.keeping.exporting import write_car, write_lines
from edge.keeping.outbox import Outbox, look_into
from edge.owning.adoption import AdoptionError, owner_of
from edge.owning.keys import open_signer
from edge.place import OUTBOX_FILE
from edge.settings import load_settings
from protocol.enrollment import Enrollment, seal_enrollment
from protocol.payload import VERSION
from protocol.units import UnixMs


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``outbox`` and its commands."""
    kinds = add_group(verbs, "outbox", says="see and save what waits for receipts", example="outbox stats")
    stats = add_command(
        kinds,
        common,
        "stats",
        show_stats,
        says="tell what waits, what was given up, what was written",
        example="outbox stats --dir ./door",
    )
    stats.add_argument("--json", action="store_true", help="one JSON object on stdout")
    export = add_command(
        kinds,
        common,
        "export",
        export_blocks,
        says="write the signed blocks to a file, to be carried to a hub; the outbox keeps them",
        example="outbox export door.car --dir ./door",
    )
    export.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help=".car: a CAR; else JSON lines, each an MQTT topic and a block",
    )


def show_stats(options: Namespace) -> int:
    """Print what the outbox holds; an agent may be running."""
    outbox = look_into(options.dir / OUTBOX_FILE)
    try:
        stats = stats_of(outbox, now_ms=clock_ms())
    finally:
        outbox.close()
    if options.json:
        json.dump(stats, sys.stdout)
        print()
        return EXIT_WELL
    classes = ", ".join(f"{count} {name}" for name, count in stats["waiting_by_class"].items() if count)
    print(f"waiting   {stats['waiting']} envelopes, {stats['waiting_bytes'] / (1 << 20):.1f} MiB: {classes or 'none'}")
    if stats["oldest_s"] is not None:
        print(f"oldest    {stats['oldest_s']} s")
    print(f"signed    {stats['signed']}, receipted {stats['released']}, given up {stats['given_up']}")
    for gap in stats["gaps_to_tell"]:
        print(f"to tell   {gap['observations']} observations, {gap['envelopes']} envelopes lost ({gap['reason']})")
    if stats["refused"]:
        print(f"refused   {stats['refused']}: check that agent and hub are up to date")
    written_mib = stats["written_bytes"] / (1 << 20)
    print(f"written   {written_mib:.1f} MiB in {stats['transactions']} transactions, {stats['flushed']} flushed")
    return EXIT_WELL


def stats_of(outbox: Outbox, *, now_ms: UnixMs) -> dict[str, Any]:
    """Return what there is to say of ``outbox``, in plain values; counters begin with the outbox."""
    depth, book = outbox.depth(), outbox.book
    oldest_ms = depth.oldest_created_at_ms
    return {
        "waiting": depth.envelopes,
        "waiting_bytes": depth.block_bytes,
        "waiting_by_class": {priority.name.lower(): count for priority, count in depth.by_class.items()},
        "refused": depth.refused,
        "oldest_s": None if oldest_ms is None else (now_ms - oldest_ms) // 1000,
        "signed": book.signed,
        "released": book.released,
        "released_early": book.released_early,
        "given_up": book.given_up,
        "given_up_observations": book.given_up_observations,
        "gaps_to_tell": [
            {
                "reason": gap.reason.name.lower(),
                "envelopes": gap.envelopes,
                "observations": gap.observations,
                "first_sequence": gap.first_sequence,
                "last_sequence": gap.last_sequence,
                "from_ms": gap.from_ms,
                "until_ms": gap.until_ms,
            }
            for gap in book.gaps
        ],
        "receipts": {verdict.slug: count for verdict, count in outbox.tally().items()},
        "transactions": book.writes.transactions,
        "flushed": book.writes.flushed,
        "written_bytes": book.writes.written_bytes,
    }


def export_blocks(options: Namespace) -> int:
    """Write enrollment and envelopes to a file; print how many envelopes there were."""
    settings = load_settings(options.dir, os.environ)
    key = open_signer(settings.key, options.dir, os.environ)
    owner = owner_of(options.dir, settings)
    if owner is None:
        raise AdoptionError("nobody owns this device yet, so nothing was signed: `cairn-edge id` shows how to adopt it")
    # A fresh one: a device that has never had a network was never enrolled, and the latest by its time holds.
    enrollment = seal_enrollment(Enrollment(VERSION, settings.network, owner, clock_ms()), key)
    outbox = look_into(options.dir / OUTBOX_FILE)
    try:
        if options.file.suffix == ".car":
            count = write_car(options.file, enrollment, outbox.every_one())
        else:
            count = write_lines(
                options.file, enrollment, outbox.every_one(), network=settings.network, device=key.public_key
            )
    finally:
        outbox.close()
    print(count)
    print(f"{options.file} holds {count} envelopes; the outbox keeps them until a hub's receipt comes", file=sys.stderr)
    return EXIT_WELL
