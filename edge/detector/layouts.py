"""The output layouts that a manifest can name: its ``[output]`` table, one struct for each adapter.

C is the number of labels, N the number of grid points over the strides in their order, rows before columns.
"Pixels" are those of the input tensor. Which output of a file is which is told by its shape, never by its name;
where two layouts or two outputs share a shape, the self-test picture decides. Each layout is read back in
tests/support/slow_decoders.py by a second decoder, written in plain Python from these descriptions.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Strides = Annotated[tuple[Annotated[int, Meta(ge=1, le=128)], ...], Meta(min_length=1, max_length=8)]
_RegMax = Annotated[int, Meta(ge=1, le=64)]
_OfThree: tuple[int, ...] = (8, 16, 32)
_OfFour: tuple[int, ...] = (8, 16, 32, 64)


class _Output(Struct, frozen=True, forbid_unknown_fields=True, tag_field="adapter"):
    """What all have in common: a closed table, told apart by ``adapter``."""


class YoloxRaw(_Output, frozen=True, tag="yolox_raw"):
    """[1, N, 5 + C]: centre as offset from the grid point in strides, log sides in strides, objectness, class scores.

    Scores have been through their sigmoid; grid and exp have not been applied. YOLOX.
    """

    strides: Strides


class YoloV8(_Output, frozen=True, tag="yolo_v8"):
    """[1, 4 + C, N]: centre and sides in pixels, class scores after sigmoid. YOLOv8 and its descendants."""

    strides: Strides = _OfThree


class YoloV5(_Output, frozen=True, tag="yolo_v5"):
    """[1, N * boxes_per_point, 5 + C]: centre and sides in pixels, objectness, class scores after sigmoid.

    YOLOv5 and YOLOv7 answer with three boxes a grid point; YOLOv6 and a YOLOX that decodes itself with one,
    which has the shape of ``yolox_raw``.
    """

    strides: Strides = _OfThree
    boxes_per_point: Annotated[int, Meta(ge=1, le=9)] = 3


class YoloEnd2End(_Output, frozen=True, tag="yolo_end2end"):
    """[1, any, 6]: left, top, right, bottom in pixels, score, class. Doubles are already gone. YOLOv10, YOLO26."""


class NanoDet(_Output, frozen=True, tag="nanodet"):
    """For each stride, in any order, [1, n, C] class scores and [1, n, 4 * (reg_max + 1)] distances.

    A distance (to left, top, right, bottom) is the mean of the softmax over its reg_max + 1 bins, in strides,
    measured from the middle of the grid cell. The leading 1 may be missing. NanoDet before Plus.
    """

    strides: Strides = _OfThree
    reg_max: _RegMax = 7
    activation: Literal["none", "sigmoid"] = "none"  # what the class scores still need


class NanoDetPlus(_Output, frozen=True, tag="nanodet_plus"):
    """[1, N, C + 4 * (reg_max + 1)]: class scores and distances as in ``nanodet``, from the cell's top left corner."""

    strides: Strides = _OfFour
    reg_max: _RegMax = 7
    activation: Literal["none", "sigmoid"] = "none"


class PicoDet(_Output, frozen=True, tag="picodet"):
    """Exported without post-processing: as ``nanodet``, over four strides. PP-PicoDet."""

    strides: Strides = _OfFour
    reg_max: _RegMax = 7
    activation: Literal["none", "sigmoid"] = "none"


class PicoDetNms(_Output, frozen=True, tag="picodet_nms"):
    """[any, 6]: class, score, left, top, right, bottom in pixels; perhaps also [1], how many rows count.

    Exported with fused suppression. PP-PicoDet and other PaddleDetection models.
    """

    scale_factor_input: bool = False  # whether the file also asks for scale_factor [1, 2], which is set to 1


class Detr(_Output, frozen=True, tag="detr"):
    """[1, Q] labels (integers), [1, Q, 4] left, top, right, bottom, [1, Q] scores. D-FINE, DEIM, RT-DETR.

    The file also asks for orig_target_sizes [1, 2]; it gets the width and height of the input tensor, so the
    corners come in pixels.
    """

    sizes_dtype: Literal["int64", "int32", "float32"] = "int64"


class RfDetr(_Output, frozen=True, tag="rf_detr", kw_only=True):
    """[1, Q, 4] centre and sides as parts of the input's width and height, [1, Q, columns] logits. RF-DETR, DETR.

    ``columns`` is C, and one more where a background column stands first or last. A query is one box: that of
    its best class.
    """

    activation: Literal["sigmoid", "softmax"]
    background: Literal["none", "first", "last"]
    boxes_first: bool | None = None  # only for four columns, which have the shape of the boxes


class TfSsd(_Output, frozen=True, tag="tf_ssd", kw_only=True):
    """[1, K, 4] top, left, bottom, right as parts of the input; [1, K] classes; [1, K] scores; [1] how many count.

    Classes and scores share a shape, so the manifest says which comes first in the file. TensorFlow's SSDs.
    """

    classes_first: bool
    first_class: Literal[0, 1] = 1  # the number of the first label: 1 in frozen graphs, 0 in TFLite


class FastestDet(_Output, frozen=True, tag="fastestdet"):
    """[1, 5 + C, rows, columns]: objectness, centre, sides, class scores; one box a cell. FastestDet.

    The centre is the tanh of two numbers from the cell's corner, in cells; the sides are the sigmoid of two
    numbers, as parts of the input. The score is objectness ** 0.6 * class ** 0.4.
    """

    stride: Annotated[int, Meta(ge=1, le=128)] = 16


Output = (
    YoloxRaw
    | YoloV8
    | YoloV5
    | YoloEnd2End
    | NanoDet
    | NanoDetPlus
    | PicoDet
    | PicoDetNms
    | Detr
    | RfDetr
    | TfSsd
    | FastestDet
)


def strides_of(output: Output) -> tuple[int, ...]:
    """Return the strides of the layout's grids, none where it has none."""
    if isinstance(output, FastestDet):
        return (output.stride,)
    return output.strides if isinstance(output, YoloxRaw | YoloV8 | YoloV5 | NanoDet | NanoDetPlus | PicoDet) else ()


def needs_whole_cells(output: Output) -> bool:
    """Whether every stride must divide the input; the others round the last row and column up."""
    return isinstance(output, YoloxRaw | YoloV8 | YoloV5 | FastestDet)
