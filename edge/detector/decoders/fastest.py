"""The ``fastestdet`` layout: one map, one box a cell."""

from collections.abc import Sequence

import numpy as np

from edge.detector.decoders.boxes import Boxes, around, ensure_finite, ensure_scores, sigmoid, strongest
from edge.detector.decoders.grid import Grid
from edge.detector.decoders.matching import Wanted, match_all
from edge.detector.layouts import FastestDet
from edge.detector.manifest import InputSpec
from edge.detector.runner import Tensor

# How much objectness and class say in the score; the author's choice.
_OBJECT_POWER, _CLASS_POWER = 0.6, 0.4


class FastestDetDecoder:
    """Reads ``fastestdet``."""

    leaves_doubles = True

    def __init__(self, layout: FastestDet, spec: InputSpec, classes: int) -> None:
        self._stride = layout.stride
        self._grid = Grid.of(spec.width, spec.height, (layout.stride,))
        self._sides = np.array([spec.width, spec.height], dtype=np.float64)
        rows, columns = spec.height // layout.stride, spec.width // layout.stride
        self._wanted = (Wanted("map", (1, 5 + classes, rows, columns)),)

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        (output,) = match_all(outputs, self._wanted)
        ensure_finite(output)
        cells = output[0].reshape(output.shape[1], -1).astype(np.float64)
        objectness, class_scores = cells[0], cells[5:].max(axis=0)
        ensure_scores(objectness)
        ensure_scores(class_scores)
        scores = np.clip(objectness, 0.0, 1.0) ** _OBJECT_POWER * np.clip(class_scores, 0.0, 1.0) ** _CLASS_POWER
        best = strongest(scores, score_min=score_min)
        centres = (self._grid.points[best] + np.tanh(cells[1:3, best].T)) * self._stride
        sides = sigmoid(cells[3:5, best].T) * self._sides
        return Boxes(corners=around(centres, sides), scores=scores[best], labels=cells[5:, best].argmax(axis=0))
