"""``run``: a device works."""

import json
import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager

from edge.agent import Agent
from edge.commands.words import EXIT_PROBLEM, EXIT_UNDELIVERED, EXIT_WELL, Verbs, add_command
from edge.notify import own_notifier
from edge.settings import load_settings


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``run``."""
    add_command(
        verbs, common, "run", run, says="run the agent until its source ends or SIGTERM", example="run --dir ./door"
    )


def run(options: Namespace) -> int:
    """Run the agent until its source ends or it is told to stop; print its last status."""
    settings = load_settings(options.dir, os.environ)
    with _stop_on_signals() as stop:
        report = Agent(settings, options.dir, notifier=own_notifier()).run(stop)
    status = report.status
    json.dump(
        {
            "frames": status.frames,
            "tracks": status.tracks,
            "people": status.people,
            "envelopes_signed": status.envelopes_signed,
            "envelopes_left": status.outbox_envelopes,
            "receipts": status.receipts,
            "peak_rss_kib": status.peak_rss_kib,
        },
        sys.stdout,
    )
    print()
    if report.failure is not None:
        print(f"cairn-edge: {report.failure}", file=sys.stderr)
        return EXIT_PROBLEM
    if status.outbox_envelopes and not stop.is_set():
        print(
            f"cairn-edge: {status.outbox_envelopes} envelopes have no receipt yet; run again to send them",
            file=sys.stderr,
        )
        return EXIT_UNDELIVERED
    return EXIT_WELL


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, action in before.items():
            signal.signal(number, action)
