"""What a model manifest may say, and the sentence for each thing that it may not."""

import re
from pathlib import Path

import pytest

from edge.detector.detection import ModelError
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
from edge.detector.manifest import UNWANTED, load_manifest, parse_manifest
from edge.models.shipped import SHIPPED_FOLDER, catalogued_manifest, catalogued_manifests
from protocol.classes import COCO_CLASSES

TEXT = (SHIPPED_FOLDER / "yolox-nano.toml").read_text()


def changed(pattern: str, replacement: str) -> str:
    text, count = re.subn(pattern, replacement, TEXT, count=1, flags=re.MULTILINE | re.DOTALL)
    assert count == 1
    return text


def test_the_shipped_manifests_are_valid_and_named_like_their_files() -> None:
    assert [each.name for each in catalogued_manifests()] == [
        path.stem for path in sorted(SHIPPED_FOLDER.glob("*.toml"))
    ]
    assert all((SHIPPED_FOLDER / each.selftest.image).is_file() for each in catalogued_manifests())


def test_yolox_nano_reads_as_its_authors_describe_it() -> None:
    manifest = catalogued_manifest("yolox-nano")
    assert manifest.labels == COCO_CLASSES
    assert manifest.class_ids == tuple(range(80))
    assert manifest.input.shape == (1, 3, 416, 416)
    assert manifest.output == YoloxRaw((8, 16, 32))
    assert manifest.size_bytes == 3_659_407


def test_labels_in_another_order_map_to_the_network_s_classes() -> None:
    text = changed(r"labels = \[.*?\n\]", 'labels = ["car", "person"]')
    text = re.sub(r"boxes = \[.*?\n\]", 'boxes = [["car", 1, 2, 3, 4]]', text, flags=re.DOTALL)
    assert parse_manifest(text, origin="test").class_ids == (2, 0)


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"^name = .*?$", 'name = "Yolo X"', "name"),
        (r"^name = .*?$", 'name = "../evil"', "name"),
        (r"^sha256 = .*?$", 'sha256 = "C789"', "sha256"),
        (r"^size_bytes = .*?$", "size_bytes = 0", "size_bytes"),
        (r"^size_bytes = .*?$", 'size_bytes = "12"', "size_bytes"),
        (r"^licence = .*?$", "", "licence"),
        (r"^licence = ", "license = ", "license"),
        (r"^width = 416", "width = 415", "stride"),
        (r"^width = 416", "width = 1000000", "width"),
        (r'color = "bgr"', 'color = "yuv"', "color"),
        (r"^scale = 1.0", "scale = 0.0", "scale"),
        (r"^scale = 1.0", "scale = nan", "scale"),
        (r"^mean = .*?$", "mean = [0.0, inf, 0.0]", "mean"),
        (r"^std = .*?$", "std = [1.0, 0.0, 1.0]", "std"),
        (r"^std = .*?$", "std = [1.0, 1.0]", "std"),
        (r"^pad = 114", "pad = 256", "pad"),
        (r'adapter = "yolox_raw"', 'adapter = "magic"', "adapter"),
        (r"strides = \[8, 16, 32\]", "strides = []", "strides"),
        (r"strides = \[8, 16, 32\]", "strides = [8, 8]", "stride"),
        (r"score_ppm = 100000", "score_ppm = 1000001", "score_ppm"),
        (r'"bicycle"', '"velociped"', "velociped"),
        (r'"bicycle"', '"person"', "twice"),
        (r'image = ".*?"', 'image = "../../etc/passwd"', "image"),
        (r'image = ".*?"', 'image = ".hidden"', "image"),
        (r'\["clock", 229, 88', '["clock", 600, 88', "empty"),
        (r'\["clock", 229', '["dragon", 229', "dragon"),
        (r'\["clock", 229, 88, 393, 255\]', '["clock", 229, 88, 393]', "boxes"),
        (r"^\[output\]", "[output", "TOML|Expected|expected|at line"),
        (r"strides = \[8, 16, 32\]", "strides = [8, 16, 32]\nreg_max = 7", "reg_max"),
        (r'adapter = "yolox_raw"', 'adapter = "yolo_end2end"', "strides"),
        (r'adapter = "yolox_raw"', 'adapter = "rf_detr"', "strides|activation"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"rf_detr"\nactivation = "sigmoid"', "background"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"tf_ssd"', "classes_first"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"tf_ssd"\nclasses_first = true\nfirst_class = 2', "first_class"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"nanodet"\nactivation = "relu"', "activation"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"nanodet"\nreg_max = 0', "reg_max"),
        (r'"yolox_raw"\nstrides = \[8, 16, 32\]', '"fastestdet"\nstride = 15', "stride"),
        (r'adapter = "yolox_raw"\n', "", "adapter"),
        (r"^scale = 1.0", 'dtype = "uint8"\nscale = 0.5', "pixels as they are"),
        (r"^pad = 114", 'dtype = "int8"', "dtype"),
        (r"^pad = 114", 'layout = "chwn"', "layout"),
        (r"^pad = 114", 'anchor = "bottom"', "anchor"),
        (r"^labels = \[.*?\n\]", 'labels = ["", ""]', "nothing to find"),
        (r'\["clock", 229', '["", 229', "not one of"),
        (r"^version = ", 'runner = ""\nversion = ', "runner"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_field_s_name(pattern: str, replacement: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint) as caught:
        parse_manifest(changed(pattern, replacement), origin="wrong.toml")
    assert "wrong.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_missing_binary_or_huge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Check the path"):
        load_manifest(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="Cannot read"):
        load_manifest(tmp_path / "binary.toml")
    (tmp_path / "huge.toml").write_text("#" * 70_000)
    with pytest.raises(ModelError, match="70000 bytes"):
        load_manifest(tmp_path / "huge.toml")


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match="yolox-nano"):
        catalogued_manifest("yolo-magic")


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ('adapter = "yolo_v8"', YoloV8((8, 16, 32))),
        ('adapter = "yolo_v5"\nboxes_per_point = 1', YoloV5((8, 16, 32), 1)),
        ('adapter = "yolo_end2end"', YoloEnd2End()),
        ('adapter = "nanodet"\nreg_max = 10', NanoDet(reg_max=10)),
        ('adapter = "nanodet_plus"', NanoDetPlus((8, 16, 32, 64), 7)),
        ('adapter = "picodet"\nstrides = [8, 16, 32, 64]', PicoDet()),
        ('adapter = "picodet_nms"\nscale_factor_input = true', PicoDetNms(scale_factor_input=True)),
        ('adapter = "detr"\nsizes_dtype = "int32"', Detr("int32")),
        (
            'adapter = "rf_detr"\nactivation = "softmax"\nbackground = "first"',
            RfDetr(activation="softmax", background="first"),
        ),
        ('adapter = "tf_ssd"\nclasses_first = true', TfSsd(classes_first=True)),
        ('adapter = "fastestdet"', FastestDet(16)),
    ],
)
def test_each_adapter_has_its_own_table(table: str, expected: Output) -> None:
    text = changed(r'adapter = "yolox_raw"\nstrides = \[8, 16, 32\]', table)
    assert parse_manifest(text, origin="test").output == expected


def test_a_class_without_a_word_is_nobody_s_class() -> None:
    text = changed(r"labels = \[.*?\n\]", 'labels = ["", "car", "", "person"]')
    text = re.sub(r"boxes = \[.*?\n\]", 'boxes = [["car", 1, 2, 3, 4]]', text, flags=re.DOTALL)
    assert parse_manifest(text, origin="test").class_ids == (UNWANTED, 2, UNWANTED, 0)
