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
