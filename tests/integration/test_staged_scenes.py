"""Scripted scenes as pictures, through the whole seeing half: gate, shipped detector, tracker, restart."""

from itertools import count, islice

import pytest

from edge.detector.manifest import load_manifest
from edge.detector.model import ModelDetector
from edge.sight.finished import Seen
from edge.sight.pipeline import Pipeline, PipelineSettings
from edge.sight.tracker import Tracker
from firmware_sim.authors import script
from firmware_sim.models import CAIRN_TINY, CAIRN_TINY_MANIFEST
from firmware_sim.scripts import Kind, Script
from firmware_sim.staging import StagedCamera, can_be_staged, people_in
from protocol.classes import PERSON

SCENES_A_KIND = 2


@pytest.fixture(scope="module")
def detector() -> ModelDetector:
    return ModelDetector(CAIRN_TINY.read_bytes(), load_manifest(CAIRN_TINY_MANIFEST))


def watch(scene: Script, detector: ModelDetector) -> tuple[Seen, ...]:
    """Watch ``scene`` with one pipeline, or with two, the first of which is killed."""
    if scene.dead_ms is None:
        return tuple(pipeline(StagedCamera(scene), detector).run(lambda: False))
    dies_ms, resumes_ms = scene.dead_ms
    first = pipeline(StagedCamera(scene), detector)
    seen: list[Seen] = []
    state = b""
    for batch in first.batches(lambda: False):
        if (first.stats.last_frame_at_ms or 0) >= dies_ms:
            break  # killed with this frame in hand: it told and kept nothing of it
        seen += batch
        state = first.state()
    return (*seen, *pipeline(StagedCamera(scene, begins_ms=resumes_ms), detector, resume=state).run(lambda: False))


def pipeline(camera: StagedCamera, detector: ModelDetector, *, resume: bytes | None = None) -> Pipeline:
    settings = PipelineSettings(class_ids=frozenset({PERSON}), is_gated=True, resume=resume)
    return Pipeline(camera, detector, Tracker(), settings=settings)


@pytest.mark.parametrize("kind", Kind)
def test_what_is_seen_of_a_scene_is_counted_exactly(kind: Kind, detector: ModelDetector) -> None:
    scenes = islice((scene for seed in count() if can_be_staged(scene := script(kind, seed))), SCENES_A_KIND)
    for scene in scenes:
        assert people_in(watch(scene, detector)) == scene.people, scene.seed
