"""The vectorised YOLOX decoder against a slow one in plain Python, and suppression against its definition."""

import math

import numpy as np
import numpy.typing as npt
import pytest

from edge.detector.decoders.boxes import BOXES_MAX, CANDIDATES_MAX, Boxes, suppress
from edge.detector.decoders.yolo import YoloxRawDecoder
from edge.detector.detection import ModelError
from edge.detector.layouts import YoloxRaw
from edge.detector.manifest import InputSpec
from edge.sight.boxes import pairwise_iou

STRIDES = (8, 16, 32)
SlowBox = tuple[float, int, float, float, float, float]  # score, class, left, top, right, bottom


def decode(output: npt.NDArray[np.float32], *, score_min: float, width: int = 96, height: int = 64) -> Boxes:
    """Read ``output`` with the decoder under test."""
    decoder = YoloxRawDecoder(YoloxRaw(STRIDES), InputSpec(width, height), output.shape[2] - 5)
    return decoder.decode([output], score_min=score_min)


def slow_decode(output: npt.NDArray[np.float32], width: int, height: int, score_min: float) -> list[SlowBox]:
    """Read the layout row by row, as its description says."""
    boxes: list[SlowBox] = []
    row = 0
    for stride in STRIDES:
        for y in range(height // stride):
            for x in range(width // stride):
                values = [float(value) for value in output[0, row]]
                row += 1
                label = max(range(len(values) - 5), key=lambda k: (values[5 + k], -k))
                score = min(values[4] * values[5 + label], 1.0)
                if score < score_min:
                    continue
                centre_x, centre_y = (values[0] + x) * stride, (values[1] + y) * stride
                half_width, half_height = math.exp(values[2]) * stride / 2, math.exp(values[3]) * stride / 2
                corners = (centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height)
                boxes.append((score, label, *corners))
    return sorted(boxes, key=lambda box: -box[0])


def slow_suppress(boxes: list[SlowBox], iou_max: float) -> list[SlowBox]:
    kept: list[SlowBox] = []
    for box in boxes:
        if all(other[1] != box[1] or slow_iou(other, box) <= iou_max for other in kept):
            kept.append(box)
    return kept


def slow_iou(first: SlowBox, second: SlowBox) -> float:
    width = min(first[4], second[4]) - max(first[2], second[2])
    height = min(first[5], second[5]) - max(first[3], second[3])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(box[4] - box[2]) * (box[5] - box[3]) for box in (first, second)]
    return common / (areas[0] + areas[1] - common)


def random_output(seed: int, *, width: int = 96, height: int = 64, classes: int = 5) -> npt.NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    rows = sum((width // s) * (height // s) for s in STRIDES)
    geometry = rng.normal(0, 1, (rows, 4))
    return np.concatenate([geometry, rng.random((rows, 1 + classes))], axis=1).astype(np.float32)[None]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("score_min", [0.01, 0.4, 0.8])
def test_fast_and_slow_decoder_agree(seed: int, score_min: float) -> None:
    output = random_output(seed)
    slow = slow_decode(output, 96, 64, score_min)
    fast = decode(output, score_min=score_min)
    assert fast.labels.tolist() == [box[1] for box in slow]
    np.testing.assert_allclose(fast.scores, [box[0] for box in slow], rtol=1e-6)
    np.testing.assert_allclose(fast.corners, np.array([box[2:] for box in slow]).reshape(-1, 4), rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("iou_max", [0.1, 0.45, 0.9])
def test_suppression_keeps_what_its_definition_keeps(seed: int, iou_max: float) -> None:
    output = random_output(seed)
    fast = suppress(decode(output, score_min=0.2), iou_max=iou_max)
    slow = slow_suppress(slow_decode(output, 96, 64, 0.2), iou_max)
    assert fast.labels.tolist() == [box[1] for box in slow]
    np.testing.assert_allclose(fast.corners, np.array([box[2:] for box in slow]).reshape(-1, 4), rtol=1e-6, atol=1e-4)


def test_boxes_of_different_classes_do_not_suppress_each_other() -> None:
    same_place = np.array([[0.0, 0.0, 10.0, 10.0]] * 3)
    boxes = Boxes(corners=same_place, scores=np.array([0.9, 0.8, 0.7]), labels=np.array([0, 1, 0]))
    assert suppress(boxes, iou_max=0.5).labels.tolist() == [0, 1]


def test_nothing_above_the_threshold_gives_no_boxes() -> None:
    output = random_output(0)
    output[..., 4] = 0.0
    boxes = suppress(decode(output, score_min=0.1), iou_max=0.45)
    assert boxes.corners.shape == (0, 4)


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", [0, 2, 4, 7])
def test_an_output_with_nan_or_infinity_is_refused(poison: float, column: int) -> None:
    output = random_output(1)
    output[0, 3, column] = poison
    with pytest.raises(ModelError, match="NaN or infinity"):
        decode(output, score_min=0.1)


@pytest.mark.parametrize("logit", [-3.0, 4.0])
def test_scores_that_lack_their_sigmoid_are_refused(logit: float) -> None:
    output = random_output(1)
    output[0, :, 4] = 0.9
    output[0, 3, 6] = logit
    with pytest.raises(ModelError, match="sigmoid"):
        decode(output, score_min=0.1)


def test_an_absurd_size_neither_overflows_nor_warns() -> None:
    output = random_output(1)
    output[0, :, 2:4] = 3e38
    boxes = decode(output, score_min=0.1)
    assert np.isfinite(boxes.corners).all()


def test_a_flood_of_boxes_is_bounded_and_the_best_survive() -> None:
    points = 21_504
    output = np.zeros((1, points, 6), dtype=np.float32)
    output[0, :, 4] = np.linspace(0.5, 1.0, points)
    output[0, :, 5] = 1.0
    output[0, :, 2:4] = -1.0  # small enough not to touch
    boxes = decode(output, score_min=0.1, width=1024, height=1024)
    assert len(boxes.scores) == CANDIDATES_MAX
    assert boxes.scores[0] == 1.0
    assert len(suppress(boxes, iou_max=0.45).scores) == BOXES_MAX


def test_overlap_of_known_boxes() -> None:
    iou = pairwise_iou(
        np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[1.0, 0.0, 3.0, 2.0], [5.0, 5.0, 6.0, 6.0], [1, 1, 1, 1]])
    )
    np.testing.assert_allclose(iou, [[2 / 6, 0.0, 0.0]])
