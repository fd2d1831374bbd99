"""The words of ``cairn-edge``: commands, options, help with an example each, and how the log looks."""

import logging
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from argparse import _SubParsersAction

Command = Callable[[Namespace], int]
_DEFAULT_CLASSES: Final = "person,bicycle,car,motorcycle,bus,truck"


def build_parser(commands: Mapping[str, Command], *, default_directory: Path) -> ArgumentParser:
    """Return the parser; ``options.command`` is the one of ``commands`` that was asked for."""
    parser = ArgumentParser(
        prog="cairn-edge",
        description="The agent of one Cairn device: it watches a place and signs what it counts.",
        epilog="Example: cairn-edge init --hub http://127.0.0.1:8080 --owner 0x... --lat 52.52 --lon 13.405",
        formatter_class=RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    common = _common(default_directory)
    _add_init(verbs, common, commands["init"])
    _add(verbs, common, "run", commands["run"], "run the agent until its source ends or SIGTERM", "run --dir ./door")
    _add(verbs, common, "doctor", commands["doctor"], "check everything, say what to do", "doctor --dir ./door")
    _add_replay(verbs, common, commands["replay"])
    _add_model(verbs, common, commands)
    return parser


def configure_log(*, is_verbose: bool) -> None:
    """Send events to stderr, one line each; structlog's own default is stdout, which belongs to data."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if is_verbose else logging.INFO),
        logger_factory=lambda *_names: structlog.PrintLogger(sys.stderr),  # the stderr of that moment
        cache_logger_on_first_use=False,
    )


def _common(default_directory: Path) -> ArgumentParser:
    common = ArgumentParser(add_help=False)
    common.add_argument(
        "--dir",
        type=Path,
        default=default_directory,
        metavar="DIR",
        help=f"the device's directory (CAIRN_EDGE_DIR; default {default_directory})",
    )
    common.add_argument("-v", "--verbose", action="store_true", help="log each envelope too")
    return common


def _add(
    verbs: "_SubParsersAction[ArgumentParser]",
    common: ArgumentParser,
    name: str,
    command: Command,
    says: str,
    example: str,
) -> ArgumentParser:
    parser = verbs.add_parser(
        name,
        parents=[common],
        help=says,
        description=says[0].upper() + says[1:] + ".",
        epilog=f"Example: cairn-edge {example}",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _add_init(verbs: "_SubParsersAction[ArgumentParser]", common: ArgumentParser, command: Command) -> None:
    example = (
        "init --dir ./door --hub http://127.0.0.1:8080 --owner 0x90F79bf6EB2c4f870365E785982E1f101E93b906 "
        "--camera webcam:0 --lat 52.520008 --lon 13.404954"
    )
    parser = _add(verbs, common, "init", command, "make a device: key, sequence file, settings", example)
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


def _add_replay(verbs: "_SubParsersAction[ArgumentParser]", common: ArgumentParser, command: Command) -> None:
    says = "count what a video shows, offline; JSON on stdout"
    parser = _add(verbs, common, "replay", command, says, "replay street.mp4 --model yolox_nano.onnx")
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument("--model", default="yolox-nano", help="name in the model store, or path of an .onnx file")
    parser.add_argument(
        "--classes", default=_DEFAULT_CLASSES, help=f"what to count (default {_DEFAULT_CLASSES}; '' all)"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads for the model (default 1)")


def _add_model(
    verbs: "_SubParsersAction[ArgumentParser]", common: ArgumentParser, commands: Mapping[str, Command]
) -> None:
    model = verbs.add_parser("model", help="look after models", epilog="Example: cairn-edge model add yolox-nano")
    kinds = model.add_subparsers(required=True, metavar="COMMAND")
    says = "fetch a model by its pinned SHA-256, or copy a file in; test it"
    added = _add(kinds, common, "add", commands["model_add"], says, "model add yolox-nano")
    added.add_argument("model", metavar="NAME|FILE.onnx")
    _add(kinds, common, "list", commands["model_list"], "list the device's models", "model list")
    tested = _add(kinds, common, "test", commands["model_test"], "run a model's self-test", "model test yolox-nano")
    tested.add_argument("model", metavar="NAME|FILE.onnx")
