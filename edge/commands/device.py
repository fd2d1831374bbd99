"""``init`` and ``run``: a device comes to be, and works."""

import json
import os
import signal
import sys
import threading
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from edge.agent import Agent
from edge.commands.words import EXIT_PROBLEM, EXIT_UNDELIVERED, EXIT_WELL, Verbs, add_command
from edge.hub_lookup import ask_hub, is_private_line
from edge.notify import notifier_of_this_process
from edge.place import KEY_FILE, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE, load_settings, settings_of
from edge.setup import SetupError, scaled, set_up, toml_text

_HEADER: Final = """Settings of one Cairn device; `cairn-edge doctor` checks them.
Every value can be overridden by CAIRN_EDGE_<TABLE>_<NAME> in the environment."""


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``init`` and ``run``."""
    _add_init(verbs, common)
    add_command(
        verbs, common, "run", run, says="run the agent until its source ends or SIGTERM", example="run --dir ./door"
    )


def _add_init(verbs: Verbs, common: ArgumentParser) -> None:
    example = (
        "init --dir ./door --hub http://127.0.0.1:8080 --owner 0x90F79bf6EB2c4f870365E785982E1f101E93b906 "
        "--camera webcam:0 --lat 52.520008 --lon 13.404954"
    )
    parser = add_command(
        verbs, common, "init", init, says="make a device: key, sequence file, settings", example=example
    )
    parser.add_argument("--hub", metavar="URL", help="learn network, hub key and broker from this hub")
    parser.add_argument("--network", help="the network's name, without --hub")
    parser.add_argument("--hub-key", metavar="DID", help="did:key of the hub; with --hub: must be this one")
    parser.add_argument("--broker-host", metavar="HOST", help="the MQTT broker, if not the one the hub names")
    parser.add_argument("--broker-port", metavar="PORT", type=int)
    parser.add_argument("--owner", required=True, metavar="0x...", help="the contributor's account")
    parser.add_argument("--camera", default="webcam:0", metavar="SOURCE", help="webcam:0, rtsp://..., a file, a folder")
    parser.add_argument("--model", default="yolox-nano", help="name in the model store, or path of an .onnx file")
    parser.add_argument("--lat", required=True, metavar="DEGREES", help="latitude, decimal degrees")
    parser.add_argument("--lon", required=True, metavar="DEGREES", help="longitude, decimal degrees")
    parser.add_argument("--accuracy-m", default="10", metavar="M", help="how well that is known (default 10)")
    parser.add_argument("--heading", metavar="DEGREES", help="where it looks, clockwise from north")
    parser.add_argument(
        "--grid-udeg", type=int, default=1_000, metavar="UDEG", help="how coarse to publish (default 1000, about 111 m)"
    )


def init(options: Namespace) -> int:
    """Make a device; print its did:key."""
    if options.hub:
        asked = ask_hub(options.hub)
        network, hub = options.network or asked.network, options.hub_key or asked.hub
        host, port = options.broker_host or asked.broker.host, options.broker_port or asked.broker.port
        if options.hub_key and options.hub_key != asked.hub:
            raise SetupError(f"{options.hub} is the hub {asked.hub}, not {options.hub_key}: check both")
        if not options.hub_key and not is_private_line(options.hub):
            print(
                f"The hub's key {hub} came over a line anybody can change: compare it with the operator's.",
                file=sys.stderr,
            )
    else:
        network, hub, host, port = options.network, options.hub_key, options.broker_host, options.broker_port or 1883
        if not (network and hub and host):
            raise SetupError("say which hub: --hub http://HOST:PORT, or --network, --hub-key and --broker-host")
    tables: dict[str, object] = {
        "network": network,
        "hub": hub,
        "owner": options.owner,
        "broker": {"host": host, "port": port},
        "camera": {"source": options.camera},
        "model": {"name": options.model},
        "position": {
            "lat_udeg": scaled(options.lat, by=1_000_000, name="--lat"),
            "lon_udeg": scaled(options.lon, by=1_000_000, name="--lon"),
            "accuracy_mm": scaled(options.accuracy_m, by=1_000, name="--accuracy-m"),
            "heading_mdeg": -1 if options.heading is None else scaled(options.heading, by=1_000, name="--heading"),
            "grid_udeg": options.grid_udeg,
        },
    }
    settings_of(tables, {}, origin="the command line")
    text = toml_text(tables, header=_HEADER)
    key = set_up(options.dir, text, key_name=KEY_FILE, sequence_name=SEQUENCE_FILE, settings_name=SETTINGS_FILE)
    print(key.public_key.did)
    print(
        f"The device is in {options.dir}. Keep a copy of {KEY_FILE} in a safe place.\n"
        f"Next: `cairn-edge model add {options.model}` unless you have it, `cairn-edge doctor`, then `cairn-edge run`, "
        f"each with --dir {options.dir}.\n"
        f"To be paid, {options.owner} must hold a bond for this device's key.",
        file=sys.stderr,
    )
    return EXIT_WELL


def run(options: Namespace) -> int:
    """Run the agent until its source ends or it is told to stop; print its last status."""
    settings = load_settings(options.dir, os.environ)
    with _stop_on_signals() as stop:
        report = Agent(settings, options.dir, notifier=notifier_of_this_process()).run(stop)
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
