"""``doctor``, ``status`` and ``replay``: what is wrong, how it is, and what would be counted."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Final

from edge.commands import status
from edge.commands.words import Verbs, add_command, later

_DEFAULT_CLASSES: Final = "person,bicycle,car,motorcycle,bus,truck"


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add ``doctor``, ``status`` and ``replay``."""
    _add_doctor(verbs, common)
    status.add_to(verbs, common)
    _add_replay(verbs, common)
    _add_bench(verbs, common)


def _add_doctor(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "doctor",
        later("edge.commands.doing.doctor:doctor"),
        says="check everything, say what to do",
        example="doctor --fix --dir ./door",
    )
    parser.add_argument("--fix", action="store_true", help="mend what is safe to mend, say what was done, look again")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of one line a check")


def _add_replay(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "replay",
        later("edge.commands.doing.replay:replay_recordings"),
        says="count what a video shows, offline; JSON on stdout. Lines, zones and masks: those of the device in --dir",
        example="replay street.mp4 --model yolox_nano.onnx",
    )
    parser.add_argument("video", metavar="VIDEO", nargs="?")
    parser.add_argument("--nmea", type=Path, metavar="FILE", help="tell what a satellite receiver's log holds, too")
    parser.add_argument("--model", default="yolox-nano", help="name in the model store, or path of an .onnx file")
    parser.add_argument(
        "--classes", default=_DEFAULT_CLASSES, help=f"what to count (default {_DEFAULT_CLASSES}; '' all)"
    )
    parser.add_argument(
        "--gate",
        choices=("auto", "off"),
        help="auto: the model rests while nothing moves; off: it sees every frame (default: as the device's settings)",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads for the model (default 1)")


def _add_bench(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "bench",
        later("edge.commands.doing.bench:bench"),
        says="measure the whole pipeline against raw inference on this machine; JSON on stdout",
        example="bench --video street.mp4 --seconds 20",
    )
    parser.add_argument("--model", default="yolox-nano", help="name in the model store, or path of an .onnx file")
    parser.add_argument("--video", metavar="VIDEO", help="look at this video instead of noise; decoding counts then")
    parser.add_argument("--seconds", type=float, default=12.0, help="how long to measure (default 12)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads for the model (default 1; 0: all cores but one)"
    )
