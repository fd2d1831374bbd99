"""What ``cairn-edge replay`` does."""

import json
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from edge.commands.words import EXIT_WELL
from edge.detector.session import SessionOptions
from edge.sensors.replaying import replay_nmea
from edge.sensors.sensor import SensorError
from edge.settings import SETTINGS_FILE, load_settings
from edge.sight.looking import CameraSettings, PrivacySettings
from edge.sight.opening import class_ids_of, open_named_model
from edge.sight.pipeline import PipelineSettings
from edge.sight.replay import replay
from edge.sight.seeing import places_of
from edge.sight.stats import PipelineStats


def replay_recordings(options: Namespace) -> int:
    """Count what a video shows, and tell what a receiver's log holds; print it as one JSON object."""
    if options.video is None and options.nmea is None:
        raise SensorError("name a VIDEO, or a receiver's log with --nmea FILE, or both")
    told: dict[str, object] = {}
    if options.nmea is not None:
        rules = load_settings(options.dir, os.environ).position.rules() if _has_device(options.dir) else None
        told["gnss"] = replay_nmea(options.nmea.expanduser(), rules)
    if options.video is not None:
        told = {**_counted(options), **told}
    print(json.dumps(told))
    return EXIT_WELL


def _counted(options: Namespace) -> dict[str, object]:
    camera, privacy = _settings_of(options.dir)
    gate = options.gate or camera.gate
    words = [word.strip() for word in options.classes.split(",") if word.strip()]
    looking = PipelineSettings(class_ids=class_ids_of(words), masks=privacy.masks, is_gated=gate == "auto")
    return replay(
        Path(options.video).expanduser(),
        model=open_named_model(
            options.model, directory=options.dir, options=SessionOptions(intra_op_threads=options.threads)
        ),
        settings=looking,
        places=places_of(camera),
        monotonic_s=time.monotonic,
        report=_print_progress,
    )


def _has_device(directory: Path) -> bool:
    return (directory / SETTINGS_FILE).is_file()


def _settings_of(directory: Path) -> tuple[CameraSettings, PrivacySettings]:
    """Return the device's lines, zones and masks; none where there is no device."""
    if not _has_device(directory):
        return CameraSettings(), PrivacySettings()
    settings = load_settings(directory, os.environ)
    return settings.camera, settings.privacy


def _print_progress(stats: PipelineStats, duration_ms: int) -> None:
    done = f"{100 * (stats.last_frame_at_ms or 0) // duration_ms} %" if duration_ms else f"{stats.frames} frames"
    print(f"replay: {done}, {stats.tracks} tracks so far", file=sys.stderr)
