"""Layouts that list finished boxes: ``yolo_end2end``, ``picodet_nms``, ``detr``, ``tf_ssd``."""

from collections.abc import Sequence

import numpy as np

from edge.detector.decoders.boxes import Boxes, ensure_finite, ensure_scores, strongest
from edge.detector.decoders.matching import Wanted, match, match_all
from edge.detector.detection import ModelError
from edge.detector.layouts import TfSsd
from edge.detector.manifest import InputSpec
from edge.detector.runner import Tensor
from edge.sight.boxes import FloatArray


class YoloEnd2EndDecoder:
    """Reads ``yolo_end2end``."""

    leaves_doubles = False

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._wanted = (Wanted("boxes", (1, "boxes", 6)),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        rows = output[0].astype(np.float64)
        return _listed(rows[:, :4], rows[:, 4], rows[:, 5], classes=self._classes, score_min=score_min)


class PicoDetNmsDecoder:
    """Reads ``picodet_nms``."""

    leaves_doubles = False

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._wanted = (
            Wanted("boxes", ("boxes", 6)),
            Wanted("count", (1,), kind="number", is_optional=True),
        )

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        boxes, count = match(outputs, self._wanted)
        rows = np.empty((0, 6)) if boxes is None else boxes.astype(np.float64)
        rows = rows if count is None else rows[: _count_of(count, len(rows))]
        return _listed(rows[:, 2:], rows[:, 1], rows[:, 0], classes=self._classes, score_min=score_min)


class DetrDecoder:
    """Reads ``detr``."""

    leaves_doubles = False

    def __init__(self, classes: int) -> None:
        self._classes = classes
        self._wanted = (
            Wanted("labels", (1, "queries"), kind="integer"),
            Wanted("boxes", (1, "queries", 4)),
            Wanted("scores", (1, "queries")),
        )

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        labels, boxes, scores = (each[0].astype(np.float64) for each in match_all(outputs, self._wanted))
        return _listed(boxes, scores, labels, classes=self._classes, score_min=score_min)


class TfSsdDecoder:
    """Reads ``tf_ssd``."""

    leaves_doubles = False

    def __init__(self, layout: TfSsd, spec: InputSpec, classes: int) -> None:
        self._classes, self._first_class = classes, layout.first_class
        self._sides = np.array([spec.width, spec.height, spec.width, spec.height], dtype=np.float64)
        classes_at, scores_at = (0, 1) if layout.classes_first else (1, 0)
        self._wanted = (
            Wanted("boxes", (1, "boxes", 4)),
            Wanted("classes", (1, "boxes"), kind="number", twin=(classes_at, 2)),
            Wanted("scores", (1, "boxes"), kind="number", twin=(scores_at, 2)),
            Wanted("count", (1,), kind="number"),
        )

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        boxes, labels, scores, count = match_all(outputs, self._wanted)
        kept = _count_of(count, boxes.shape[1])
        corners = boxes[0, :kept].astype(np.float64)[:, [1, 0, 3, 2]] * self._sides
        numbers = labels[0, :kept].astype(np.float64) - self._first_class
        return _listed(
            corners, scores[0, :kept].astype(np.float64), numbers, classes=self._classes, score_min=score_min
        )


def _listed(corners: FloatArray, scores: FloatArray, labels: FloatArray, *, classes: int, score_min: float) -> Boxes:
    """Return the rows that pass; padding rows, whose score is 0, may say anything else."""
    ensure_finite(corners, scores, labels)
    ensure_scores(scores)
    best = strongest(scores, score_min=score_min)
    numbers = labels[best]
    strange = numbers[(numbers != np.rint(numbers)) | (numbers < 0) | (numbers >= classes)]
    if strange.size:
        raise ModelError(
            f"The model answers with class {strange[0]:g}, the manifest counts classes 0 to {classes - 1}: check "
            "labels and the order of outputs in [output], or use the manifest of this model."
        )
    return Boxes(corners=corners[best], scores=np.clip(scores[best], 0.0, 1.0), labels=numbers.astype(np.int64))


def _count_of(count: Tensor, rows: int) -> int:
    number = float(count[0])
    if not 0 <= number <= rows or number != int(number):
        raise ModelError(
            f"The model says that {number:g} of its {rows} rows count: the file is broken; add the model again."
        )
    return int(number)
