"""The YOLOX adapter: frame -> tensor -> ONNX Runtime -> boxes -> detections."""

import hashlib

import cv2
import numpy as np

from edge.detector.decode import Boxes, Grid, decode, suppress
from edge.detector.detection import BgrFrame, Detection
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import ModelManifest
from edge.detector.session import Session, SessionOptions
from protocol.units import PPM_ONE, Ppm


class YoloxDetector:
    """A Detector for models whose manifest says ``adapter = "yolox_raw"``. For one thread at a time."""

    def __init__(self, model: bytes, manifest: ModelManifest, *, options: SessionOptions | None = None) -> None:
        """Load and warm up ``model``, the bytes of an ONNX file that ``manifest`` describes.

        The digest is taken of the very bytes that run; whether it is the manifest's is the model store's question.

        Raises:
            ModelError: the bytes are no model, or one of another shape.
        """
        cv2.setNumThreads(1)  # its pool would compete with the runtime for the same cores
        self._class_ids = manifest.class_ids
        self._score_min = manifest.thresholds.score_ppm / PPM_ONE
        self._iou_max = manifest.thresholds.nms_iou_ppm / PPM_ONE
        self._tensor = InputTensor(manifest.input)
        self._grid = Grid.of(manifest.input.width, manifest.input.height, manifest.output.strides)
        self._session = Session(
            model,
            input_shape=manifest.input_shape,
            output_shape=manifest.output_shape,
            options=options or SessionOptions(),
        )
        self._model_digest = hashlib.sha256(model).digest()

    @property
    def model_digest(self) -> bytes:
        """SHA-256 of the model file, 32 bytes."""
        return self._model_digest

    @property
    def provider(self) -> str:
        """The execution provider that ran the warm-up."""
        return self._session.provider

    def detect(self, frame_bgr: BgrFrame) -> tuple[Detection, ...]:
        """Return the detections, most confident first; see ``Detector.detect``."""
        output = self._session.run(self._tensor.fill(frame_bgr))
        boxes = suppress(decode(output, self._grid, score_min=self._score_min), iou_max=self._iou_max)
        return self._detections_of(boxes, frame_bgr)

    def _detections_of(self, boxes: Boxes, frame_bgr: BgrFrame) -> tuple[Detection, ...]:
        """Bring the boxes into the frame's pixels; what lies outside the frame is cut, then dropped if empty."""
        height, width = frame_bgr.shape[:2]
        scale = np.array(self._tensor.frame_px_per_input_px * 2)
        limit = np.array([width, height, width, height])
        corners = np.clip(np.rint(boxes.corners * scale), 0, limit).astype(np.int64)
        found = []
        for (left, top, right, bottom), score, label in zip(
            corners.tolist(), boxes.scores.tolist(), boxes.labels.tolist(), strict=True
        ):
            if left < right and top < bottom:
                confidence_ppm = Ppm(int(score * PPM_ONE))
                found.append(Detection(self._class_ids[label], confidence_ppm, (left, top, right, bottom)))
        return tuple(found)
