"""The seam between a model's output tensors and the rest of the detector."""

from collections.abc import Sequence
from typing import Protocol

from edge.detector.decoders.boxes import Boxes
from edge.detector.runner import Tensor


class Decoder(Protocol):
    """Reads one layout. One error family: ModelError."""

    @property
    def leaves_doubles(self) -> bool:
        """Whether one thing may still be found several times, so that suppression is needed."""
        ...

    def decode(self, outputs: Sequence[Tensor], *, score_min: float) -> Boxes:
        """Return the boxes of at least ``score_min``, best first, at most CANDIDATES_MAX, in input pixels.

        Raises:
            ModelError: other shapes than the layout's, outputs that cannot be told apart, NaN or infinity, scores
                outside 0..1, or a class that the model does not have.
        """
        ...
