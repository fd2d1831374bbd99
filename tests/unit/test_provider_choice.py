"""Which execution provider runs a model: the fastest that proves itself, and what was skipped is told with its reason.

No GPU is needed: the runtimes here make real sessions on the CPU and behave towards their caller like others. What can
only be seen on real hardware is in the last tests, which run on every provider that this ONNX Runtime has.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from edge.detector.detection import ModelError
from edge.detector.layouts import YoloV8
from edge.detector.manifest import InputSpec
from edge.detector.model import ModelDetector
from edge.detector.runner import Feed
from edge.detector.runners.onnx import OnnxRunner, open_onnx, open_session, provider_chain, session_settings
from edge.detector.session import PROVIDERS, SessionOptions, spare_cores
from tests.support.layout_cases import HEIGHT_PX, WIDTH_PX, Thing, cases
from tests.support.tiny_models import tiny_manifest, tiny_model

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
XNNPACK, OPENVINO, AZURE = "XnnpackExecutionProvider", "OpenVINOExecutionProvider", "AzureExecutionProvider"
CASE = next(case for case in cases() if isinstance(case.layout, YoloV8))
FILE = tiny_model(CASE.encode([Thing(0, 0.9, (10.0, 12.0, 42.0, 40.0))]), CASE.encode(()))
PICTURE = Feed("picture", (1, 3, HEIGHT_PX, WIDTH_PX), "float32")
Chain = list[tuple[str, dict[str, str]]]


class Stranger:
    """A session that runs on the CPU and says that it runs elsewhere."""

    def __init__(self, real: ort.InferenceSession, says: str, *, behaviour: str) -> None:
        self._real, self._says = real, CPU if behaviour == "falls back" else says
        self._nodes_on = CPU if behaviour == "takes nothing" else says
        self._fails, self._gives_up = behaviour == "fails to run", behaviour == "falls back while running"

    def get_providers(self) -> list[str]:
        return [self._says, CPU]

    def get_provider_graph_assignment_info(self) -> list[Any]:
        return [SimpleNamespace(ep_name=self._nodes_on)]

    def get_inputs(self) -> Any:
        return self._real.get_inputs()

    def get_outputs(self) -> Any:
        return self._real.get_outputs()

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> Any:
        if self._fails:
            raise RuntimeError("out of device memory\nand much more")
        if self._gives_up:
            self._says = CPU  # what the runtime's own wrapper may do after a failed run
        return self._real.run(names, feeds)


class Machine:
    """A make-believe machine: how each provider behaves, and what was asked of the session factory."""

    def __init__(self, behaviour: Mapping[str, str]) -> None:
        self.behaviour = behaviour
        self.asked: list[Chain] = []

    def open_session(self, model: bytes, settings: ort.SessionOptions, providers: Chain) -> Any:
        self.asked.append(providers)
        name = providers[0][0]
        behaviour = self.behaviour.get(name, "works")
        if behaviour == "does not start":
            raise RuntimeError("libcudart.so.12: cannot open shared object file")
        real = ort.InferenceSession(model, settings, providers=[CPU])
        if name == CPU:
            return real
        return Stranger(real, name, behaviour=behaviour)

    def open(self, offered: Sequence[str], options: SessionOptions | None = None) -> OnnxRunner:
        options = options or SessionOptions(intra_op_threads=1)
        return open_onnx(FILE, [PICTURE], options, offered=offered, open_session=self.open_session)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([AZURE, CPU], CPU),
        ([CPU, CUDA], CUDA),
        ([CPU, CUDA, TENSORRT], TENSORRT),
        ([AZURE, XNNPACK, CPU], XNNPACK),
        ([OPENVINO, XNNPACK, CPU], XNNPACK),
        ([OPENVINO, CPU], OPENVINO),
    ],
)
def test_the_fastest_that_is_there_runs_the_model(offered: list[str], chosen: str) -> None:
    machine = Machine({})
    runner = machine.open(offered)
    assert (runner.provider, runner.skipped) == (chosen, ())
    assert len(machine.asked) == 1


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("does not start", "libcudart"),
        ("fails to run", "out of device memory"),
        ("falls back", "fell back to CPUExecutionProvider without a word"),
        ("falls back while running", "fell back to CPUExecutionProvider without a word"),
        ("takes nothing", "knows no part of this model"),
    ],
)
def test_a_provider_that_does_not_prove_itself_is_skipped_and_its_reason_kept(behaviour: str, reason: str) -> None:
    runner = Machine({TENSORRT: behaviour, CUDA: behaviour}).open([TENSORRT, CUDA, CPU])
    assert runner.provider == CPU
    assert [name for name, _ in runner.skipped] == [TENSORRT, CUDA]
    for _, why in runner.skipped:
        assert reason in why
        assert "\n" not in why


def test_cuda_stands_in_where_tensorrt_fails() -> None:
    runner = Machine({TENSORRT: "fails to run"}).open([TENSORRT, CUDA, CPU])
    assert runner.provider == CUDA
    assert [name for name, _ in runner.skipped] == [TENSORRT]


def test_nothing_ever_asks_for_azure() -> None:
    assert AZURE not in PROVIDERS
    machine = Machine({})
    with pytest.raises(ModelError, match="None of AzureExecutionProvider"):
        machine.open([AZURE, CPU], SessionOptions(providers=(AZURE,)))
    machine.open([AZURE, CPU])
    assert AZURE not in {name for chain in machine.asked for name, _ in chain}


def test_where_the_last_choice_fails_too_its_reason_is_the_error() -> None:
    with pytest.raises(ModelError, match="out of device memory"):
        Machine({CUDA: "fails to run"}).open([CUDA, CPU], SessionOptions(providers=(CUDA,)))


def test_of_a_long_reason_the_end_is_kept_where_it_stands() -> None:
    def open_session(_model: bytes, _settings: ort.SessionOptions, _providers: Chain) -> Any:
        raise RuntimeError(
            "/core/cuda_call.cc:129 " + "std::conditional_t<THRW> " * 40 + "no CUDA-capable device is detected."
        )

    with pytest.raises(ModelError, match="no CUDA-capable device is detected") as caught:
        open_onnx(FILE, [PICTURE], SessionOptions(), offered=[CPU], open_session=open_session)
    assert len(str(caught.value)) < 450


def test_a_broken_file_is_blamed_on_the_file() -> None:
    with pytest.raises(ModelError, match="truncated or not ONNX"):
        open_onnx(FILE[:50], [PICTURE], SessionOptions(), offered=[CPU, CUDA], open_session=Machine({}).open_session)


def test_tensorrt_may_lean_on_cuda_and_all_on_the_cpu() -> None:
    machine = Machine({TENSORRT: "does not start"})
    machine.open([TENSORRT, CUDA, CPU])
    assert [[name for name, _ in chain] for chain in machine.asked] == [[TENSORRT, CUDA, CPU], [CUDA, CPU]]


def test_tensorrt_keeps_its_engines_where_it_is_told(tmp_path: Path) -> None:
    (_, own), *_ = provider_chain(TENSORRT, SessionOptions(engine_folder=tmp_path), {TENSORRT, CPU})
    assert own["trt_engine_cache_path"] == own["trt_timing_cache_path"] == str(tmp_path)
    assert provider_chain(TENSORRT, SessionOptions(), {TENSORRT})[0] == (TENSORRT, {})


def test_xnnpack_brings_its_own_threads_and_no_pool_spins() -> None:
    options = SessionOptions(intra_op_threads=3)
    assert provider_chain(XNNPACK, options, {CPU})[0] == (XNNPACK, {"intra_op_num_threads": "3"})
    assert provider_chain(OPENVINO, options, {CPU})[0] == (OPENVINO, {"num_of_threads": "3"})
    assert session_settings(XNNPACK, 3).intra_op_num_threads == 1
    assert session_settings(CPU, 3).intra_op_num_threads == 3
    for provider in PROVIDERS:
        settings = session_settings(provider, 2)
        assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"
        assert settings.inter_op_num_threads == 1
        assert settings.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL
        assert settings.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def test_one_physical_core_is_left_to_the_rest_of_the_device(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(("0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7")):
        (tmp_path / f"cpu{cpu}" / "topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}" / "topology" / "thread_siblings_list").write_text(siblings + "\n")
    assert spare_cores(tmp_path, allowed=frozenset(range(8))) == 3
    assert spare_cores(tmp_path, allowed=frozenset({0, 4})) == 1
    assert spare_cores(tmp_path / "nothing here", allowed=frozenset(range(4))) == 3
    assert SessionOptions().threads == spare_cores() >= 1
    assert SessionOptions(intra_op_threads=5).threads == 5


HERE = [name for name in PROVIDERS if name in ort.get_available_providers()]


@pytest.mark.parametrize("provider", HERE)
def test_every_provider_of_this_runtime_answers_like_the_cpu(provider: str) -> None:
    """On a machine with a GPU and its runtime this is the GPU's test; the plain wheel offers the CPU only."""
    manifest = tiny_manifest(CASE.layout, input=InputSpec(WIDTH_PX, HEIGHT_PX))
    frame = np.full((HEIGHT_PX, WIDTH_PX, 3), 200, np.uint8)
    here = ModelDetector(FILE, manifest, options=SessionOptions(intra_op_threads=1, providers=(provider,)))
    reference = ModelDetector(FILE, manifest, options=SessionOptions(intra_op_threads=1, providers=(CPU,)))
    assert here.provider == provider
    assert here.detect(frame) == reference.detect(frame) != ()


def test_the_assignment_of_nodes_is_what_this_runtime_tells() -> None:
    """The wheel in use has the question that tells a silent fallback; the make-believe sessions answer alike."""
    settings = session_settings(CUDA, 1)  # asks for the record, as for every provider but the CPU
    session = open_session(FILE, settings, [(CPU, {})])
    assert {part.ep_name for part in session.get_provider_graph_assignment_info()} == {CPU}
