"""The trial of one model, in a process of its own: it may crash, hang or eat the memory, and nothing else is harmed.

    python -m edge.models.trial models/yolox-nano/0123456789abcdef/yolox-nano.onnx --threads 1

Loads the file as its manifest says, runs its self-test, and measures its pace on the self-test picture. Exit status 0
and one JSON line on stdout (``frame_ms``, ``provider``); 1 and one sentence on stderr where it fails.
"""

import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from edge.detector.selftest import load_picture
from edge.detector.session import SessionOptions
from edge.errors import EdgeError
from edge.models.errands import ErrandAnswer
from edge.models.opening import OpenedModel, open_model

_FRAMES: Final = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Try one model; return the exit status."""
    parser = ArgumentParser(prog="python -m edge.models.trial", description="Try one model file.")
    parser.add_argument("model", type=Path, metavar="FILE.onnx")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runner", default="", metavar="NAME", help="in the place of the one its manifest names")
    parser.add_argument("--fallback", action="store_true", help="let ONNX Runtime stand in for a missing runner")
    options = parser.parse_args(arguments)
    try:
        how = SessionOptions(
            intra_op_threads=options.threads, runner=options.runner, is_fallback_allowed=options.fallback
        )
        opened = open_model(options.model, options=how)
        answer = ErrandAnswer(_frame_ms(opened), opened.detector.provider)
    except EdgeError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
    return 0


def _frame_ms(opened: OpenedModel) -> int:
    """Return the median time of a frame, rounded up."""
    picture = load_picture(opened.manifest_folder / opened.manifest.selftest.image)
    times_ns = []
    for _ in range(_FRAMES):
        began_ns = time.perf_counter_ns()
        opened.detector.detect(picture)
        times_ns.append(time.perf_counter_ns() - began_ns)
    return int(statistics.median(times_ns)) // 1_000_000 + 1


if __name__ == "__main__":
    sys.exit(main())
