"""File -> session -> decoder -> detections for every layout, and every file read by every other layout's manifest.

The files are tiny: they look whether the picture is bright and answer with known boxes, or with an empty scene.
"""

import itertools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from edge.detector.detection import Detection, ModelError
from edge.detector.layouts import Detr, Output, PicoDetNms, TfSsd, YoloEnd2End, YoloV5, YoloxRaw
from edge.detector.manifest import InputSpec, ModelManifest, Thresholds
from edge.detector.model import ModelDetector
from edge.detector.selftest import selftest
from edge.detector.session import SessionOptions
from protocol.classes import COCO_CLASSES
from protocol.units import PPM_ONE
from tests.support.layout_cases import HEIGHT_PX, WIDTH_PX, Case, Tensor, Thing, cases
from tests.support.tiny_models import IMAGE, LABELS, expecting, extra_inputs_of, tiny_manifest, tiny_model

CASES = cases()
THINGS = (
    Thing(0, 0.9, (10.0, 12.0, 42.0, 40.0)),
    Thing(2, 0.8, (60.0, 20.0, 90.0, 81.0)),
    Thing(1, 0.7, (96.0, 4.0, 120.0, 30.0)),
)
OPTIONS = SessionOptions(intra_op_threads=1)
FRAME = np.full((HEIGHT_PX, WIDTH_PX, 3), 200, np.uint8)
BLACK = np.zeros_like(FRAME)
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def file_of(case: Case, *, spec: InputSpec | None = None) -> bytes:
    return tiny_model(case.encode(THINGS), case.encode(()), spec=spec, extra_inputs=extra_inputs_of(case.layout))


FILES = {case.name: file_of(case) for case in CASES}


def said(found: tuple[Detection, ...]) -> list[tuple[str, int, tuple[int, int, int, int]]]:
    """What was found, confidence in percent: softmax and square roots round."""
    return [(COCO_CLASSES[each.class_id], round(each.confidence_ppm / 10_000), each.box_px) for each in found]


KNOWN = [
    (LABELS[thing.label], round(thing.score * 100), tuple(int(edge) for edge in thing.corners)) for thing in THINGS
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the self-test's picture lies."""
    made = tmp_path_factory.mktemp("selftest")
    assert cv2.imwrite(str(made / IMAGE), FRAME)
    return made


@pytest.fixture(scope="module")
def rightly_found() -> dict[str, tuple[Detection, ...]]:
    """What each file finds when read by its own manifest."""
    return {
        case.name: ModelDetector(FILES[case.name], tiny_manifest(case.layout), options=OPTIONS).detect(FRAME)
        for case in CASES
    }


@each_case
def test_a_file_finds_its_things_in_a_bright_picture_and_nothing_in_a_dark_one(case: Case, folder: Path) -> None:
    detector = ModelDetector(FILES[case.name], tiny_manifest(case.layout), options=OPTIONS)
    found = detector.detect(FRAME)
    assert said(found) == KNOWN
    assert detector.detect(BLACK) == ()
    selftest(detector, tiny_manifest(case.layout, selftest=expecting(found)), folder=folder)


@each_case
def test_boxes_come_out_in_the_pixels_of_a_frame_of_another_shape(case: Case) -> None:
    manifest = tiny_manifest(case.layout, input=InputSpec(WIDTH_PX, HEIGHT_PX, anchor="center"))
    found = ModelDetector(FILES[case.name], manifest, options=OPTIONS).detect(np.full((64, 256, 3), 200, np.uint8))
    # Half size, and 32 rows of padding above: y in the frame is (y - 32) * 2.
    assert [box for _, _, box in said(found)] == [(20, 0, 84, 16), (120, 0, 180, 64)]


@each_case
def test_a_frame_of_one_pixel_is_answered(case: Case) -> None:
    found = ModelDetector(FILES[case.name], tiny_manifest(case.layout), options=OPTIONS).detect(FRAME[:1, :1])
    assert all(each.box_px == (0, 0, 1, 1) for each in found)


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_every_input_that_a_manifest_can_describe_is_given(layout: str, dtype: str) -> None:
    case = CASES[0]
    spec = InputSpec(WIDTH_PX, HEIGHT_PX, layout=layout, dtype=dtype)  # type: ignore[arg-type]
    detector = ModelDetector(file_of(case, spec=spec), tiny_manifest(case.layout, input=spec), options=OPTIONS)
    assert said(detector.detect(FRAME)) == KNOWN
    other = InputSpec(WIDTH_PX, HEIGHT_PX, layout=layout, dtype="uint8" if dtype != "uint8" else "float32")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"correct \[input\]"):
        ModelDetector(file_of(case, spec=spec), tiny_manifest(case.layout, input=other), options=OPTIONS)
    turned = InputSpec(WIDTH_PX, HEIGHT_PX, layout="nhwc" if layout == "nchw" else "nchw", dtype=dtype)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="layout"):
        ModelDetector(file_of(case, spec=spec), tiny_manifest(case.layout, input=turned), options=OPTIONS)


