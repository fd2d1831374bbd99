"""``cairn-edge``: set a device up, run it, ask what is wrong, replay a video, look after models.

Data on stdout, talk on stderr. Exit status: 0 well, 1 a problem (one sentence on stderr), 2 a wrong command line,
3 the recording has ended but some envelopes have no receipt yet (they are kept, the next run sends them).
"""

import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.agent import KEY_FILE, OUTBOX_FILE, SEQUENCE_FILE, Agent, clock_ms
from edge.camera.frame import CameraError
from edge.command_line import build_parser, configure_log
from edge.detector.detection import ModelError
from edge.doctor import (
    Check,
    check_camera,
    check_disk,
    check_hub,
    check_key,
    check_model,
    check_outbox,
    check_sensors,
    check_sequence,
    is_agent_running,
)
from edge.hub_lookup import HubLookupError, ask_hub, is_private_line
from edge.identity import KeyFileError, load_key_file
from edge.models.store import ModelStore
from edge.opening import MODELS_FOLDER, class_ids_of, open_named_model
from edge.outbox import OutboxError, OutboxLimits
from edge.pipeline import PipelineStats
from edge.replay import replay
from edge.sensors.sensor import SensorError
from edge.sequence import SequenceError
from edge.settings import DIRECTORY_VARIABLE, SETTINGS_FILE, EdgeSettings, SettingsError, load_settings, settings_of
from edge.setup import SetupError, scaled, set_up, toml_text
from edge.status import read_status
from edge.uplink import Route

EXIT_WELL: Final = 0
EXIT_PROBLEM: Final = 1
EXIT_UNDELIVERED: Final = 3
_TOLD: Final = (  # everything whose message is a sentence for the owner
    CameraError,
    HubLookupError,
    KeyFileError,
    ModelError,
    OutboxError,
    SensorError,
    SequenceError,
    SettingsError,
    SetupError,
)
_HEADER: Final = """Settings of one Cairn device; `cairn-edge doctor` checks them.
Every value can be overridden by CAIRN_EDGE_<TABLE>_<NAME> in the environment."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = build_parser(
        {
            "init": init,
            "run": run,
            "doctor": doctor,
            "replay": replay_video,
            "model_add": model_add,
            "model_list": model_list,
            "model_test": model_test,
        },
        default_directory=Path(os.environ.get(DIRECTORY_VARIABLE, "~/.cairn/edge")).expanduser(),
    )
    options = parser.parse_args(arguments)
    configure_log(is_verbose=options.verbose)
    try:
        status: int = options.command(options)
    except _TOLD as error:
        print(f"cairn-edge: {error}", file=sys.stderr)
        return EXIT_PROBLEM
    except KeyboardInterrupt:
        print("cairn-edge: interrupted", file=sys.stderr)
        return EXIT_PROBLEM
    return status


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
        report = Agent(settings, options.dir).run(stop)
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


def doctor(options: Namespace) -> int:
    """Check everything; print one line a check."""
    if not any((options.dir / name).exists() for name in (KEY_FILE, SEQUENCE_FILE, SETTINGS_FILE)):
        print(f"PROBLEM device    there is no device in {options.dir}: make one with `cairn-edge init`, or name --dir")
        return EXIT_PROBLEM
    checks = [check_key(options.dir / KEY_FILE), check_sequence(options.dir / SEQUENCE_FILE), check_disk(options.dir)]
    try:
        settings = load_settings(options.dir, os.environ)
    except SettingsError as error:
        checks.append(Check("settings", is_well=False, says=str(error)))
    else:
        checks.append(Check("settings", is_well=True, says=str(options.dir / SETTINGS_FILE)))
        checks += _checks_of(settings, options.dir)
    for check in checks:
        print(f"{'ok' if check.is_well else 'PROBLEM':8}{check.name:10}{check.says}")
    return EXIT_WELL if all(check.is_well for check in checks) else EXIT_PROBLEM


def _checks_of(settings: EdgeSettings, directory: Path) -> list[Check]:
    now_ms = clock_ms()
    status = read_status(directory)
    running = status if is_agent_running(status, now_ms=now_ms) else None
    box = settings.outbox
    checks = [
        check_camera(settings.camera.source, now_ms=clock_ms, folder_fps=settings.camera.folder_fps, running=running),
        check_sensors(settings.sensors.sources, now_ms=now_ms),
        check_outbox(
            directory / OUTBOX_FILE,
            limits=OutboxLimits(box.max_envelopes, box.max_bytes, box.receipts_kept),
            now_ms=now_ms,
        ),
    ]
    if settings.camera.source:
        checks.append(check_model(settings.model.name, directory=directory, threads=settings.model.threads))
    try:
        device = load_key_file(directory / KEY_FILE).public_key
    except KeyFileError:
        return checks  # check_key has said so
    route = Route(settings.broker.host, settings.broker.port, settings.network, device, settings.hub_key())
    return [*checks, *check_hub(route, now_ms=clock_ms, monotonic_s=time.monotonic)]


def replay_video(options: Namespace) -> int:
    """Count what a recording shows; print it as JSON."""
    model = open_named_model(options.model, directory=options.dir, threads=options.threads)
    words = [word.strip() for word in options.classes.split(",") if word.strip()]
    counted = replay(
        Path(options.video).expanduser(),
        model=model,
        class_ids=class_ids_of(words),
        monotonic_s=time.monotonic,
        report=_print_progress,
    )
    print(json.dumps(counted))
    return EXIT_WELL


def _print_progress(stats: PipelineStats, duration_ms: int) -> None:
    done = f"{100 * (stats.last_frame_at_ms or 0) // duration_ms} %" if duration_ms else f"{stats.frames} frames"
    print(f"replay: {done}, {stats.tracks} tracks so far", file=sys.stderr)


def model_add(options: Namespace) -> int:
    """Add a model to the device's store; print its name."""
    told = [-1]

    def report(so_far: int, in_all: int) -> None:
        tenth = 10 * so_far // max(in_all, 1)
        if tenth != told[0]:
            told[0] = tenth
            print(f"download: {10 * tenth} % of {in_all} bytes", file=sys.stderr)

    stored = ModelStore(options.dir / MODELS_FOLDER).add(options.model, report=report)
    print(stored.name)
    return EXIT_WELL


def model_list(options: Namespace) -> int:
    """Print the models of the device's store."""
    for stored in ModelStore(options.dir / MODELS_FOLDER).list():
        print(f"{stored.name}\t{stored.manifest.version}\t{stored.manifest.licence}\t{stored.path}")
    return EXIT_WELL


def model_test(options: Namespace) -> int:
    """Run a model's self-test; print what ran it."""
    opened = open_named_model(options.model, directory=options.dir, threads=1)
    print(f"{opened.manifest.name} passed its self-test on {opened.detector.provider}")
    return EXIT_WELL


if __name__ == "__main__":
    sys.exit(main())
