"""ONNX Runtime behind the runner seam: opened quietly, each provider proved by a warm-up run.

The runtime takes a model for a provider that then cannot run it, and answers from the CPU without a word. So a
provider counts only if its session stands, has been given nodes, and has run once; else the next one is tried and
the reason is kept for ``cairn-edge doctor``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from edge.detector.detection import ModelError
from edge.detector.runner import Feed, Skipped, Tensor
from edge.detector.session import SessionOptions

# The runtime's exceptions share no base class of their own.
_RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    ort_state.EPFail,
    ort_state.EngineError,
    ort_state.Fail,
    ort_state.InvalidArgument,
    ort_state.InvalidGraph,
    ort_state.InvalidProtobuf,
    ort_state.NoModel,
    ort_state.NoSuchFile,
    ort_state.NotImplemented,
    ort_state.RuntimeException,
    RuntimeError,
    ValueError,
    OSError,
)
_NEVER = "AzureExecutionProvider"  # would send frames to a server
_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_TENSORRT, _XNNPACK = "TensorrtExecutionProvider", "XnnpackExecutionProvider"
_OPENVINO = "OpenVINOExecutionProvider"
_TYPES = {"float32": "tensor(float)", "float16": "tensor(float16)", "uint8": "tensor(uint8)"} | {
    "int64": "tensor(int64)",
    "int32": "tensor(int32)",
}

ProviderChoice = tuple[str, dict[str, str]]
# Model, settings, providers with their options: what makes a session. An argument, so that choosing needs no GPU.
OpenSession = Callable[[bytes, ort.SessionOptions, list[ProviderChoice]], Any]


class OnnxRunner:
    """A Runner on one ONNX Runtime session."""

    def __init__(self, session: Any, feeds: Sequence[Feed], *, provider: str, skipped: Skipped = ()) -> None:  # noqa: ANN401
        """Use ``session`` (an InferenceSession or what behaves like one) and run it once.

        Raises:
            ModelError: it takes other tensors than ``feeds``, or does not run.
        """
        self._session = session
        self._input_names = _input_names_of(session, feeds)
        self._output_names = [output.name for output in session.get_outputs()]
        self.provider = provider
        self.skipped = skipped
        self.run([feed.blank() for feed in feeds])  # the first run may compile; never on a live frame

    def run(self, tensors: Sequence[Tensor]) -> Mapping[str, Tensor]:
        """Return the model's outputs; see ``Runner.run``."""
        try:
            outputs = self._session.run(None, dict(zip(self._input_names, tensors, strict=True)))
        except _RUNTIME_ERRORS as error:
            raise ModelError(f"ONNX Runtime could not run the model: {_reason(error)}.") from error
        strange = [type(each).__name__ for each in outputs if not isinstance(each, np.ndarray)]
        if strange:
            raise ModelError(f"The model answers with a {strange[0]}, not a tensor: use another export.")
        return dict(zip(self._output_names, outputs, strict=True))


def open_session(model: bytes, settings: ort.SessionOptions, providers: list[ProviderChoice]) -> Any:  # noqa: ANN401
    """Make a real session; the wrapper's own fallback, which prints and hides the reason, is off."""
    return ort.InferenceSession(model, settings, providers=providers, enable_fallback=0)


def open_onnx(
    model: bytes,
    feeds: Sequence[Feed],
    options: SessionOptions,
    *,
    offered: Sequence[str] | None = None,
    open_session: OpenSession = open_session,
) -> OnnxRunner:
    """Load ``model`` on the first of the options' providers that really runs it.

    Args:
        model: the ONNX file's bytes.
        feeds: what it will be given.
        options: providers and threads.
        offered: what this ONNX Runtime has; asked where not given.
        open_session: makes the sessions.

    Raises:
        ModelError: not an ONNX model, other inputs than ``feeds``, or no provider can run it.
    """
    ort.set_default_logger_severity(3)
    here = set(ort.get_available_providers() if offered is None else offered) - {_NEVER}
    wanted = [name for name in options.providers if name in here]
    if not wanted:
        raise ModelError(
            f"None of {', '.join(options.providers)} is in this ONNX Runtime ({', '.join(sorted(here))}): "
            "install the build that has it or ask for CPUExecutionProvider."
        )
    skipped: list[tuple[str, str]] = []
    for name in wanted[:-1]:
        try:
            return _open_on(name, model, feeds, options, (here, open_session, tuple(skipped)))
        except ModelError as error:
            skipped.append((name, str(error)))
    return _open_on(wanted[-1], model, feeds, options, (here, open_session, tuple(skipped)))