@each_case
@pytest.mark.parametrize("reader", CASES, ids=lambda case: f"read as {case.name}")
def test_every_wrong_pairing_is_refused_at_load_or_by_the_self_test(
    case: Case, reader: Case, folder: Path, rightly_found: dict[str, tuple[Detection, ...]]
) -> None:
    """The whole matrix: only the diagonal passes."""
    wrong = tiny_manifest(reader.layout, selftest=expecting(rightly_found[case.name]))
    if reader is case:
        selftest(ModelDetector(FILES[case.name], wrong, options=OPTIONS), wrong, folder=folder)
        return
    with pytest.raises(ModelError) as caught:
        selftest(ModelDetector(FILES[case.name], wrong, options=OPTIONS), wrong, folder=folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "layout"),
    [
        ("yolox_raw", YoloV5(boxes_per_point=1)),
        ("yolo_v5 of one box", YoloxRaw((8, 16, 32))),
        ("tf_ssd", TfSsd(classes_first=False)),
        ("tf_ssd", TfSsd(classes_first=True, first_class=0)),
    ],
)
def test_pairings_of_one_shape_are_caught_by_the_picture(file: str, layout: Output, folder: Path) -> None:
    """These load, and a dark picture shows nothing wrong."""
    right = next(case for case in CASES if case.name == file)
    found = ModelDetector(FILES[file], tiny_manifest(right.layout), options=OPTIONS).detect(FRAME)
    wrong = tiny_manifest(layout, selftest=expecting(found))
    detector = ModelDetector(FILES[file], wrong, options=OPTIONS)
    assert detector.detect(BLACK) == ()
    with pytest.raises(ModelError):
        selftest(detector, wrong, folder=folder)


def test_another_shape_is_refused_before_the_first_frame() -> None:
    with pytest.raises(ModelError, match="the manifest promises"):
        ModelDetector(FILES["yolox_raw"], tiny_manifest(YoloEnd2End()), options=OPTIONS)


def test_labels_without_a_word_are_seen_and_not_told() -> None:
    case = CASES[0]
    labels = ("car", "", "dog", "", "bus")
    found = ModelDetector(FILES[case.name], tiny_manifest(case.layout, labels=labels), options=OPTIONS).detect(FRAME)
    assert [COCO_CLASSES[each.class_id] for each in found] == ["car", "dog"]


@pytest.mark.parametrize("dtype", ["int64", "int32", "float32"])
def test_a_detr_is_told_the_size_of_its_input(dtype: str) -> None:
    case = next(case for case in CASES if isinstance(case.layout, Detr))
    layout = Detr(sizes_dtype=dtype)  # type: ignore[arg-type]
    file = tiny_model(case.encode(THINGS), case.encode(()), extra_inputs=extra_inputs_of(layout))
    assert said(ModelDetector(file, tiny_manifest(layout), options=OPTIONS).detect(FRAME)) == KNOWN
    other = Detr(sizes_dtype="int32" if dtype != "int32" else "int64")
    with pytest.raises(ModelError, match="orig_target_sizes"):
        ModelDetector(file, tiny_manifest(other), options=OPTIONS)


def test_a_picodet_that_asks_for_its_scale_is_told_one() -> None:
    case = next(case for case in CASES if isinstance(case.layout, PicoDetNms))
    layout = PicoDetNms(scale_factor_input=True)
    file = tiny_model(case.encode(THINGS), case.encode(()), extra_inputs=extra_inputs_of(layout))
    assert said(ModelDetector(file, tiny_manifest(layout), options=OPTIONS).detect(FRAME)) == KNOWN
    with pytest.raises(ModelError, match="manifest speaks of 1"):
        ModelDetector(file, tiny_manifest(case.layout), options=OPTIONS)


def _flood(rows: int) -> list[Tensor]:
    answer: npt.NDArray[np.float32] = np.zeros((1, rows, 6), np.float32)
    answer[0, :, 2:4] = 20.0
    answer[0, :, 4] = np.linspace(0.6, 0.9, rows)
    return [answer]


def test_ten_thousand_detections_become_three_hundred_the_best_first() -> None:
    found = ModelDetector(tiny_model(_flood(10_000)), tiny_manifest(YoloEnd2End()), options=OPTIONS).detect(FRAME)
    assert len(found) == 300
    assert found[0].confidence_ppm == pytest.approx(900_000, abs=1)
    assert all(a.confidence_ppm >= b.confidence_ppm for a, b in itertools.pairwise(found))


@each_case
def test_a_truncated_file_is_refused_in_one_sentence(case: Case) -> None:
    for part in (b"", FILES[case.name][:40], FILES[case.name][:-30]):
        with pytest.raises(ModelError, match="truncated or not ONNX") as caught:
            ModelDetector(part, tiny_manifest(case.layout), options=OPTIONS)
        assert "\n" not in str(caught.value)


def test_the_least_confident_found_is_above_the_threshold(folder: Path) -> None:
    def manifest(score_ppm: int) -> ModelManifest:
        return tiny_manifest(CASES[0].layout, thresholds=Thresholds(score_ppm, 450_000))

    for percent, count in ((69, 3), (75, 2), (85, 1), (95, 0)):
        file = FILES[CASES[0].name]
        found = ModelDetector(file, manifest(percent * PPM_ONE // 100), options=OPTIONS).detect(FRAME)
        assert len(found) == count
