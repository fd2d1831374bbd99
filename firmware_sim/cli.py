"""`cairn-sim`: the made-up world, its devices, and the demo that runs the whole network on one machine."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.clock import clock_ms
from edge.detector.detection import ModelError
from edge.keeping.outbox import OutboxError
from edge.keeping.sequence import SequenceError
from edge.owning.identity import KeyFileError
from edge.settings import SettingsError
from firmware_sim.children import ChildError, Children
from firmware_sim.demo import DemoSettings, Outcome, fresh_folder, run_demo
from firmware_sim.device import Place, run_device, stop_on_signals, town
from firmware_sim.fleet import FleetSettings
from firmware_sim.network import Network
from firmware_sim.servers import end_orphaned_broker
from firmware_sim.stage import Stage
from firmware_sim.telling import report_of, tell
from protocol.classes import class_name
from protocol.units import UnixMs

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_STOPPED: Final = 130

_DEATH_SHOWS_WITHIN_S: Final = 2.0

_USER_ERRORS: Final = (ChildError, SettingsError, KeyFileError, SequenceError, OutboxError, ModelError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed with a sentence, 2 wrong words, 130 Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except _USER_ERRORS as error:
        print(f"cairn-sim: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cairn-sim", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="run chain, broker, hub, rewards and a fleet here until a claim is paid",
        epilog="Example: cairn-sim demo --once --video street.mp4 --model yolox_nano.onnx",
    )
    demo.add_argument("--once", action="store_true", help="stop after the verified claim instead of staying up")
    demo.add_argument("--epochs", type=_count, default=2, help="epochs to run at least (default 2)")
    demo.add_argument("--epoch-seconds", type=_count, default=15, help="length of an epoch (default 15)")
    demo.add_argument("--devices", type=_count, default=4, help="simulated devices (default 4)")
    demo.add_argument("--frames-per-s", type=_count, default=8, help="how often a simulated device looks (default 8)")
    demo.add_argument("--seed", type=int, default=7, help="which made-up town (default 7)")
    demo.add_argument("--video", type=Path, metavar="FILE", help="a real video for one more device to watch")
    demo.add_argument("--model", type=Path, metavar="FILE", help="the model for it (default: fetch yolox-nano)")
    demo.add_argument("--hub-port", type=_port, default=0, help="port of the operator's page (default: any free one)")
    demo.add_argument("--rewards-port", type=_port, default=0, help="port of the contributors' page")
    demo.add_argument("--folder", type=Path, default=Path(".cairn/demo"), help="where everything is kept")
    demo.add_argument("--report", type=Path, metavar="FILE", help="write what happened as JSON")
    demo.set_defaults(run=_demo)

    device = commands.add_parser(
        "device",
        help="run one edge agent whose camera looks at the made-up world",
        epilog="Example: cairn-sim device --dir ./sim-1 --seed 7 --camera 0 --cameras 4",
    )
    device.add_argument("--dir", type=Path, required=True, help="the device's folder, made by `cairn-edge init`")
    _add_place(device)
    device.add_argument("--frames-per-s", type=_count, default=8)
    device.add_argument("--ends-at-ms", type=int, help="when the world ends (default: it does not)")
    device.set_defaults(run=_device)

    truth = commands.add_parser(
        "truth",
        help="print who really passed a camera, as JSON lines",
        epilog="Example: cairn-sim truth --seed 7 --camera 0 --cameras 4 --seconds 60",
    )
    _add_place(truth)
    truth.add_argument("--seconds", type=_count, default=60)
    truth.set_defaults(run=_truth)
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=7, help="which town")
    parser.add_argument("--camera", type=int, default=0, help="which of its cameras, counted from 0")
    parser.add_argument("--cameras", type=_count, default=4, help="how many cameras the town has")
    parser.add_argument("--starts-at-ms", type=int, default=clock_ms(), help="when its world begins")


def _demo(options: argparse.Namespace) -> int:
    for given in (options.video, options.model):
        if given is not None and not given.is_file():
            raise ChildError(f"there is no file {given}")
    fleet = FleetSettings(options.seed, options.devices, options.frames_per_s, options.video, options.model)
    settings = DemoSettings(
        options.folder.resolve(),
        options.epochs,
        options.epoch_seconds,
        fleet,
        options.hub_port,
        options.rewards_port,
    )
    fresh_folder(settings.folder)
    try:
        with Children(settings.folder / "logs") as children:
            _show(settings, children, report=options.report, stays_up=not options.once)
    finally:
        end_orphaned_broker(settings.folder)
    return EXIT_OK


def _show(settings: DemoSettings, children: Children, *, report: Path | None, stays_up: bool) -> None:
    network, outcome = _watched(settings, children)
    if report is not None:
        report.write_text(json.dumps(report_of(outcome), indent=2) + "\n")
    tell(network, outcome)
    if stays_up:
        print("\nThe network stays up until Ctrl-C.", file=sys.stderr)
        with suppress(KeyboardInterrupt):
            children.watch()
        print("Stopping.", file=sys.stderr)


def _watched(settings: DemoSettings, children: Children) -> tuple[Network, Outcome]:
    """Run the demo; where somebody stops answering, say who died of what rather than that nobody answers.

    Raises:
        ChildError: see `run_demo`.
    """
    try:
        with Stage() as stage:
            return run_demo(settings, children, stage, now_ms=clock_ms)
    except OSError as error:  # whoever asked may notice a death before its parent does
        children.check(within_s=_DEATH_SHOWS_WITHIN_S)
        raise ChildError(f"a part of the network does not answer ({error}); logs are in {children.logs}") from error


def _device(options: argparse.Namespace) -> int:
    place = Place(options.seed, options.camera, options.cameras, UnixMs(options.starts_at_ms))
    ends_at_ms = None if options.ends_at_ms is None else UnixMs(options.ends_at_ms)
    report = run_device(
        options.dir, place, frames_per_s=options.frames_per_s, ends_at_ms=ends_at_ms, stop=stop_on_signals()
    )
    if report.failure is not None:
        print(f"cairn-sim: {report.failure}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def _truth(options: argparse.Namespace) -> int:
    world = town(options.seed, options.cameras, UnixMs(options.starts_at_ms))
    until_ms = UnixMs(options.starts_at_ms + options.seconds * 1000)
    for visit in world.visits(options.camera, UnixMs(options.starts_at_ms), until_ms):
        line = {"class": class_name(visit.class_id), "enters_ms": visit.enters_ms, "leaves_ms": visit.leaves_ms}
        print(json.dumps(line))
    return EXIT_OK


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65_536:
        raise argparse.ArgumentTypeError("a port is 0..65535")
    return number


if __name__ == "__main__":
    sys.exit(main())
