"""Every output layout read back number by number, in plain Python, from its description alone.

Written to be compared with edge/detector/decoders: nothing here is vectorised, and nothing is shared with them.
A box is (score, label, left, top, right, bottom), in pixels of the input tensor; the most confident comes first.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.detector.layouts import (
    Detr,
    FastestDet,
    NanoDet,
    NanoDetPlus,
    Output,
    PicoDet,
    PicoDetNms,
    RfDetr,
    TfSsd,
    YoloEnd2End,
    YoloV5,
    YoloV8,
    YoloxRaw,
)

SlowBox = tuple[float, int, float, float, float, float]
Tensors = Sequence[npt.NDArray[Any]]


def slow_decode(
    layout: Output, outputs: Tensors, *, width: int, height: int, classes: int, score_min: float
) -> list[SlowBox]:
    """Read ``outputs``, in the order in which the layout's description names them."""
    boxes = list(_dense(layout, outputs, (width, height), classes)) + list(_listed(layout, outputs, (width, height)))
    return sorted((box for box in boxes if box[0] >= score_min), key=lambda box: -box[0])


def _dense(layout: Output, outputs: Tensors, size: tuple[int, int], classes: int) -> Iterator[SlowBox]:
    """The layouts with a row for every grid point; nothing for the others."""
    match layout:
        case YoloxRaw():
            yield from _yolox_raw(outputs, layout.strides, *size)
        case YoloV8():
            yield from _yolo_v8(outputs)
        case YoloV5():
            yield from _yolo_v5(outputs)
        case NanoDet() | PicoDet():
            yield from _distance_maps(outputs, layout, *size)
        case NanoDetPlus():
            yield from _nanodet_plus(outputs, layout, *size, classes)
        case FastestDet():
            yield from _fastestdet(outputs, *size, layout.stride)


def _listed(layout: Output, outputs: Tensors, size: tuple[int, int]) -> Iterator[SlowBox]:
    """The layouts that list boxes; nothing for the others."""
    match layout:
        case YoloEnd2End():
            yield from _yolo_end2end(outputs)
        case PicoDetNms():
            yield from _picodet_nms(outputs)
        case Detr():
            yield from _detr(outputs)
        case RfDetr():
            yield from _rf_detr(outputs, layout, *size)
        case TfSsd():
            yield from _tf_ssd(outputs, layout, *size)


def _points(width: int, height: int, strides: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    for stride in strides:
        for y in range(math.ceil(height / stride)):
            for x in range(math.ceil(width / stride)):
                yield x, y, stride


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=lambda k: (scores[k], -k))


