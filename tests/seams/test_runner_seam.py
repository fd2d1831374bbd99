"""Every runner keeps the seam's promise, and the pipeline does not notice which one is behind it.

ONNX Runtime and OpenCV are ours; ``reference`` is another package's, found by its entry point.
"""

import threading
from collections.abc import Mapping
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import pytest

from edge.camera.recorded import FolderCamera
from edge.detector.detection import Detection, ModelError
from edge.detector.layouts import YoloxRaw
from edge.detector.model import ModelDetector
from edge.detector.runner import Feed, OpenRunner, Runner, Tensor
from edge.detector.runners.finding import find_runner
from edge.detector.session import PROVIDERS, SessionOptions
from edge.models.opening import open_model
from edge.sight.finished import FinishedTrack
from edge.sight.pipeline import Pipeline
from edge.sight.tracker import Tracker
from protocol.units import UnixMs
from tests.support.layout_cases import HEIGHT_PX, WIDTH_PX, Thing, cases
from tests.support.tiny_models import tiny_manifest, tiny_model

# ONNX Runtime passes once on each provider that it has here: on a machine with a GPU, on the GPU too.
PROVIDERS_HERE = [name for name in PROVIDERS if name in ort.get_available_providers()]
RUNNERS = [*(("onnxruntime", (name,)) for name in PROVIDERS_HERE), ("opencv", PROVIDERS), ("reference", PROVIDERS)]
OURS = RUNNERS[:-1]
PICTURE = Feed("picture", (1, 3, HEIGHT_PX, WIDTH_PX), "float32")
OPTIONS = SessionOptions(intra_op_threads=1)
CASE = next(case for case in cases() if isinstance(case.layout, YoloxRaw))
(BRIGHT,), (DARK,) = CASE.encode([Thing(0, 0.9, (10.0, 12.0, 42.0, 40.0))]), CASE.encode(())
FILE = tiny_model([BRIGHT], [DARK])
STARTED_AT_MS = UnixMs(1_000_000)


