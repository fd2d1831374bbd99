"""The dense YOLO layouts: ``yolox_raw``, ``yolo_v8``, ``yolo_v5``; see edge/detector/layouts.py."""

from collections.abc import Sequence

import numpy as np

from edge.detector.decoders.boxes import Boxes, IntArray, around, ensure_finite, ensure_scores, strongest
from edge.detector.decoders.grid import Grid
from edge.detector.decoders.matching import Wanted, match_all
from edge.detector.layouts import YoloV5, YoloV8, YoloxRaw
from edge.detector.manifest import InputSpec
from edge.detector.runner import Tensor
from edge.sight.boxes import FloatArray

# exp(12) strides is wider than any picture: a log beyond it would overflow and says nothing more.
_LOG_SIDE_MAX = 12.0


class YoloxRawDecoder:
    """Reads ``yolox_raw``."""

    leaves_doubles = True

    def __init__(self, layout: YoloxRaw, spec: InputSpec, classes: int) -> None:
        self._grid = Grid.of(spec.width, spec.height, layout.strides)
        self._wanted = (Wanted("boxes", (1, len(self._grid.points), 5 + classes)),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        ensure_finite(output)
        candidates, likely = _likely(output[0], score_min=score_min)
        labels, scores = _best_class(candidates)
        best = strongest(scores, score_min=score_min)
        chosen = likely[best]
        strides = self._grid.strides[chosen]
        centres = (candidates[best, :2] + self._grid.points[chosen]) * strides
        sides = np.exp(np.clip(candidates[best, 2:4], -_LOG_SIDE_MAX, _LOG_SIDE_MAX)) * strides
        return Boxes(corners=around(centres, sides), scores=scores[best], labels=labels[best])


class YoloV5Decoder:
    """Reads ``yolo_v5``."""

    leaves_doubles = True

    def __init__(self, layout: YoloV5, spec: InputSpec, classes: int) -> None:
        points = len(Grid.of(spec.width, spec.height, layout.strides).points)
        self._wanted = (Wanted("boxes", (1, points * layout.boxes_per_point, 5 + classes)),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        ensure_finite(output)
        candidates, _ = _likely(output[0], score_min=score_min)
        labels, scores = _best_class(candidates)
        best = strongest(scores, score_min=score_min)
        corners = around(candidates[best, :2], candidates[best, 2:4])
        return Boxes(corners=corners, scores=scores[best], labels=labels[best])


class YoloV8Decoder:
    """Reads ``yolo_v8``."""

    leaves_doubles = True

    def __init__(self, layout: YoloV8, spec: InputSpec, classes: int) -> None:
        points = len(Grid.of(spec.width, spec.height, layout.strides).points)
        self._wanted = (Wanted("boxes", (1, 4 + classes, points)),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        ensure_finite(output)
        columns = output[0]
        best_scores = columns[4:].max(axis=0)
        ensure_scores(best_scores)
        best = strongest(best_scores, score_min=score_min)
        chosen = columns[:, best].astype(np.float64)
        return Boxes(
            corners=around(chosen[:2].T, chosen[2:4].T),
            scores=np.clip(chosen[4:].max(axis=0), 0.0, 1.0),
            labels=chosen[4:].argmax(axis=0),
        )


def _likely(rows: Tensor, *, score_min: float) -> tuple[FloatArray, IntArray]:
    """Return the rows whose objectness passes, and where they stand: class scores are at most 1, so no other can."""
    objectness = rows[:, 4].copy()  # one walk over the rows instead of three
    ensure_scores(objectness)
    likely = np.flatnonzero(objectness >= score_min)
    candidates: FloatArray = rows[likely].astype(np.float64)
    ensure_scores(candidates[:, 5:])
    return candidates, likely


def _best_class(
    candidates: FloatArray,
) -> tuple[IntArray, FloatArray]:
    labels = candidates[:, 5:].argmax(axis=1)
    scores = candidates[:, 4] * candidates[np.arange(len(candidates)), 5 + labels]
    return labels, np.clip(scores, 0.0, 1.0)
