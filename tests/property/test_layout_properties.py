"""Whatever boxes a model finds, in whatever layout it answers: they are read back as they were written."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.detector.decoders.choosing import decoder_of
from edge.detector.detection import ModelError
from tests.support.layout_cases import CLASSES, HEIGHT_PX, WIDTH_PX, Case, Tensor, Thing, cases
from tests.support.slow_decoders import as_arrays, slow_decode
from tests.support.tiny_models import tiny_manifest


@st.composite
def scenes(draw: st.DrawFn) -> list[Thing]:
    """Up to four things, one in each quarter of the picture, with scores that tell them apart."""
    things = []
    scores = draw(st.lists(st.integers(55, 99), min_size=0, max_size=4, unique=True))
    for quarter, score in enumerate(scores):
        origin = (WIDTH_PX // 2 * (quarter % 2), HEIGHT_PX // 2 * (quarter // 2))
        edges = []
        for start, room in zip(origin, (WIDTH_PX // 2, HEIGHT_PX // 2), strict=True):
            size = draw(st.integers(160, 10 * room)) / 10  # at least 16 px: one grid point of a distance layout
            edges.append((start + draw(st.floats(0, 1)) * (room - size), size))
        (left, width), (top, height) = edges
        things.append(Thing(draw(st.integers(0, CLASSES - 1)), score / 100, (left, top, left + width, top + height)))
    return sorted(things, key=lambda thing: -thing.score)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
@settings(max_examples=60)
@given(things=scenes())
def test_what_was_written_is_read(case: Case, things: list[Thing]) -> None:
    outputs = case.encode(things)
    boxes = decoder_of(tiny_manifest(case.layout)).decode(outputs, score_min=0.5)
    assert boxes.labels.tolist() == [thing.label for thing in things]
    np.testing.assert_allclose(boxes.corners.reshape(-1), [e for t in things for e in t.corners], atol=2e-2)
    np.testing.assert_allclose(boxes.scores, [thing.score for thing in things], atol=1e-4)
    corners, _, _ = as_arrays(
        slow_decode(case.layout, outputs, width=WIDTH_PX, height=HEIGHT_PX, classes=CLASSES, score_min=0.5)
    )
    np.testing.assert_allclose(boxes.corners, corners, atol=1e-3)


_HOSTILE = [0.0, 1.0, -1.0, 0.5, 2.5, 1e-30, 3e38, -3e38, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    poison=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10**6), st.sampled_from(_HOSTILE)), max_size=4),
    bend=st.sampled_from(["nothing", "order", "rank", "dtype", "length", "count"]),
)
def test_whatever_a_file_answers_it_is_boxes_or_a_sentence(
    case: Case, seed: int, poison: list[tuple[int, int, float]], bend: str
) -> None:
    outputs = case.chance(np.random.default_rng(seed))
    for which, place, value in poison:
        flat = outputs[which % len(outputs)].reshape(-1)
        if flat.size and flat.dtype.kind == "f":
            flat[place % flat.size] = value
    decoder = decoder_of(tiny_manifest(case.layout))
    try:
        boxes = decoder.decode(bent(outputs, bend), score_min=0.3)
    except ModelError:
        return
    assert np.isfinite(boxes.corners).all()
    assert ((boxes.scores >= 0.3) & (boxes.scores <= 1)).all()
    assert (np.diff(boxes.scores) <= 0).all()
    assert ((boxes.labels >= 0) & (boxes.labels < CLASSES)).all()


def bent(outputs: list[Tensor], bend: str) -> list[Tensor]:
    """Return the outputs as another export might have them."""
    first = outputs[0]
    with np.errstate(over="ignore"):
        half = first.astype(np.float16)
    bends = {
        "nothing": [first, *outputs[1:]],
        "order": [*outputs[1:], first],
        "rank": [first[0], *outputs[1:]],
        "dtype": [half, *outputs[1:]],
        "length": [first[:, :-1], *outputs[1:]],
        "count": [first, *outputs],
    }
    return bends[bend]