def _around(score: float, label: int, x: float, y: float, width: float, height: float) -> SlowBox:
    return (score, label, x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def _yolox_raw(outputs: Tensors, strides: Sequence[int], width: int, height: int) -> Iterator[SlowBox]:
    for row, (x, y, stride) in zip(outputs[0][0].tolist(), _points(width, height, strides), strict=True):
        label = _best(row[5:])
        centre_x, centre_y = (row[0] + x) * stride, (row[1] + y) * stride
        sides = math.exp(row[2]) * stride, math.exp(row[3]) * stride
        yield _around(row[4] * row[5 + label], label, centre_x, centre_y, *sides)


def _yolo_v8(outputs: Tensors) -> Iterator[SlowBox]:
    columns = outputs[0][0].tolist()
    for index in range(len(columns[0])):
        row = [column[index] for column in columns]
        label = _best(row[4:])
        yield _around(row[4 + label], label, *row[:4])


def _yolo_v5(outputs: Tensors) -> Iterator[SlowBox]:
    for row in outputs[0][0].tolist():
        label = _best(row[5:])
        yield _around(row[4] * row[5 + label], label, *row[:4])


def _yolo_end2end(outputs: Tensors) -> Iterator[SlowBox]:
    for left, top, right, bottom, score, label in outputs[0][0].tolist():
        yield score, int(label), left, top, right, bottom


def _distance_maps(outputs: Tensors, layout: NanoDet | PicoDet, width: int, height: int) -> Iterator[SlowBox]:
    levels = len(layout.strides)
    for stride, scores, distances in zip(layout.strides, outputs[:levels], outputs[levels:], strict=True):
        rows = zip(_rows(scores), _rows(distances), _points(width, height, [stride]), strict=True)
        for class_scores, bins, (x, y, _) in rows:
            yield _reaching(class_scores, bins, ((x + 0.5) * stride, (y + 0.5) * stride, stride), layout)


def _nanodet_plus(outputs: Tensors, layout: NanoDetPlus, width: int, height: int, classes: int) -> Iterator[SlowBox]:
    for row, (x, y, stride) in zip(outputs[0][0].tolist(), _points(width, height, layout.strides), strict=True):
        yield _reaching(row[:classes], row[classes:], (x * stride, y * stride, stride), layout)


def _rows(output: npt.NDArray[Any]) -> list[list[float]]:
    listed: list[Any] = output.tolist()
    return listed[0] if output.ndim == 3 else listed


def _reaching(
    scores: Sequence[float],
    bins: Sequence[float],
    point: tuple[float, float, int],
    layout: NanoDet | NanoDetPlus | PicoDet,
) -> SlowBox:
    x, y, stride = point
    label = _best(scores)
    score = _sigmoid(scores[label]) if layout.activation == "sigmoid" else scores[label]
    count = layout.reg_max + 1
    reach = []
    for side in range(4):
        powers = [math.exp(each) for each in bins[side * count : (side + 1) * count]]
        reach.append(sum(bin_ * power for bin_, power in enumerate(powers)) / sum(powers) * stride)
    return (score, label, x - reach[0], y - reach[1], x + reach[2], y + reach[3])


def _picodet_nms(outputs: Tensors) -> Iterator[SlowBox]:
    rows = outputs[0].tolist()
    count = int(outputs[1].tolist()[0]) if len(outputs) > 1 else len(rows)
    for label, score, left, top, right, bottom in rows[:count]:
        yield score, int(label), left, top, right, bottom


def _detr(outputs: Tensors) -> Iterator[SlowBox]:
    labels, boxes, scores = (output[0].tolist() for output in outputs)
    for label, (left, top, right, bottom), score in zip(labels, boxes, scores, strict=True):
        yield score, label, left, top, right, bottom


def _rf_detr(outputs: Tensors, layout: RfDetr, width: int, height: int) -> Iterator[SlowBox]:
    for (x, y, across, down), logits in zip(outputs[0][0].tolist(), outputs[1][0].tolist(), strict=True):
        if layout.activation == "softmax":
            total = sum(math.exp(each) for each in logits)
            scores = [math.exp(each) / total for each in logits]
        else:
            scores = [_sigmoid(each) for each in logits]
        if layout.background == "first":
            scores = scores[1:]
        elif layout.background == "last":
            scores = scores[:-1]
        label = _best(scores)
        yield _around(scores[label], label, x * width, y * height, across * width, down * height)


def _tf_ssd(outputs: Tensors, layout: TfSsd, width: int, height: int) -> Iterator[SlowBox]:
    boxes, first, second, count = outputs
    classes, scores = (first, second) if layout.classes_first else (second, first)
    for index in range(int(count[0])):
        top, left, bottom, right = boxes[0, index].tolist()
        label = int(classes[0, index]) - layout.first_class
        yield float(scores[0, index]), label, left * width, top * height, right * width, bottom * height


def _fastestdet(outputs: Tensors, width: int, height: int, stride: int) -> Iterator[SlowBox]:
    planes = outputs[0][0].tolist()
    for y in range(height // stride):
        for x in range(width // stride):
            cell = [plane[y][x] for plane in planes]
            label = _best(cell[5:])
            score = cell[0] ** 0.6 * cell[5 + label] ** 0.4
            centre = (x + math.tanh(cell[1])) * stride, (y + math.tanh(cell[2])) * stride
            yield _around(score, label, *centre, _sigmoid(cell[3]) * width, _sigmoid(cell[4]) * height)


def _sigmoid(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def as_arrays(boxes: Sequence[SlowBox]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], list[int]]:
    """Return corners (n, 4), scores (n,) and labels, to be compared with the fast decoders' boxes."""
    corners = np.array([box[2:] for box in boxes], dtype=np.float64).reshape(-1, 4)
    return corners, np.array([box[0] for box in boxes], dtype=np.float64), [box[1] for box in boxes]