@pytest.fixture(autouse=True)
def _an_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package, installed as pip leaves it: its metadata names an entry point of the group."""
    folder = tmp_path / "site-packages" / "slow_and_sure-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: slow-and-sure\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[cairn.runners]\nreference = tests.support.reference_runner:open_reference\n"
        "torn = tests.support.not_there:open_torn\n"
    )
    monkeypatch.syspath_prepend(folder.parent)


@pytest.fixture(params=RUNNERS, ids=lambda param: f"{param[0]} on {param[1][0]}" if len(param[1]) == 1 else param[0])
def options(request: pytest.FixtureRequest) -> SessionOptions:
    name, providers = request.param
    return SessionOptions(intra_op_threads=1, runner=name, providers=providers)


@pytest.fixture
def open_with(options: SessionOptions) -> OpenRunner:
    return find_runner(options.runner)


@pytest.fixture
def runner(open_with: OpenRunner, options: SessionOptions) -> Runner:
    return open_with(FILE, [PICTURE], options)


def picture(value: float) -> Tensor:
    return np.full(PICTURE.shape, value, np.float32)


def only(outputs: Mapping[str, Tensor]) -> Tensor:
    (output,) = outputs.values()
    return output


def test_the_model_s_answer_comes_back_by_the_name_the_file_gives_it(runner: Runner) -> None:
    outputs = runner.run([picture(200)])
    assert list(outputs) == ["name_0"]
    np.testing.assert_allclose(outputs["name_0"], BRIGHT, rtol=1e-6)
    np.testing.assert_allclose(only(runner.run([picture(3)])), DARK, rtol=1e-6)


def test_answers_and_questions_are_left_alone(runner: Runner) -> None:
    asked = picture(200)
    first = only(runner.run([asked]))
    kept = first.copy()
    runner.run([picture(3)])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(asked, picture(200))


def test_it_says_who_runs_the_model(runner: Runner) -> None:
    assert runner.provider
    assert runner.skipped == ()


@pytest.mark.parametrize(
    "broken", [b"", b"not a model at all", FILE[:60], FILE[:-40]], ids=["empty", "text", "head", "truncated"]
)
def test_what_is_no_model_is_refused_in_one_sentence(open_with: OpenRunner, broken: bytes) -> None:
    with pytest.raises(ModelError) as caught:
        open_with(broken, [PICTURE], OPTIONS)
    assert "\n" not in str(caught.value)


def test_it_may_be_opened_in_one_thread_and_run_in_another(runner: Runner) -> None:
    answers: list[Tensor] = []
    thread = threading.Thread(target=lambda: answers.append(only(runner.run([picture(200)]))))
    thread.start()
    thread.join()
    np.testing.assert_allclose(answers[0], BRIGHT, rtol=1e-6)


def _recording(folder: Path) -> Path:
    """Twelve pictures: bright ones, in which the tiny model sees a car, between dark ones."""
    folder.mkdir()
    for index in range(12):
        frame = np.full((HEIGHT_PX, WIDTH_PX, 3), 220 if 3 <= index < 9 else 10, np.uint8)
        assert cv2.imwrite(str(folder / f"{index:02}.png"), frame)
    return folder


def test_the_pipeline_follows_the_same_car_whoever_runs_the_model(options: SessionOptions, tmp_path: Path) -> None:
    detector = ModelDetector(FILE, tiny_manifest(CASE.layout), options=options)
    with FolderCamera(_recording(tmp_path / "pictures"), fps=10, started_at_ms=STARTED_AT_MS) as camera:
        seen = list(Pipeline(camera, detector, Tracker()).run(lambda: False))
    tracks = [each for each in seen if isinstance(each, FinishedTrack)]
    assert [(track.first_seen_ms - STARTED_AT_MS, track.last_seen_ms - STARTED_AT_MS) for track in tracks] == [
        (300, 800)
    ]


def test_the_manifest_may_name_the_runner_and_the_settings_overrule_it() -> None:
    manifest = tiny_manifest(CASE.layout, runner="reference")
    assert ModelDetector(FILE, manifest, options=OPTIONS).provider == "onnx reference"
    overruled = ModelDetector(FILE, manifest, options=SessionOptions(intra_op_threads=1, runner="opencv"))
    assert overruled.provider == "OpenCV DNN"


@pytest.mark.parametrize(
    ("name", "reason"), [("torn", "cannot be imported: No module named"), ("ncnn", "install the package")]
)
def test_a_runner_that_cannot_be_had_stops_the_start_unless_another_may_stand_in(name: str, reason: str) -> None:
    manifest = tiny_manifest(CASE.layout)
    with pytest.raises(ModelError, match=reason) as caught:
        ModelDetector(FILE, manifest, options=SessionOptions(runner=name))
    assert "\n" not in str(caught.value)
    on_cpu = SessionOptions(runner=name, is_fallback_allowed=True, providers=("CPUExecutionProvider",))
    lenient = ModelDetector(FILE, manifest, options=on_cpu)
    assert lenient.provider == "CPUExecutionProvider"
    ((skipped, why),) = lenient.skipped
    assert skipped == name
    assert reason in why


@pytest.mark.parametrize(("name", "providers"), OURS)
def test_the_real_model_passes_its_self_test_on_ours(name: str, providers: tuple[str, ...], assets: Path) -> None:
    path = assets / "yolox_nano_416.onnx"
    opened = open_model(path, options=SessionOptions(intra_op_threads=1, runner=name, providers=providers))
    on_cpu = SessionOptions(intra_op_threads=1, providers=("CPUExecutionProvider",))
    reference = open_model(path, options=on_cpu).detector
    video = cv2.VideoCapture(str(assets / "people_one_by_one.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, 120)
    frame = np.asarray(video.read()[1], np.uint8)
    video.release()
    found, expected = _sure(opened.detector.detect(frame)), _sure(reference.detect(frame))
    assert [each.class_id for each in found] == [each.class_id for each in expected] != []
    # Runtimes sum in different orders.
    for one, other in zip(found, expected, strict=True):
        assert one.confidence_ppm == pytest.approx(other.confidence_ppm, abs=2_000)
        assert one.box_px == pytest.approx(other.box_px, abs=1)


def _sure(found: tuple[Detection, ...]) -> list[Detection]:
    return [each for each in found if each.confidence_ppm > 500_000]


def test_opencv_says_what_it_cannot_run() -> None:
    sizes = Feed("orig_target_sizes", (1, 2), "int64")
    with pytest.raises(ModelError, match="use onnxruntime"):
        find_runner("opencv")(FILE, [PICTURE, sizes], OPTIONS)


def test_nobody_can_take_the_name_of_our_own_runner() -> None:
    usurper = EntryPoint("onnxruntime", "tests.support.reference_runner:open_reference", "cairn.runners")
    assert find_runner("onnxruntime", offered=[usurper]) is find_runner("onnxruntime", offered=[])
