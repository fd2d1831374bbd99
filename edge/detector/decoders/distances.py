"""Layouts that give each side of a box as a distribution over distances: ``nanodet``, ``picodet``, ``nanodet_plus``."""

from collections.abc import Sequence

import numpy as np

from edge.detector.decoders.boxes import Boxes, ensure_finite, ensure_scores, sigmoid, softmax, strongest
from edge.detector.decoders.grid import Grid, points_of
from edge.detector.decoders.matching import Wanted, match_all
from edge.detector.layouts import NanoDet, NanoDetPlus, PicoDet
from edge.detector.manifest import InputSpec
from edge.detector.runner import Tensor

# Where a distance is measured from, in strides from the cell's top left corner.
_MIDDLE, _CORNER = 0.5, 0.0


class DistanceMapsDecoder:
    """Reads ``nanodet`` and ``picodet``: two maps a stride, told apart by their shapes, in any order."""

    leaves_doubles = True

    def __init__(self, layout: NanoDet | PicoDet, spec: InputSpec, classes: int) -> None:
        self._reading = _Reading(layout, spec, from_corner=_MIDDLE)
        counts = [(stride, points_of(spec.width, spec.height, stride)) for stride in layout.strides]
        bins = 4 * (layout.reg_max + 1)
        self._strides = len(counts)
        self._wanted = (
            *(Wanted(f"class scores of stride {s}", (1, n, classes), is_batch_optional=True) for s, n in counts),
            *(Wanted(f"distances of stride {s}", (1, n, bins), is_batch_optional=True) for s, n in counts),
        )

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        maps = match_all(outputs, self._wanted)
        scores = np.concatenate([each[0] for each in maps[: self._strides]])
        distances = np.concatenate([each[0] for each in maps[self._strides :]])
        return self._reading.boxes(scores, distances, score_min=score_min)


class NanoDetPlusDecoder:
    """Reads ``nanodet_plus``: one tensor, scores before distances."""

    leaves_doubles = True

    def __init__(self, layout: NanoDetPlus, spec: InputSpec, classes: int) -> None:
        self._reading = _Reading(layout, spec, from_corner=_CORNER)
        self._classes = classes
        points = sum(points_of(spec.width, spec.height, stride) for stride in layout.strides)
        self._wanted = (Wanted("scores and distances", (1, points, classes + 4 * (layout.reg_max + 1))),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        scores, distances = np.split(output[0], [self._classes], axis=1)
        return self._reading.boxes(scores, distances, score_min=score_min)


class _Reading:
    """What both have in common: from scores and distributions of all grid points to boxes."""

    def __init__(self, layout: NanoDet | NanoDetPlus | PicoDet, spec: InputSpec, *, from_corner: float) -> None:
        self._grid = Grid.of(spec.width, spec.height, layout.strides)
        self._from_corner = from_corner
        self._bins = np.arange(layout.reg_max + 1, dtype=np.float64)
        self._needs_sigmoid = layout.activation == "sigmoid"

    def boxes(self, class_scores: Tensor, distances: Tensor, *, score_min: float) -> Boxes:
        ensure_finite(class_scores, distances)
        scores = class_scores.max(axis=1).astype(np.float64)
        if self._needs_sigmoid:
            scores = sigmoid(scores)
        ensure_scores(scores)
        best = strongest(scores, score_min=score_min)
        bins = distances[best].astype(np.float64).reshape(len(best), 4, len(self._bins))
        strides = self._grid.strides[best]
        points = (self._grid.points[best] + self._from_corner) * strides
        reach = softmax(bins) @ self._bins * strides
        return Boxes(
            corners=np.concatenate([points - reach[:, :2], points + reach[:, 2:]], axis=1),
            scores=np.clip(scores[best], 0.0, 1.0),
            labels=class_scores[best].argmax(axis=1),
        )
