"""The ``rf_detr`` layout: queries with a box and a logit for each class."""

from collections.abc import Sequence

import numpy as np

from edge.detector.decoders.boxes import Boxes, around, ensure_finite, sigmoid, softmax, strongest
from edge.detector.decoders.matching import Wanted, match_all
from edge.detector.layouts import RfDetr
from edge.detector.manifest import InputSpec
from edge.detector.runner import Tensor


class RfDetrDecoder:
    """Reads ``rf_detr``."""

    leaves_doubles = False

    def __init__(self, layout: RfDetr, spec: InputSpec, classes: int) -> None:
        self._activation = softmax if layout.activation == "softmax" else sigmoid
        first = 1 if layout.background == "first" else 0
        self._words = slice(first, first + classes)  # the background takes part in the softmax, not in the answer
        columns = classes + (layout.background != "none")
        self._sides = np.array([spec.width, spec.height] * 2, dtype=np.float64)
        boxes_at, logits_at = (0, 1), (0, 1)
        if columns == 4 and layout.boxes_first is not None:
            # Four columns have the shape of the boxes: only the order, if the manifest tells it, says which is which.
            boxes_at, logits_at = ((0, 2), (1, 2)) if layout.boxes_first else ((1, 2), (0, 2))
        self._wanted = (
            Wanted("boxes", (1, "queries", 4), twin=boxes_at),
            Wanted("logits", (1, "queries", columns), twin=logits_at),
        )

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """See ``Decoder.decode``."""
        boxes, logits = match_all(outputs, self._wanted)
        ensure_finite(boxes, logits)
        scores = self._activation(logits[0].astype(np.float64))[:, self._words]
        best_scores = scores.max(axis=1)
        best = strongest(best_scores, score_min=score_min)
        sized = boxes[0, best].astype(np.float64) * self._sides
        return Boxes(
            corners=around(sized[:, :2], sized[:, 2:]), scores=best_scores[best], labels=scores[best].argmax(axis=1)
        )
