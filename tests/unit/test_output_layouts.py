"""Every output layout: the fast decoder against a slow one in plain Python, on known boxes, on chance, on poison."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edge.detector.decoders.boxes import CANDIDATES_MAX, Boxes
from edge.detector.decoders.choosing import decoder_of
from edge.detector.detection import ModelError
from edge.detector.layouts import NanoDet, PicoDetNms, RfDetr, TfSsd, YoloEnd2End, YoloV5, YoloV8
from edge.detector.manifest import InputSpec
from tests.support.layout_cases import CLASSES, HEIGHT_PX, WIDTH_PX, Case, Thing, cases
from tests.support.slow_decoders import as_arrays, slow_decode
from tests.support.tiny_models import tiny_manifest

Tensor = npt.NDArray[Any]
CASES = cases()
BY_NAME = {case.name: case for case in CASES}
THINGS = (
    Thing(0, 0.9, (10.0, 12.0, 42.0, 40.0)),
    Thing(2, 0.8, (60.5, 20.25, 90.0, 81.0)),
    Thing(1, 0.7, (96.0, 4.0, 120.0, 30.0)),
)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def fast(case: Case, outputs: list[Tensor], *, score_min: float) -> Boxes:
    return decoder_of(tiny_manifest(case.layout)).decode(outputs, score_min=score_min)


def slow(case: Case, outputs: list[Tensor], *, score_min: float) -> tuple[Tensor, Tensor, list[int]]:
    boxes = slow_decode(case.layout, outputs, width=WIDTH_PX, height=HEIGHT_PX, classes=CLASSES, score_min=score_min)
    return as_arrays(boxes)


def assert_same(boxes: Boxes, expected: tuple[Tensor, Tensor, list[int]]) -> None:
    corners, scores, labels = expected
    assert boxes.labels.tolist() == labels
    np.testing.assert_allclose(boxes.scores, scores, rtol=1e-5)
    np.testing.assert_allclose(boxes.corners, corners, rtol=1e-5, atol=1e-3)


@each_case
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("score_min", [0.05, 0.6])
def test_fast_and_slow_decoder_agree_on_chance(case: Case, seed: int, score_min: float) -> None:
    outputs = case.chance(np.random.default_rng(seed))
    expected = slow(case, outputs, score_min=score_min)
    assert len(expected[2]) > 0
    assert_same(fast(case, outputs, score_min=score_min), expected)


@each_case
def test_known_boxes_are_read_where_they_were_written(case: Case) -> None:
    outputs = case.encode(THINGS)
    boxes = fast(case, outputs, score_min=0.5)
    assert_same(boxes, slow(case, outputs, score_min=0.5))
    assert boxes.labels.tolist() == [thing.label for thing in THINGS]
    np.testing.assert_allclose(boxes.scores, [thing.score for thing in THINGS], atol=1e-4)
    np.testing.assert_allclose(boxes.corners, [thing.corners for thing in THINGS], atol=1e-2)


@each_case
def test_an_empty_scene_gives_no_boxes(case: Case) -> None:
    assert fast(case, case.encode(()), score_min=0.5).corners.shape == (0, 4)


@each_case
def test_half_precision_is_read_too(case: Case) -> None:
    outputs = [each.astype(np.float16) if each.dtype == np.float32 else each for each in case.encode(THINGS)]
    boxes = fast(case, outputs, score_min=0.5)
    assert boxes.labels.tolist() == [0, 2, 1]
    np.testing.assert_allclose(boxes.corners, [thing.corners for thing in THINGS], atol=0.2)


@each_case
@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused_in_every_output(case: Case, poison: float) -> None:
    clean = case.encode(THINGS)
    for index, output in enumerate(clean):
        if output.dtype != np.float32:
            continue
        poisoned = output.copy()
        poisoned.reshape(-1)[0] = poison
        outputs = [poisoned if other == index else each for other, each in enumerate(clean)]
        with pytest.raises(ModelError, match=r"NaN or infinity|rows count"):
            fast(case, outputs, score_min=0.5)


# Where a score stands in the answer to THINGS, for the layouts that do not compute their scores from logits.
_SCORE_AT: dict[str, tuple[int, tuple[int, ...]]] = {
    "yolox_raw": (0, (0, 0, 4)),
    "yolo_v8": (0, (0, 4, 3)),
    "yolo_v5": (0, (0, 0, 4)),
    "yolo_end2end": (0, (0, 0, 4)),
    "nanodet": (0, (0, 0, 1)),
    "picodet": (3, (0, 0, 1)),
    "nanodet_plus": (0, (0, 0, 1)),
    "picodet_nms": (0, (0, 1)),
    "detr": (2, (0, 0)),
    "tf_ssd": (2, (0, 0)),
    "fastestdet": (0, (0, 0, 0, 0)),
}


@pytest.mark.parametrize(
    ("name", "index", "place"),
    [(name, *at) for name, at in _SCORE_AT.items()] + [("fastestdet", 0, (0, 6, 0, 0)), ("yolo_v5", 0, (0, 5, 6))],
)
@pytest.mark.parametrize("score", [1.5, 7.0])
def test_scores_above_one_are_refused(name: str, index: int, place: tuple[int, ...], score: float) -> None:
    outputs = BY_NAME[name].encode(THINGS)
    outputs[index][place] = score
    with pytest.raises(ModelError, match=r"outside 0\.\.1"):
        fast(BY_NAME[name], outputs, score_min=0.5)


@pytest.mark.parametrize("name", ["yolo_v8", "nanodet", "picodet", "nanodet_plus"])
def test_logits_where_scores_are_promised_are_refused_even_if_none_is_above_one(name: str) -> None:
    outputs = BY_NAME[name].encode(())
    index, place = _SCORE_AT[name]
    if name == "yolo_v8":
        outputs[index][0, 4:] = -4.0
    else:
        outputs[index][..., :CLASSES] = -4.0
    assert outputs[index][place] == -4.0
    with pytest.raises(ModelError, match="sigmoid"):
        fast(BY_NAME[name], outputs, score_min=0.5)


@each_case
def test_outputs_missing_surplus_or_bent_are_refused_in_one_sentence(case: Case) -> None:
    outputs = case.encode(THINGS)
    optional = 1 if isinstance(case.layout, PicoDetNms) else None
    wrong = [
        [],
        *(
            [each for other, each in enumerate(outputs) if other != index]
            for index in range(len(outputs))
            if index != optional
        ),
        [*outputs, np.zeros((1, 7, 9), np.float32)],
        [outputs[0][..., :-1], *outputs[1:]],
        [outputs[0][None], *outputs[1:]],
        [outputs[0].astype(np.float64), *outputs[1:]],
        [np.zeros((), np.float32)] * len(outputs),
    ]
    for each in wrong[: -2 if isinstance(case.layout, TfSsd) or case.name == "detr" else None]:
        with pytest.raises(ModelError) as caught:
            fast(case, each, score_min=0.5)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nanodet", "picodet", "detr", "rf_detr, sigmoid, background last"])
def test_the_order_of_outputs_does_not_matter(name: str) -> None:
    outputs = BY_NAME[name].encode(THINGS)
    orders = itertools.islice(itertools.permutations(range(len(outputs))), 0, None, 7 if len(outputs) > 4 else 1)
    for order in itertools.islice(orders, 60):
        boxes = fast(BY_NAME[name], [outputs[index] for index in order], score_min=0.5)
        assert boxes.labels.tolist() == [0, 2, 1]
        np.testing.assert_allclose(boxes.corners, [thing.corners for thing in THINGS], atol=1e-2)


def test_maps_without_the_leading_axis_are_read() -> None:
    outputs = [each[0] for each in BY_NAME["nanodet"].encode(THINGS)]
    assert fast(BY_NAME["nanodet"], outputs, score_min=0.5).labels.tolist() == [0, 2, 1]


def test_a_picodet_without_a_count_is_read() -> None:
    outputs = BY_NAME["picodet_nms"].encode(THINGS)[:1]
    assert fast(BY_NAME["picodet_nms"], outputs, score_min=0.5).labels.tolist() == [0, 2, 1]


def test_a_picodet_that_finds_nothing_may_answer_with_no_row_at_all() -> None:
    nothing = [np.empty((0, 6), np.float32), np.array([0], np.int32)]
    assert fast(BY_NAME["picodet_nms"], nothing, score_min=0.5).corners.shape == (0, 4)


@pytest.mark.parametrize("count", [-1.0, 21.0, 2.5])
def test_a_count_that_cannot_be_is_refused(count: float) -> None:
    outputs = BY_NAME["tf_ssd"].encode(THINGS)
    outputs[3][0] = count
    with pytest.raises(ModelError, match="rows count"):
        fast(BY_NAME["tf_ssd"], outputs, score_min=0.5)


def test_outputs_that_share_a_shape_are_refused_rather_than_guessed() -> None:
    as_many_classes_as_bins = tiny_manifest(
        NanoDet(reg_max=1), labels=tuple("car bus dog cat bird horse cow bear".split())
    )
    shapes = [(1, rows, 8) for rows in (192, 192, 48, 48, 12, 12)]
    with pytest.raises(ModelError, match="same shape"):
        decoder_of(as_many_classes_as_bins).decode([np.zeros(s, np.float32) for s in shapes], score_min=0.5)
    four_columns = tiny_manifest(RfDetr(activation="sigmoid", background="last"), labels=("car", "bus", "dog"))
    with pytest.raises(ModelError, match="same shape"):
        decoder_of(four_columns).decode([np.zeros((1, 20, 4), np.float32)] * 2, score_min=0.5)


@pytest.mark.parametrize("boxes_first", [True, False])
def test_a_manifest_may_tell_the_order_where_shapes_cannot(*, boxes_first: bool) -> None:
    layout = RfDetr(activation="sigmoid", background="last", boxes_first=boxes_first)
    boxes, logits = np.full((1, 20, 4), 0.5, np.float32), np.full((1, 20, 4), -9, np.float32)
    logits[0, 3, 2] = 3.0
    outputs = [boxes, logits] if boxes_first else [logits, boxes]
    found = decoder_of(tiny_manifest(layout, labels=("car", "bus", "dog"))).decode(outputs, score_min=0.5)
    assert found.labels.tolist() == [2]
    np.testing.assert_allclose(found.corners, [[32, 24, 96, 72]])


@pytest.mark.parametrize("label", [5.0, -1.0, 1.5])
@pytest.mark.parametrize(
    ("name", "index", "place"),
    [("yolo_end2end", 0, (0, 0, 5)), ("picodet_nms", 0, (0, 0)), ("tf_ssd of TFLite", 2, (0, 0))],
)
def test_a_class_that_the_model_does_not_have_is_refused(
    name: str, index: int, place: tuple[int, ...], label: float
) -> None:
    outputs = BY_NAME[name].encode(THINGS)
    outputs[index][place] = label
    with pytest.raises(ModelError, match="class"):
        fast(BY_NAME[name], outputs, score_min=0.5)


def test_rows_that_only_pad_may_say_anything_as_long_as_their_score_is_nothing() -> None:
    outputs = BY_NAME["yolo_end2end"].encode(THINGS)
    outputs[0][0, 10:, 5] = -1.0
    assert fast(BY_NAME["yolo_end2end"], outputs, score_min=0.5).labels.tolist() == [0, 2, 1]


def test_ten_thousand_boxes_are_bounded_and_the_best_survive() -> None:
    rows = np.zeros((1, 10_000, 6), np.float32)
    rows[0, :, 2:4] = 10.0
    rows[0, :, 4] = np.linspace(0.5, 1.0, 10_000)
    boxes = decoder_of(tiny_manifest(YoloEnd2End())).decode([rows], score_min=0.4)
    assert len(boxes.scores) == CANDIDATES_MAX
    assert boxes.scores[0] == 1.0


def test_a_model_of_no_classes_has_another_shape_than_any_manifest() -> None:
    for layout, shape in ((YoloV8(), (1, 4, 252)), (YoloV5(boxes_per_point=1), (1, 252, 5))):
        with pytest.raises(ModelError, match="labels"):
            decoder_of(tiny_manifest(layout)).decode([np.zeros(shape, np.float32)], score_min=0.5)


@pytest.mark.parametrize(("side_px", "points"), [(320, 2125), (416, 3598)])
def test_nanodet_plus_has_as_many_points_as_its_authors_files(side_px: int, points: int) -> None:
    """416 is no multiple of 64: the last row and column are cells cut by the edge."""
    manifest = tiny_manifest(BY_NAME["nanodet_plus"].layout, input=InputSpec(side_px, side_px))
    outputs = [np.zeros((1, points, CLASSES + 32), np.float32)]
    assert decoder_of(manifest).decode(outputs, score_min=0.5).corners.shape == (0, 4)
