"""What ``cairn-edge replay`` does."""

import json
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from edge.commands.words import EXIT_WELL
from edge.detector.session import SessionOptions
from edge.settings import SETTINGS_FILE, load_settings
from edge.sight.looking import CameraSettings, PrivacySettings
from edge.sight.opening import class_ids_of, open_named_model
from edge.sight.pipeline import PipelineSettings
from edge.sight.replay import replay
from edge.sight.seeing import places_of
from edge.sight.stats import PipelineStats


def replay_video(options: Namespace) -> int:
    """Count what a recording shows; print it as JSON."""
    camera, privacy = _settings_of(options.dir)
    gate = options.gate or camera.gate
    words = [word.strip() for word in options.classes.split(",") if word.strip()]
    looking = PipelineSettings(class_ids=class_ids_of(words), masks=privacy.masks, is_gated=gate == "auto")
    counted = replay(
        Path(options.video).expanduser(),
        model=open_named_model(
            options.model, directory=options.dir, options=SessionOptions(intra_op_threads=options.threads)
        ),
        settings=looking,
        places=places_of(camera),
        monotonic_s=time.monotonic,
        report=_print_progress,
    )
    print(json.dumps(counted))
    return EXIT_WELL


def _settings_of(directory: Path) -> tuple[CameraSettings, PrivacySettings]:
    """Return the device's lines, zones and masks; none where there is no device."""
    if not (directory / SETTINGS_FILE).is_file():
        return CameraSettings(), PrivacySettings()
    settings = load_settings(directory, os.environ)
    return settings.camera, settings.privacy


def _print_progress(stats: PipelineStats, duration_ms: int) -> None:
    done = f"{100 * (stats.last_frame_at_ms or 0) // duration_ms} %" if duration_ms else f"{stats.frames} frames"
    print(f"replay: {done}, {stats.tracks} tracks so far", file=sys.stderr)
