"""A detector put together from its parts: frame -> input tensor -> runner -> decoder -> suppression -> detections."""

import hashlib

import cv2
import numpy as np

from edge.detector.decoders.boxes import BOXES_MAX, Boxes, suppress
from edge.detector.decoders.choosing import constant_feeds_of, decoder_of
from edge.detector.detection import BgrFrame, Detection
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import UNWANTED, ModelManifest
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
        self._boxes_of(picture.blank())  # a wrong layout shows now, not at the first frame
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
        return self._detections_of(self._boxes_of(self._input.fill(frame_bgr)), frame_bgr)

    def _boxes_of(self, picture: Tensor) -> Boxes:
        """Return what the model finds, in the input tensor's pixels, each thing once."""
        outputs = self._runner.run([picture, *self._constants])
        boxes = self._decoder.decode(tuple(outputs.values()), score_min=self._score_min)
        if self._unwanted.size:
            boxes = boxes.only(~np.isin(boxes.labels, self._unwanted))
        if self._decoder.leaves_doubles:
            return suppress(boxes, iou_max=self._iou_max)
        return boxes.only(np.arange(min(len(boxes.scores), BOXES_MAX)))

    def _detections_of(self, boxes: Boxes, frame_bgr: BgrFrame) -> tuple[Detection, ...]:
        """Bring the boxes into the frame's pixels; what lies outside the frame is cut, then dropped if empty."""
        height, width = frame_bgr.shape[:2]
        limit = np.array([width, height, width, height])
        corners = np.clip(np.rint(self._input.to_frame_px(boxes.corners)), 0, limit).astype(np.int64)
        found = []
        for (left, top, right, bottom), score, label in zip(
            corners.tolist(), boxes.scores.tolist(), boxes.labels.tolist(), strict=True
        ):
            if left < right and top < bottom:
                confidence_ppm = Ppm(int(score * PPM_ONE))
                found.append(Detection(self._class_ids[label], confidence_ppm, (left, top, right, bottom)))
        return tuple(found)
