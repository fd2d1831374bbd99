"""The seam behind which every inference runtime stands: tensors in, the model's named outputs back.

A runner is found by its name (edge/detector/runners/finding.py). Another package adds one, for NCNN or a Hailo chip,
with an entry point of the group ``cairn.runners`` that points at an `OpenRunner`; nothing else changes, because
colours, boxes and classes are the detector's business, not the runner's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edge.detector.session import SessionOptions

Tensor = npt.NDArray[Any]
Skipped = tuple[tuple[str, str], ...]  # what was tried before and why it does not run: (provider or runner, reason)


@dataclass(frozen=True, slots=True)
class Feed:
    """One tensor that the detector will give to the model. The model's own name for it is the runner's to find."""

    role: str  # for error sentences: "picture", "orig_target_sizes", ...
    shape: tuple[int, ...]
    dtype: str  # in numpy's words: "float32", "int64", ...

    def blank(self) -> Tensor:
        """Return the tensor filled with ones, as a warm-up needs it: a size of 0 might divide by it."""
        return np.ones(self.shape, dtype=self.dtype)


class Runner(Protocol):
    """One loaded model that has run once. One error family: ModelError."""

    @property
    def provider(self) -> str:
        """Who really runs the model, in the runtime's words: ``CPUExecutionProvider``."""
        ...

    @property
    def skipped(self) -> Skipped:
        """What was tried first and does not run here, in the order of trying."""
        ...

    def run(self, tensors: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """Return the model's outputs by the names the file gives them; the next run leaves them as they are.

        Args:
            tensors: in the order of the feeds that the runner was opened with; not modified, not kept.

        Raises:
            ModelError: the runtime refused.
        """
        ...


class OpenRunner(Protocol):
    """What an entry point of ``cairn.runners`` is: it loads a model."""

    def __call__(self, model: bytes, feeds: Sequence[Feed], options: SessionOptions) -> Runner:
        """Load ``model``, the bytes of the model file, and run it once on blank feeds.

        Raises:
            ModelError: not a model of this runtime, it wants other tensors than ``feeds``, or it does not run.
        """
        ...
