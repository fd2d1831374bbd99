"""What is masked is painted over, wholly, in every size; what is no mask stops the start."""

import numpy as np
import pytest

from edge.sight.masks import MaskError, Masks
from edge.sight.polygon import fault_of

SQUARE = ((250, 250), (750, 250), (750, 750), (250, 750))


@pytest.mark.parametrize(("width", "height"), [(768, 432), (320, 192), (1920, 1080), (48, 32)])
def test_everything_inside_is_one_colour_and_the_rest_is_untouched(width: int, height: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = picture.copy()
    painted = Masks([SQUARE]).paint(picture)
    assert painted is picture
    rows, columns = slice(height // 4, 3 * height // 4 + 1), slice(width // 4, 3 * width // 4 + 1)
    assert len(np.unique(painted[rows, columns].reshape(-1, 3), axis=0)) == 1
    rim = 3
    assert np.array_equal(painted[: height // 4 - rim], before[: height // 4 - rim])
    assert np.array_equal(painted[:, 3 * width // 4 + rim + 1 :], before[:, 3 * width // 4 + rim + 1 :])


def test_the_size_may_change_from_frame_to_frame() -> None:
    masks = Masks([((0, 0), (1_000, 0), (1_000, 1_000), (0, 1_000))])
    for width, height in ((64, 48), (48, 64), (64, 48)):
        picture = np.random.default_rng(2).integers(0, 256, (height, width, 3)).astype(np.uint8)
        assert len(np.unique(masks.paint(picture).reshape(-1, 3), axis=0)) == 1


def test_a_picture_that_may_not_be_written_to_is_painted_all_the_same() -> None:
    picture = np.zeros((40, 40, 3), np.uint8)
    picture.flags.writeable = False
    painted = Masks([SQUARE]).paint(picture)
    assert painted[20, 20].tolist() != [0, 0, 0]
    assert not picture.any()


def test_a_view_of_a_larger_picture_is_painted() -> None:
    picture = np.zeros((40, 80, 3), np.uint8)[:, ::2]
    assert Masks([SQUARE]).paint(picture)[20, 20].tolist() != [0, 0, 0]


@pytest.mark.parametrize(
    ("polygon", "complaint"),
    [
        (((0, 0), (10, 10)), "three points"),
        (((0, 0), (0, 0), (10, 10), (0, 20)), "twice"),
        (((0, 0), (10, 10), (20, 20)), "encloses nothing"),
        (((0, 0), (10, 10), (10, 0), (0, 10)), "crosses itself"),
        (((0, 0), (1_001, 0), (0, 10)), "out of the frame"),
        (((0, 0), (20, 0), (20, 10), (10, 0), (0, 10)), "crosses itself"),
    ],
)
def test_a_malformed_mask_is_refused(polygon: tuple[tuple[int, int], ...], complaint: str) -> None:
    with pytest.raises(MaskError, match=f"privacy mask 2 .*{complaint}"):
        Masks([SQUARE, polygon])


@pytest.mark.parametrize(
    "polygon",
    [
        SQUARE,
        ((0, 0), (1_000, 0), (0, 1_000)),
        ((100, 100), (900, 100), (900, 900), (700, 900), (700, 300), (100, 300)),
    ],
)
def test_sound_polygons_have_no_fault_whichever_way_round(polygon: tuple[tuple[int, int], ...]) -> None:
    assert fault_of(polygon) is None
    assert fault_of(polygon[::-1]) is None
