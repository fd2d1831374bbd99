"""Where a frame lands in the input tensor, and that boxes find the way back."""

import numpy as np
import pytest

from edge.detector.detection import ModelError
from edge.detector.letterbox import InputTensor
from edge.detector.manifest import InputSpec


def flat(
    width: int, height: int, bgr: tuple[int, int, int] = (10, 20, 30)
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.full((height, width, 3), bgr, dtype=np.uint8)


@pytest.mark.parametrize(
    ("frame_size", "picture_size"),
    [
        ((768, 432), (416, 234)),
        ((432, 768), (234, 416)),
        ((416, 416), (416, 416)),
        ((100, 50), (416, 208)),
        ((1, 1), (416, 416)),
    ],
)
def test_the_picture_keeps_its_aspect_and_lies_at_the_top_left(
    frame_size: tuple[int, int], picture_size: tuple[int, int]
) -> None:
    tensor = InputTensor(InputSpec(416, 416)).fill(flat(*frame_size))
    assert tensor.shape == (1, 3, 416, 416)
    assert tensor.dtype == np.float32
    width, height = picture_size
    for plane, value in enumerate((10, 20, 30)):
        assert (tensor[0, plane, :height, :width] == value).all()
        assert (tensor[0, plane, height:, :] == 114).all()
        assert (tensor[0, plane, :, width:] == 114).all()


def test_stretch_fills_the_whole_tensor() -> None:
    tensor = InputTensor(InputSpec(64, 32, resize="stretch")).fill(flat(300, 10))
    assert (tensor[0, 1] == 20).all()


@pytest.mark.parametrize("frame_size", [(768, 432), (100, 700), (3, 2), (5000, 1), (1, 5000)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_the_picture_s_corner_maps_back_to_the_frame_s_corner(frame_size: tuple[int, int], resize: str) -> None:
    letterbox = InputTensor(InputSpec(416, 320, resize=resize, pad=255))  # type: ignore[arg-type]
    tensor = letterbox.fill(flat(*frame_size, bgr=(0, 0, 0)))
    picture_width = int((tensor[0, 0, 0] == 0).sum())
    picture_height = int((tensor[0, 0, :, 0] == 0).sum())
    across, down = letterbox.frame_px_per_input_px
    assert (picture_width * across, picture_height * down) == pytest.approx(frame_size)


def test_rgb_swaps_the_planes() -> None:
    tensor = InputTensor(InputSpec(32, 32, color="rgb")).fill(flat(32, 32))
    assert [float(plane.mean()) for plane in tensor[0]] == [30, 20, 10]


def test_normalisation_is_scale_then_mean_then_deviation_in_the_order_of_color() -> None:
    spec = InputSpec(32, 32, color="rgb", scale=0.5, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 5.0))
    tensor = InputTensor(spec).fill(flat(32, 16))
    expected = [(30 * 0.5 - 1) / 2, (20 * 0.5 - 2) / 4, (10 * 0.5 - 3) / 5]
    padding = [(114 * 0.5 - 1) / 2, (114 * 0.5 - 2) / 4, (114 * 0.5 - 3) / 5]
    np.testing.assert_allclose(tensor[0, :, 0, 0], expected, rtol=1e-6)
    np.testing.assert_allclose(tensor[0, :, 31, 31], padding, rtol=1e-6)


def test_frames_of_changing_size_leave_no_trace_of_each_other() -> None:
    letterbox = InputTensor(InputSpec(64, 64, scale=0.5))
    letterbox.fill(flat(64, 64, bgr=(255, 255, 255)))
    reused = letterbox.fill(flat(64, 20)).copy()
    fresh = InputTensor(InputSpec(64, 64, scale=0.5)).fill(flat(64, 20))
    np.testing.assert_array_equal(reused, fresh)
    np.testing.assert_array_equal(letterbox.fill(flat(64, 20)), fresh)


def test_the_frame_is_not_modified() -> None:
    frame = flat(50, 40)
    InputTensor(InputSpec(32, 32)).fill(frame)
    np.testing.assert_array_equal(frame, flat(50, 40))


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_not_a_frame_is_refused(frame: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    with pytest.raises(ModelError, match="A frame must be uint8"):
        InputTensor(InputSpec(32, 32)).fill(frame)


@pytest.mark.parametrize(
    ("frame_size", "corner", "picture_size"),
    [((768, 432), (0, 91), (416, 234)), ((432, 768), (91, 0), (234, 416)), ((416, 416), (0, 0), (416, 416))],
)
def test_a_centred_picture_lies_in_the_middle_and_maps_back(
    frame_size: tuple[int, int], corner: tuple[int, int], picture_size: tuple[int, int]
) -> None:
    letterbox = InputTensor(InputSpec(416, 416, anchor="center"))
    tensor = letterbox.fill(flat(*frame_size))
    (left, top), (width, height) = corner, picture_size
    assert (tensor[0, 1, top : top + height, left : left + width] == 20).all()
    assert (tensor[0, 1] == 20).sum() == width * height
    assert ((tensor[0, 1] == 20) | (tensor[0, 1] == 114)).all()
    whole = np.array([[left, top, left + width, top + height]], np.float64)
    np.testing.assert_allclose(letterbox.to_frame_px(whole), [[0, 0, *frame_size]])


def test_centred_frames_of_changing_shape_leave_no_trace_of_each_other() -> None:
    letterbox = InputTensor(InputSpec(64, 64, anchor="center", scale=0.5))
    letterbox.fill(flat(64, 20, bgr=(255, 255, 255)))
    letterbox.fill(flat(20, 64, bgr=(255, 255, 255)))
    fresh = InputTensor(InputSpec(64, 64, anchor="center", scale=0.5)).fill(flat(64, 64))
    np.testing.assert_array_equal(letterbox.fill(flat(64, 64)), fresh)


@pytest.mark.parametrize("color", ["bgr", "rgb"])
@pytest.mark.parametrize("anchor", ["top_left", "center"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8"])
def test_every_layout_and_type_holds_the_same_picture(color: str, anchor: str, dtype: str) -> None:
    rng = np.random.default_rng(7)
    frame = rng.integers(0, 256, (50, 90, 3), dtype=np.uint8)
    spec = InputSpec(64, 48, color=color, anchor=anchor)  # type: ignore[arg-type]
    plain = InputTensor(spec).fill(frame)
    for layout in ("nchw", "nhwc"):
        typed = InputSpec(64, 48, color=color, anchor=anchor, layout=layout, dtype=dtype)  # type: ignore[arg-type]
        tensor = InputTensor(typed).fill(frame)
        assert (tensor.shape, tensor.dtype) == (typed.shape, np.dtype(dtype))
        assert tensor.flags["C_CONTIGUOUS"]
        as_nchw = tensor if layout == "nchw" else np.moveaxis(tensor, 3, 1)
        np.testing.assert_array_equal(as_nchw, plain)


def test_normalisation_does_not_depend_on_the_layout() -> None:
    fields = {"color": "rgb", "scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    frame = np.random.default_rng(7).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    nchw = InputTensor(InputSpec(64, 48, **fields)).fill(frame)  # type: ignore[arg-type]
    nhwc = InputTensor(InputSpec(64, 48, layout="nhwc", **fields)).fill(frame)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.moveaxis(nhwc, 3, 1), nchw, rtol=1e-6)