def session_settings(provider: str, threads: int) -> ort.SessionOptions:
    """Return the settings of a session on ``provider``.

    Spinning is off: a spinning pool burns cores that the camera and the uplink need. A second thread buys 46 % more
    frames for 98 % more CPU.
    """
    settings = ort.SessionOptions()
    # XNNPACK has its own pool of threads; two pools would fight for the same cores.
    settings.intra_op_num_threads = 1 if provider == _XNNPACK else threads
    settings.inter_op_num_threads = 1
    settings.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    settings.enable_mem_pattern = False  # lowest resident memory with the arena on (measured)
    settings.log_severity_level = 3
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    settings.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if provider != _CPU:
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return settings


def provider_chain(provider: str, options: SessionOptions, here: set[str]) -> list[ProviderChoice]:
    """Return ``provider`` with its own options, followed by those that may take the nodes it does not know."""
    own: dict[str, str] = {}
    if provider == _XNNPACK:
        own = {"intra_op_num_threads": str(options.threads)}
    elif provider == _OPENVINO:
        own = {"num_of_threads": str(options.threads)}  # it looks at none of the session's settings
    elif provider == _CUDA:
        own = {"arena_extend_strategy": "kSameAsRequested"}  # shared memory on a Jetson: take no more than needed
    elif provider == _TENSORRT and options.engine_folder is not None:
        folder = str(options.engine_folder)
        own = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
        own |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
    chain: list[ProviderChoice] = [(provider, own)]
    if provider == _TENSORRT and _CUDA in here:
        chain.append((_CUDA, {}))
    if provider != _CPU and _CPU in here:
        chain.append((_CPU, {}))
    return chain


def _open_on(
    provider: str,
    model: bytes,
    feeds: Sequence[Feed],
    options: SessionOptions,
    setting: tuple[set[str], OpenSession, Skipped],
) -> OnnxRunner:
    here, make_session, skipped = setting
    settings = session_settings(provider, options.threads)
    try:
        session = make_session(model, settings, provider_chain(provider, options, here))
    except _RUNTIME_ERRORS as error:
        remedy = "The file is truncated or not ONNX; get it again" if provider == _CPU else "Another provider may do"
        raise ModelError(f"ONNX Runtime cannot load the model: {_reason(error)}. {remedy}.") from error
    _ensure_on(provider, session)  # before the run: a session that has already fallen back need not run
    runner = OnnxRunner(session, feeds, provider=provider, skipped=skipped)
    _ensure_on(provider, session)
    return runner


def _ensure_on(provider: str, session: Any) -> None:  # noqa: ANN401
    """Raise where the session stands on another provider, or has given this one nothing to do."""
    stands_on = session.get_providers()[0]
    if stands_on != provider:
        raise ModelError(f"{provider} did not start and ONNX Runtime fell back to {stands_on} without a word.")
    if provider == _CPU or not hasattr(session, "get_provider_graph_assignment_info"):
        return  # older runtimes do not tell
    given = [part for part in session.get_provider_graph_assignment_info() if part.ep_name == provider]
    if not given:
        raise ModelError(f"{provider} knows no part of this model, so ONNX Runtime would run all of it elsewhere.")


def _input_names_of(session: Any, feeds: Sequence[Feed]) -> list[str]:  # noqa: ANN401
    """Return the model's name for each feed, found by type and shape."""
    inputs = session.get_inputs()
    names = []
    for feed in feeds:
        typed = [each for each in inputs if each.type == _TYPES[feed.dtype] and len(each.shape) == len(feed.shape)]
        fitting = [each for each in typed if _fits(each.shape, feed.shape)]
        if len(fitting) != 1:
            raise ModelError(_input_problem(feed, typed, inputs))
        names.append(fitting[0].name)
    if len(inputs) != len(names) or len(set(names)) != len(names):
        raise ModelError(
            f"The model takes {_input_words(inputs)}, the manifest speaks of {len(feeds)}: use another export or "
            "correct the adapter in [output]."
        )
    return names


def _fits(shape: Sequence[int | str | None], wanted: Sequence[int]) -> bool:
    # A dynamic axis is a word or None; it fits whatever the manifest says.
    return all(not isinstance(have, int) or have == want for have, want in zip(shape, wanted, strict=True))


def _input_problem(feed: Feed, typed: Sequence[Any], inputs: Sequence[Any]) -> str:
    if len(typed) == 1:
        return (
            f"The model takes {typed[0].shape} for the {feed.role}, the manifest says {list(feed.shape)}: "
            "correct width and height, or layout, in [input]."
        )
    return (
        f"The model takes {_input_words(inputs)}, the manifest gives it a {feed.role} of {list(feed.shape)} "
        f"{feed.dtype}: correct [input], or use another export."
    )


def _input_words(inputs: Sequence[Any]) -> str:
    return " and ".join(f"{each.name}: {each.type} {each.shape}" for each in inputs) or "nothing"


def _reason(error: Exception) -> str:
    """Return the runtime's words as one line; of a long one its ends, for the reason stands last, after C++ names."""
    words = " ".join(str(error).split()) or type(error).__name__
    short = words if len(words) <= 300 else f"{words[:80]} ... {words[-200:]}"
    return short.rstrip(". ")
