"""The seeing half as one thread: a pipeline runs until its source ends or it is told to stop."""

import queue
import threading
from contextlib import suppress

from edge.camera.frame import CameraError
from edge.detector.detection import ModelError
from edge.pipeline import Pipeline, PipelineStats
from edge.track import FinishedTrack


class Vision:
    """Runs a pipeline beside the main thread and hands over what it finishes."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Prepare; `start` begins."""
        self._pipeline = pipeline
        self._stop = threading.Event()
        self._finished: queue.SimpleQueue[FinishedTrack] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="vision", daemon=True)
        self._is_complete = False
        self._failure: CameraError | ModelError | None = None

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether the last track has been handed over for `take`."""
        return not self._thread.is_alive()

    @property
    def stats(self) -> PipelineStats:
        """The pipeline's counters."""
        return self._pipeline.stats

    @property
    def failure(self) -> str | None:
        """Why it ended too early, as a sentence; None while it runs and where the source simply ended."""
        if not self.is_over or self._is_complete:
            return None
        return str(self._failure or "the vision thread ended unexpectedly: see the traceback above and report it")

    def take(self) -> list[FinishedTrack]:
        """Return the tracks finished since the last call, in order."""
        tracks: list[FinishedTrack] = []
        with suppress(queue.Empty):
            while True:
                tracks.append(self._finished.get_nowait())
        return tracks

    def stop(self, *, at_most_s: float) -> None:
        """Ask the pipeline to end its tracks, and wait for them; a camera that hangs is left behind."""
        self._stop.set()
        self._thread.join(at_most_s)

    def _run(self) -> None:
        try:
            for track in self._pipeline.run(self._stop.is_set):
                self._finished.put(track)
            self._is_complete = True
        except (CameraError, ModelError) as error:
            self._failure = error
