"""What ``cairn-edge bench`` does: the pipeline against raw inference on this machine, in turns."""

import json
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from edge.camera.closing import ClosesOnExit
from edge.camera.frame import Camera, Frame
from edge.camera.prefetch import PrefetchedCamera
from edge.camera.recorded import VideoFileCamera
from edge.commands.words import EXIT_WELL
from edge.detector.model import ModelDetector
from edge.detector.session import SessionOptions, spare_cores
from edge.memory import peak_rss_kib
from edge.sight.opening import open_named_model
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.tracker import Tracker
from protocol.units import UnixMs

_TURNS: Final = 3
_FRAME_MS: Final = 100
_SIZE_PX: Final = (768, 432)


def bench(options: Namespace) -> int:
    """Measure and print one JSON object."""
    opened = open_named_model(
        options.model, directory=options.dir, options=SessionOptions(intra_op_threads=options.threads)
    )
    detector = opened.detector
    video = None if options.video is None else Path(options.video).expanduser()
    turn_s = max(options.seconds, 1.0) / (2 * _TURNS)
    raw: list[float] = []
    looked: list[float] = []
    for turn in range(_TURNS):
        raw.append(_raw_fps(detector, turn_s))
        looked.append(_pipeline_fps(lambda: _camera(video), detector, turn_s))
        print(
            f"turn {turn + 1} of {_TURNS}: raw {raw[-1]:.1f}, pipeline {looked[-1]:.1f} frames a second",
            file=sys.stderr,
        )
    told = {
        "model": opened.manifest.name,
        "provider": detector.provider,
        "threads": options.threads or spare_cores(),
        "source": "noise" if video is None else video.name,
        "raw_fps": round(statistics.median(raw), 1),
        "pipeline_fps": round(statistics.median(looked), 1),
        "pipeline_to_raw": round(statistics.median(a / b for a, b in zip(looked, raw, strict=True)), 3),
        "peak_rss_kib": peak_rss_kib(),
    }
    print(json.dumps(told))
    return EXIT_WELL


class NoiseCamera(ClosesOnExit):
    """Sixteen pictures of noise, in turn, for ever: what a camera costs that costs nothing."""

    def __init__(self) -> None:
        width, height = _SIZE_PX
        noise = np.random.default_rng(1)
        self._pictures = [noise.integers(0, 255, (height, width, 3), np.uint8) for _ in range(16)]
        self._index = 0

    def read(self) -> Frame | None:
        """Return the next picture."""
        picture = self._pictures[self._index % len(self._pictures)]
        frame = Frame(picture, UnixMs(self._index * _FRAME_MS), self._index)
        self._index += 1
        return frame

    def close(self) -> None:
        """Nothing to let go of."""


def _camera(video: Path | None) -> Camera:
    return NoiseCamera() if video is None else PrefetchedCamera(VideoFileCamera(video, started_at_ms=UnixMs(0)))


def _raw_fps(detector: ModelDetector, lasting_s: float) -> float:
    began_s, runs = time.perf_counter(), 0
    while time.perf_counter() - began_s < lasting_s:
        detector.rehearse()
        runs += 1
    return runs / (time.perf_counter() - began_s)


def _pipeline_fps(open_camera: Callable[[], Camera], detector: ModelDetector, lasting_s: float) -> float:
    frames, began_s = 0, time.perf_counter()
    while time.perf_counter() - began_s < lasting_s:  # a short video is begun again
        with open_camera() as camera:
            pipeline = Pipeline(camera, detector, Tracker(), settings=PipelineSettings(is_gated=False))
            for _ in pipeline.batches(lambda: time.perf_counter() - began_s >= lasting_s):
                pass
            frames += pipeline.stats.inferred
    return frames / (time.perf_counter() - began_s)
