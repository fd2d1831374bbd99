"""What ``cairn-edge replay`` does."""

import json
import sys
import time
from argparse import Namespace
from pathlib import Path

from edge.commands.words import EXIT_WELL
from edge.opening import class_ids_of, open_named_model
from edge.pipeline import PipelineStats
from edge.replay import replay


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
