"""One case for each output layout: tensors that hold known boxes, and tensors full of chance.

Everything is for an input of 128 x 96 pixels (so that width and height cannot be mixed up unnoticed) and five classes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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

WIDTH_PX, HEIGHT_PX, CLASSES = 128, 96, 5
ROWS = 20  # of the layouts that list boxes
Tensor = npt.NDArray[Any]


@dataclass(frozen=True)
class Thing:
    """A box that a model is to find, in input pixels."""

    label: int
    score: float
    corners: tuple[float, float, float, float]

    @property
    def centre_and_sides(self) -> tuple[float, float, float, float]:
        left, top, right, bottom = self.corners
        return ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


@dataclass(frozen=True)
class Case:
    """A layout and how its tensors are made; ``encode`` holds the things given, ``chance`` anything that is legal."""

    name: str
    layout: Output
    encode: Callable[[Sequence[Thing]], list[Tensor]]
    chance: Callable[[np.random.Generator], list[Tensor]]


def cases() -> tuple[Case, ...]:
    """Return a case for each adapter, and one more for each choice that a layout leaves to the manifest."""
    return (
        _yolox_raw(),
        _yolo_v8(),
        _yolo_v5("yolo_v5", 3),
        _yolo_v5("yolo_v5 of one box", 1),
        _yolo_end2end(),
        _maps("nanodet", NanoDet()),
        _maps("nanodet of logits", NanoDet(activation="sigmoid")),
        _maps("picodet", PicoDet()),
        _nanodet_plus(),
        _picodet_nms(),
        _detr(),
        *(
            _rf_detr(RfDetr(activation=activation, background=background))
            for activation in ("sigmoid", "softmax")
            for background in ("none", "first", "last")
        ),
        _tf_ssd("tf_ssd", TfSsd(classes_first=True)),
        _tf_ssd("tf_ssd of TFLite", TfSsd(classes_first=False, first_class=0)),
        _fastestdet(),
    )


def _points(strides: Sequence[int]) -> list[tuple[int, int, int]]:
    """Column, row and stride of every grid point, in the order of a dense layout's rows."""
    return [
        (x, y, stride)
        for stride in strides
        for y in range(math.ceil(HEIGHT_PX / stride))
        for x in range(math.ceil(WIDTH_PX / stride))
    ]


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def _seats(things: Sequence[Thing], strides: Sequence[int]) -> Iterator[tuple[Thing, int, tuple[int, int, int]]]:
    """Give each thing the grid point left above its centre, on the first stride where that is free."""
    points = _points(strides)
    taken: set[int] = set()
    for thing in things:
        x, y, _, _ = thing.centre_and_sides
        cells = (points.index((int(x // stride), int(y // stride), stride)) for stride in strides)
        index = next(cell for cell in cells if cell not in taken)
        taken.add(index)
        yield thing, index, points[index]


def _yolox_raw() -> Case:
    strides = (8, 16, 32)

    def encode(things: Sequence[Thing]) -> list[Tensor]:
        rows = np.zeros((1, len(_points(strides)), 5 + CLASSES), np.float32)
        for thing, index, (column, row, stride) in _seats(things, strides):
            x, y, width, height = thing.centre_and_sides
            rows[0, index, :2] = x / stride - column, y / stride - row
            rows[0, index, 2:4] = math.log(width / stride), math.log(height / stride)
            rows[0, index, [4, 5 + thing.label]] = math.sqrt(thing.score)
        return [rows]

    def chance(rng: np.random.Generator) -> list[Tensor]:
        count = len(_points(strides))
        geometry = rng.normal(0, 1, (count, 4))
        return [np.concatenate([geometry, rng.random((count, 1 + CLASSES))], axis=1).astype(np.float32)[None]]

    return Case("yolox_raw", YoloxRaw(strides), encode, chance)


def _yolo_v8() -> Case:
    count = len(_points((8, 16, 32)))

    def encode(things: Sequence[Thing]) -> list[Tensor]:
        columns = np.zeros((1, 4 + CLASSES, count), np.float32)
        for index, thing in enumerate(things):
            columns[0, :4, 3 + 7 * index] = thing.centre_and_sides
            columns[0, 4 + thing.label, 3 + 7 * index] = thing.score
        return [columns]

    def chance(rng: np.random.Generator) -> list[Tensor]:
        geometry = rng.uniform(0, WIDTH_PX, (4, count))
        return [np.concatenate([geometry, rng.random((CLASSES, count))]).astype(np.float32)[None]]

    return Case("yolo_v8", YoloV8(), encode, chance)


def _yolo_v5(name: str, boxes_per_point: int) -> Case:
    count = len(_points((8, 16, 32))) * boxes_per_point

    def encode(things: Sequence[Thing]) -> list[Tensor]:
        rows = np.zeros((1, count, 5 + CLASSES), np.float32)
        for index, thing in enumerate(things):
            rows[0, 5 + 11 * index, :4] = thing.centre_and_sides
            rows[0, 5 + 11 * index, [4, 5 + thing.label]] = math.sqrt(thing.score)
        return [rows]

    def chance(rng: np.random.Generator) -> list[Tensor]:
        geometry = rng.uniform(0, WIDTH_PX, (count, 4))
        return [np.concatenate([geometry, rng.random((count, 1 + CLASSES))], axis=1).astype(np.float32)[None]]

    return Case(name, YoloV5(boxes_per_point=boxes_per_point), encode, chance)


def _listed_chance(rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Corners, scores and labels of ROWS boxes."""
    corners = rng.uniform(0, WIDTH_PX, (ROWS, 4)).astype(np.float32)
    return corners, rng.random(ROWS).astype(np.float32), rng.integers(0, CLASSES, ROWS)


def _listed_things(things: Sequence[Thing]) -> tuple[Tensor, Tensor, Tensor]:
    corners, scores, labels = np.zeros((ROWS, 4), np.float32), np.zeros(ROWS, np.float32), np.zeros(ROWS, np.int64)
    for index, thing in enumerate(things):
        corners[index], scores[index], labels[index] = thing.corners, thing.score, thing.label
    return corners, scores, labels


def _listed(name: str, layout: Output, pack: Callable[[Tensor, Tensor, Tensor, int], list[Tensor]]) -> Case:
    """A layout that lists boxes; ``pack`` writes corners, scores and labels, of which only the first few count."""
    return Case(
        name,
        layout,
        lambda things: pack(*_listed_things(things), len(things)),
        lambda rng: pack(*_listed_chance(rng), ROWS - 3),
    )


def _yolo_end2end() -> Case:
    def pack(corners: Tensor, scores: Tensor, labels: Tensor, _count: int) -> list[Tensor]:
        return [np.concatenate([corners, scores[:, None], labels[:, None]], axis=1).astype(np.float32)[None]]

    return _listed("yolo_end2end", YoloEnd2End(), pack)


def _picodet_nms() -> Case:
    def pack(corners: Tensor, scores: Tensor, labels: Tensor, count: int) -> list[Tensor]:
        rows = np.concatenate([labels[:, None], scores[:, None], corners], axis=1).astype(np.float32)
        return [rows, np.array([count], np.int32)]

    return _listed("picodet_nms", PicoDetNms(), pack)


def _detr() -> Case:
    def pack(corners: Tensor, scores: Tensor, labels: Tensor, _count: int) -> list[Tensor]:
        return [labels[None], corners[None], scores[None]]

    return _listed("detr", Detr(), pack)


def _tf_ssd(name: str, layout: TfSsd) -> Case:
    def pack(corners: Tensor, scores: Tensor, labels: Tensor, count: int) -> list[Tensor]:
        parts = corners / np.array([WIDTH_PX, HEIGHT_PX] * 2, np.float32)
        boxes = parts[None, :, [1, 0, 3, 2]]
        numbers = (labels + layout.first_class).astype(np.float32)[None]
        pair = [numbers, scores[None]] if layout.classes_first else [scores[None], numbers]
        return [boxes, *pair, np.array([count], np.float32)]

    return _listed(name, layout, pack)


def _distances(things: Sequence[Thing], layout: NanoDet | NanoDetPlus | PicoDet, origin: float) -> list[list[Any]]:
    """For each thing its grid index, and the four distances in strides, from a grid point inside its box."""
    points = _points(layout.strides)
    taken: set[int] = set()
    found: list[list[Any]] = []
    for thing in things:
        left, top, right, bottom = thing.corners
        for index, (column, row, stride) in enumerate(points):
            x, y = (column + origin) * stride, (row + origin) * stride
            reach = [(x - left) / stride, (y - top) / stride, (right - x) / stride, (bottom - y) / stride]
            if index not in taken and all(0 <= each <= layout.reg_max for each in reach):
                taken.add(index)
                found.append([thing, index, reach])
                break
        else:
            raise AssertionError(f"no grid point can reach the sides of {thing}")
    return found


def _bins(distance: float, reg_max: int) -> list[float]:
    """The logits of a distribution whose mean is ``distance``: all weight on the two whole numbers beside it."""
    whole, part = int(distance), distance - int(distance)
    weights = [1e-12] * (reg_max + 1)
    weights[whole] += 1 - part
    weights[min(whole + 1, reg_max)] += part
    return [math.log(weight) for weight in weights]


def _scores_and_bins(
    things: Sequence[Thing], layout: NanoDet | NanoDetPlus | PicoDet, origin: float
) -> tuple[Tensor, Tensor]:
    count = len(_points(layout.strides))
    is_logit = layout.activation == "sigmoid"
    scores = np.full((count, CLASSES), -12.0 if is_logit else 0.0, np.float32)
    bins = np.zeros((count, 4 * (layout.reg_max + 1)), np.float32)
    for thing, index, reach in _distances(things, layout, origin):
        scores[index, thing.label] = _logit(thing.score) if is_logit else thing.score
        bins[index] = [logit for distance in reach for logit in _bins(distance, layout.reg_max)]
    return scores, bins


def _chance_of_distances(rng: np.random.Generator, layout: NanoDet | NanoDetPlus | PicoDet) -> tuple[Tensor, Tensor]:
    count = len(_points(layout.strides))
    scores = rng.normal(0, 3, (count, CLASSES)) if layout.activation == "sigmoid" else rng.random((count, CLASSES))
    return scores.astype(np.float32), rng.normal(0, 2, (count, 4 * (layout.reg_max + 1))).astype(np.float32)


def _maps(name: str, layout: NanoDet | PicoDet) -> Case:
    def pack(scores: Tensor, bins: Tensor) -> list[Tensor]:
        ends = np.cumsum([len(_points([stride])) for stride in layout.strides])[:-1]
        return [each[None] for maps in (scores, bins) for each in np.split(maps, ends)]

    return Case(
        name,
        layout,
        lambda things: pack(*_scores_and_bins(things, layout, 0.5)),
        lambda rng: pack(*_chance_of_distances(rng, layout)),
    )


def _nanodet_plus() -> Case:
    layout = NanoDetPlus()

    def pack(scores: Tensor, bins: Tensor) -> list[Tensor]:
        return [np.concatenate([scores, bins], axis=1)[None]]

    return Case(
        "nanodet_plus",
        layout,
        lambda things: pack(*_scores_and_bins(things, layout, 0.0)),
        lambda rng: pack(*_chance_of_distances(rng, layout)),
    )


def _rf_detr(layout: RfDetr) -> Case:
    columns = CLASSES + (layout.background != "none")
    first = 1 if layout.background == "first" else 0
    nothing = {"first": 0, "last": columns - 1}.get(layout.background)

    def encode(things: Sequence[Thing]) -> list[Tensor]:
        # A query that finds nothing still has a box, and a class that it likes best.
        boxes, logits = np.full((1, ROWS, 4), 0.4, np.float32), np.full((1, ROWS, columns), -9.0, np.float32)
        logits[0, np.arange(ROWS), np.arange(ROWS) % columns] = -5.0
        if layout.activation == "softmax":
            logits[:] = 0.0  # undecided: every column as likely as the next
            if nothing is not None:
                logits[..., nothing] = 9.0  # surely background; a sigmoid head leaves that column unused
        for index, thing in enumerate(things):
            x, y, width, height = thing.centre_and_sides
            boxes[0, index] = x / WIDTH_PX, y / HEIGHT_PX, width / WIDTH_PX, height / HEIGHT_PX
            if layout.activation == "sigmoid":
                logits[0, index] = -9.0
                logits[0, index, first + thing.label] = _logit(thing.score)
            else:
                rest = (1 - thing.score) / (columns - 1)
                logits[0, index] = math.log(rest)
                logits[0, index, first + thing.label] = math.log(thing.score)
        return [boxes, logits]

    def chance(rng: np.random.Generator) -> list[Tensor]:
        boxes = rng.random((1, ROWS, 4)).astype(np.float32)
        return [boxes, rng.normal(0, 3, (1, ROWS, columns)).astype(np.float32)]

    return Case(f"rf_detr, {layout.activation}, background {layout.background}", layout, encode, chance)


def _fastestdet() -> Case:
    layout = FastestDet()
    rows, columns = HEIGHT_PX // layout.stride, WIDTH_PX // layout.stride

    def encode(things: Sequence[Thing]) -> list[Tensor]:
        cells = np.zeros((1, 5 + CLASSES, rows * columns), np.float32)
        for thing in things:
            x, y, width, height = thing.centre_and_sides
            column, row = int(x // layout.stride), int(y // layout.stride)
            # The centre may lie up to a cell away, so a neighbour can take what the cell itself cannot.
            free = [
                (c, r)
                for c, r in ((column, row), (column + 1, row), (column, row + 1), (column + 1, row + 1))
                if c < columns and r < rows and cells[0, 0, r * columns + c] == 0
            ]
            assert free, f"no cell left for {thing}"
            column, row = free[0]
            cell = cells[0, :, row * columns + column]
            cell[[0, 5 + thing.label]] = thing.score
            cell[1:3] = [math.atanh(max(-0.9999, v)) for v in (x / layout.stride - column, y / layout.stride - row)]
            cell[3:5] = _logit(width / WIDTH_PX), _logit(height / HEIGHT_PX)
        return [cells.reshape(1, 5 + CLASSES, rows, columns)]

    def chance(rng: np.random.Generator) -> list[Tensor]:
        scores, geometry = rng.random((1 + CLASSES, rows, columns)), rng.normal(0, 1, (4, rows, columns))
        return [np.concatenate([scores[:1], geometry, scores[1:]]).astype(np.float32)[None]]

    return Case("fastestdet", layout, encode, chance)
