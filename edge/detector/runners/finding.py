"""From a runner's name to the function that opens it: those of this agent, then those that other packages offer.

Names are resolved late, so that a device whose model runs on its accelerator never loads ONNX Runtime.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points

from edge.detector.detection import ModelError
from edge.detector.runner import Feed, OpenRunner, Runner, Skipped
from edge.detector.session import SessionOptions

GROUP = "cairn.runners"
ONNX_RUNTIME = "onnxruntime"
OWN_RUNNERS = (
    EntryPoint(ONNX_RUNTIME, "edge.detector.runners.onnx:open_onnx", GROUP),
    EntryPoint("opencv", "edge.detector.runners.opencv:open_opencv", GROUP),
)
# What an import of somebody else's package, with shared libraries in it, may end in.
_IMPORT_ERRORS = (ImportError, AttributeError, OSError, RuntimeError, ValueError, TypeError, SyntaxError)


def find_runner(name: str, *, offered: Iterable[EntryPoint] | None = None) -> OpenRunner:
    """Return what opens models with the runner ``name``.

    Args:
        name: ``onnxruntime``, ``opencv``, or one that an installed package offers; own names come first.
        offered: the entry points to look among; those of the installed packages where not given.

    Raises:
        ModelError: nobody offers it, or its package cannot be imported.
    """
    others = tuple(entry_points(group=GROUP) if offered is None else offered)
    known = {point.name: point for point in reversed((*OWN_RUNNERS, *others))}
    if name not in known:
        raise ModelError(
            f"No runner is called {name!r} (there are {', '.join(sorted(known))}): install the package that has it, "
            "or correct the name."
        )
    try:
        found: OpenRunner = known[name].load()
    except _IMPORT_ERRORS as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:300].rstrip(". ")
        raise ModelError(
            f"The runner {name!r} ({known[name].value}) cannot be imported: {reason}. Install its package again."
        ) from error
    return found


def open_runner(
    model: bytes,
    feeds: Sequence[Feed],
    options: SessionOptions,
    *,
    named_by_manifest: str,
    offered: Iterable[EntryPoint] | None = None,
) -> tuple[Runner, Skipped]:
    """Open ``model`` with the runner that the options name, else the manifest; return what had to be skipped, too.

    ONNX Runtime stands in for a runner that cannot be had, if the options allow it.

    Raises:
        ModelError: the runner cannot be had and nothing may stand in, or it refuses the model.
    """
    name = options.runner or named_by_manifest
    missing: Skipped = ()
    try:
        open_with = find_runner(name, offered=offered)
    except ModelError as error:
        if not options.is_fallback_allowed or name == ONNX_RUNTIME:
            raise
        missing = ((name, str(error)),)
        open_with = find_runner(ONNX_RUNTIME, offered=offered)
    runner = open_with(model, feeds, options)
    return runner, missing + runner.skipped
