"""Which of a model's outputs is which: told by shape and kind of number, never by name.

What is not plain is refused: an output too many or too few, one that fits two roles, two that fit one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.detector.detection import ModelError
from edge.detector.runner import Tensor

_READ_FLOATS = (np.dtype(np.float32), np.dtype(np.float16))


@dataclass(frozen=True, slots=True)
class Wanted:
    """One output that a layout has."""

    role: str  # for error sentences
    shape: tuple[int | str, ...]  # a word stands for any length, the same one wherever the word stands
    kind: Literal["float", "integer", "number"] = "float"
    is_optional: bool = False
    is_batch_optional: bool = False  # whether the leading axis, of length 1, may be missing
    twin: tuple[int, int] = (0, 1)  # (which, of how many) outputs of this shape, in the file's order


def match(outputs: Sequence[Tensor], wanted: Sequence[Wanted]) -> list[Tensor | None]:
    """Return for each of ``wanted`` its output, with its leading axis, float16 widened; None for an optional one.

    Raises:
        ModelError: the outputs are not those of the layout, or cannot be told apart.
    """
    chosen: list[int | None] = []
    for each in wanted:
        fitting = [index for index, output in enumerate(outputs) if _fits(output, each)]
        which, of_how_many = each.twin
        if len(fitting) > of_how_many:
            raise ModelError(
                f"The model's {_words(outputs)} do not tell which is the {each.role}: two have the same shape, so this "
                "file cannot be read safely; use an export with another input size or number of classes."
            )
        if len(fitting) < of_how_many and not each.is_optional:
            raise _mismatch(outputs, wanted)
        chosen.append(fitting[which] if fitting else None)
    taken = [index for index in chosen if index is not None]
    if len(set(taken)) != len(taken) or len(taken) != len(outputs) or not _agree(outputs, wanted, chosen):
        raise _mismatch(outputs, wanted)
    return [
        None if index is None else _widened(outputs[index], each) for each, index in zip(wanted, chosen, strict=True)
    ]


def match_all(outputs: Sequence[Tensor], wanted: Sequence[Wanted]) -> list[Tensor]:
    """As `match`, for layouts without optional outputs.

    Raises:
        ModelError: see `match`.
    """
    return [tensor for tensor in match(outputs, wanted) if tensor is not None]


def _shape_of(output: Tensor, wanted: Wanted) -> tuple[int, ...]:
    is_bare = wanted.is_batch_optional and output.ndim == len(wanted.shape) - 1
    return (1, *output.shape) if is_bare else output.shape


def _fits(output: Tensor, wanted: Wanted) -> bool:
    shape = _shape_of(output, wanted)
    is_kind = {"float": output.dtype.kind == "f", "integer": output.dtype.kind in "iu", "number": True}[wanted.kind]
    return (
        is_kind
        and len(shape) == len(wanted.shape)
        and all(isinstance(want, str) or have == want for have, want in zip(shape, wanted.shape, strict=True))
    )


def _agree(outputs: Sequence[Tensor], wanted: Sequence[Wanted], chosen: Sequence[int | None]) -> bool:
    """Whether a word stands for the same length in all the chosen outputs."""
    lengths: dict[str, int] = {}
    for each, index in zip(wanted, chosen, strict=True):
        if index is not None:
            for have, want in zip(_shape_of(outputs[index], each), each.shape, strict=True):
                if isinstance(want, str) and lengths.setdefault(want, have) != have:
                    return False
    return True


def _widened(output: Tensor, wanted: Wanted) -> Tensor:
    if output.dtype.kind == "f" and output.dtype not in _READ_FLOATS:
        raise ModelError(
            f"The model answers in {output.dtype}, only float32 and float16 are read: use the FP32 export."
        )
    shaped = output.reshape(_shape_of(output, wanted))
    return shaped.astype(np.float32) if output.dtype == np.float16 else shaped


def _mismatch(outputs: Sequence[Tensor], wanted: Sequence[Wanted]) -> ModelError:
    promised = " and ".join(
        f"{each.role} [{', '.join(map(str, each.shape))}]" for each in wanted if not each.is_optional
    )
    return ModelError(
        f"The model answers with {_words(outputs)}, the manifest promises {promised}: check strides, labels, adapter "
        "and input size, or use the manifest of this model."
    )


def _words(outputs: Sequence[Tensor]) -> str:
    return " and ".join(f"{output.dtype} {list(output.shape)}" for output in outputs) or "nothing"
