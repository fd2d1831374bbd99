"""The examiner of detectors: perfect answers score one, blind ones zero, and each kind of mistake costs its price."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest

from edge.detector.detection import Detection
from firmware_sim.training.accuracy import accuracy
from firmware_sim.training.samples import CLASSES, HELD_OUT_SEEDS, TRAIN_SEEDS, Sample, samples
from protocol.units import PPM_ONE, Ppm

THRESHOLD_PPM = 450_000


@dataclass
class Recited:
    """A detector that recites prepared answers, one frame after the other."""

    answers: Iterable[tuple[Detection, ...]]
    model_digest: bytes = bytes(32)
    provider: str = "recited"
    _left: list[tuple[Detection, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._left = list(self.answers)

    def detect(self, frame_bgr: npt.NDArray[np.uint8]) -> tuple[Detection, ...]:
        assert frame_bgr.dtype == np.uint8
        return self._left.pop(0)


@pytest.fixture(scope="module")
def frames() -> list[Sample]:
    found = list(samples(HELD_OUT_SEEDS[7], 36, passes_per_minute=20.0))
    assert {int(label) for frame in found for label in frame.labels[frame.is_plain]} == set(range(len(CLASSES)))
    return found


def _truth(frame: Sample, *, confidence_ppm: int = 900_000) -> tuple[Detection, ...]:
    found = []
    for box, label in zip(frame.boxes_px[frame.is_plain], frame.labels[frame.is_plain], strict=True):
        left, top, right, bottom = (int(edge) for edge in np.rint(box))
        found.append(Detection(CLASSES[label], Ppm(confidence_ppm), (left, top, max(right, left + 1), bottom)))
    return tuple(found)


def test_who_finds_everything_and_nothing_else_is_perfect(frames: list[Sample]) -> None:
    measured = accuracy(Recited(map(_truth, frames)), frames, threshold_ppm=THRESHOLD_PPM)
    assert set(measured.ap50_ppm.values()) == {PPM_ONE}
    assert (measured.precision_ppm, measured.recall_ppm) == (PPM_ONE, PPM_ONE)
    assert measured.objects == sum(int(frame.is_plain.sum()) for frame in frames) > 12


def test_who_is_blind_finds_nothing(frames: list[Sample]) -> None:
    measured = accuracy(Recited([()] * len(frames)), frames, threshold_ppm=THRESHOLD_PPM)
    assert (set(measured.ap50_ppm.values()), measured.recall_ppm) == ({0}, 0)


def test_unsure_answers_do_not_count_at_the_threshold(frames: list[Sample]) -> None:
    unsure = Recited(_truth(frame, confidence_ppm=THRESHOLD_PPM - 1) for frame in frames)
    assert accuracy(unsure, frames, threshold_ppm=THRESHOLD_PPM).recall_ppm == 0


def test_every_second_sight_of_one_thing_is_a_mistake(frames: list[Sample]) -> None:
    twice = Recited((*_truth(frame), *_truth(frame, confidence_ppm=800_000)) for frame in frames)
    measured = accuracy(twice, frames, threshold_ppm=THRESHOLD_PPM)
    # The second answers may still fall on neighbours of the same class that are hardly visible: those cost nothing.
    assert 500_000 <= measured.precision_ppm <= 520_000
    assert measured.recall_ppm == PPM_ONE


def test_boxes_in_the_wrong_place_are_wrong(frames: list[Sample]) -> None:
    moved = [
        tuple(Detection(each.class_id, each.confidence_ppm, (0, 0, 3, 3)) for each in _truth(frame)) for frame in frames
    ]
    assert accuracy(Recited(moved), frames, threshold_ppm=THRESHOLD_PPM).precision_ppm == 0


def test_training_and_judging_share_no_world() -> None:
    assert set(TRAIN_SEEDS).isdisjoint(HELD_OUT_SEEDS)


def test_samples_are_a_function_of_their_seed() -> None:
    first, again = (list(samples(3, 3, passes_per_minute=12.0)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.frame_bgr, other.frame_bgr)
        assert np.array_equal(one.boxes_px, other.boxes_px)
