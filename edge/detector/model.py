"""A detector put together from its parts: frame -> input tensor -> runner -> decoder -> suppression -> detections.

The runner lets go of the interpreter lock, so on two cores it can work on one frame while the parts around it deal with
the frames before and after: `submit` and `result`, with a thread for the runner and two input tensors.
"""

import hashlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edge.detector.decoders.boxes import BOXES_MAX, Boxes, suppress
from edge.detector.decoders.choosing import constant_feeds_of, decoder_of
from edge.detector.detection import BgrFrame, Detection, ModelError
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import UNWANTED, InputSpec, ModelManifest
from edge.detector.runner import Feed, Skipped, Tensor
from edge.detector.runners.finding import open_runner
from edge.detector.session import SessionOptions
from protocol.units import PPM_ONE, Ppm


class ModelDetector:
    """A Detector for any model that a manifest describes. For one thread at a time."""

    def __init__(self, model: bytes, manifest: ModelManifest, *, options: SessionOptions | None = None) -> None:
        """Load and warm up ``model``, the bytes of a model file that ``manifest`` describes.

        The digest is taken of the very bytes that run; whether it is the manifest's is the model store's question.

        Raises:
            ModelError: the runner cannot be had, the bytes are no model, or one of another layout.
        """
        cv2.setNumThreads(1)  # its pool would compete with the runtime for the same cores
        self._class_ids = manifest.class_ids
        self._unwanted = np.flatnonzero(np.array(manifest.class_ids) == UNWANTED)
        self._score_min = manifest.thresholds.score_ppm / PPM_ONE
        self._iou_max = manifest.thresholds.nms_iou_ppm / PPM_ONE
        self._input = InputTensor(manifest.input)
        self._ahead = _Ahead(self._input, manifest.input)
        self._took_us = 0
        self._decoder = decoder_of(manifest)
        constants = constant_feeds_of(manifest)
        self._constants = [tensor for _, tensor in constants]
        picture = Feed("picture", manifest.input.shape, manifest.input.dtype)
        self._runner, self._skipped = open_runner(
            model,
            (picture, *(feed for feed, _ in constants)),
            options or SessionOptions(),
            named_by_manifest=manifest.runner,
        )
        self._boxes_of(self._run(picture.blank()))  # a wrong layout shows now, not at the first frame
        self._model_digest = hashlib.sha256(model).digest()

    @property
    def model_digest(self) -> bytes:
        """SHA-256 of the model file, 32 bytes."""
        return self._model_digest

    @property
    def provider(self) -> str:
        """Who really runs the model, in the runtime's words."""
        return self._runner.provider

    @property
    def skipped(self) -> Skipped:
        """The runners and providers tried first that do not run here: (name, reason), in the order of trying."""
        return self._skipped

    def detect(self, frame_bgr: BgrFrame) -> tuple[Detection, ...]:
        """Return the detections, most confident first; see ``Detector.detect``."""
        began_ns = time.perf_counter_ns()
        outputs = self._run(self._input.fill(frame_bgr))
        found = self._detections_of(self._boxes_of(outputs), self._input, frame_bgr.shape)
        self._took_us = (time.perf_counter_ns() - began_ns) // 1000
        return found

    @property
    def took_us(self) -> int:
        """How long the last frame took."""
        return self._took_us

    def rehearse(self) -> None:
        """Run the model once on whatever its input holds and nothing else: what every frame costs at least."""
        self._run(self._input.present)

    def submit(self, frame_bgr: BgrFrame) -> None:
        """Begin to work on a frame; see ``AheadDetector.submit``."""
        began_ns = time.perf_counter_ns()
        self._ahead.begin(self._run)
        picture = self._ahead.free[0].fill(frame_bgr)
        tensor = self._ahead.free.popleft()
        filled_ns = time.perf_counter_ns() - began_ns
        self._ahead.waiting.put(_Submitted(tensor, picture, frame_bgr.shape, filled_ns))

    def result(self) -> tuple[Detection, ...]:
        """Return what was found in the frame submitted first; see ``AheadDetector.result``."""
        done = self._ahead.done.get()
        self._ahead.free.append(done.submitted.tensor)
        if isinstance(done.outputs, ModelError):
            raise done.outputs
        began_ns = time.perf_counter_ns()
        found = self._detections_of(self._boxes_of(done.outputs), done.submitted.tensor, done.submitted.frame_shape)
        self._took_us = (done.submitted.filled_ns + done.ran_ns + time.perf_counter_ns() - began_ns) // 1000
        return found

    def _run(self, picture: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._runner.run([picture, *self._constants]).values())

    def _boxes_of(self, outputs: tuple[Tensor, ...]) -> Boxes:
        """Return what the model has found, in the input tensor's pixels, each thing once."""
        boxes = self._decoder.decode(outputs, score_min=self._score_min)
        if self._unwanted.size:
            boxes = boxes.only(~np.isin(boxes.labels, self._unwanted))
        if self._decoder.leaves_doubles:
            return suppress(boxes, iou_max=self._iou_max)
        return boxes.only(np.arange(min(len(boxes.scores), BOXES_MAX)))

    def _detections_of(self, boxes: Boxes, tensor: InputTensor, frame_shape: tuple[int, ...]) -> tuple[Detection, ...]:
        """Bring the boxes into the frame's pixels; what lies outside the frame is cut, then dropped if empty."""
        height, width = frame_shape[:2]
        limit = np.array([width, height, width, height])
        corners = np.clip(np.rint(tensor.to_frame_px(boxes.corners)), 0, limit).astype(np.int64)
        found = []
        for (left, top, right, bottom), score, label in zip(
            corners.tolist(), boxes.scores.tolist(), boxes.labels.tolist(), strict=True
        ):
            if left < right and top < bottom:
                confidence_ppm = Ppm(int(score * PPM_ONE))
                found.append(Detection(self._class_ids[label], confidence_ppm, (left, top, right, bottom)))
        return tuple(found)


@dataclass(frozen=True, slots=True, eq=False)
class _Submitted:
    """A frame on its way to the runner."""

    tensor: InputTensor  # it holds the picture, and knows where in the frame it was
    picture: Tensor
    frame_shape: tuple[int, ...]
    filled_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class _Done:
    """What the runner has made of it."""

    submitted: _Submitted
    outputs: tuple[Tensor, ...] | ModelError
    ran_ns: int


class _Ahead:
    """The runner's own thread and what goes to and from it; the thread begins with the first frame."""

    def __init__(self, first: InputTensor, spec: InputSpec) -> None:
        self._spec = spec
        self.free = deque([first])  # whoever works ahead does not `detect` in between
        self.waiting: queue.SimpleQueue[_Submitted] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[_Done] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, run: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        """Have the thread work, if it does not yet."""
        if self._thread is None:
            self.free.append(InputTensor(self._spec))
            self._thread = threading.Thread(target=self._work, args=(run,), name="inference", daemon=True)
            self._thread.start()

    def _work(self, run: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        while True:
            submitted = self.waiting.get()
            began_ns = time.perf_counter_ns()
            outputs: tuple[Tensor, ...] | ModelError
            try:
                outputs = run(submitted.picture)
            except ModelError as error:
                outputs = error
            self.done.put(_Done(submitted, outputs, time.perf_counter_ns() - began_ns))
