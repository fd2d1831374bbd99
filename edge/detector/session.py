"""How a model may be run on this machine: which runner, which execution providers, how many threads."""

import os
from dataclasses import dataclass
from pathlib import Path

# Fastest first. The wheel lists AzureExecutionProvider before the CPU, which is why nothing trusts its order.
PROVIDERS = (
    "TensorrtExecutionProvider",
    "CUDAExecutionProvider",
    "XnnpackExecutionProvider",
    "OpenVINOExecutionProvider",
    "CPUExecutionProvider",
)
_TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """How the runtime may use this machine."""

    intra_op_threads: int = 0  # 0: one fewer than this machine has cores, see `spare_cores`
    providers: tuple[str, ...] = PROVIDERS  # tried in this order; AzureExecutionProvider is never used
    runner: str = ""  # empty: the one that the manifest names
    is_fallback_allowed: bool = False  # whether ONNX Runtime may stand in for a runner that is not installed
    engine_folder: Path | None = None  # where TensorRT keeps its compiled engines between starts

    @property
    def threads(self) -> int:
        """The number of threads that work on one frame, at least 1."""
        return self.intra_op_threads or spare_cores()


def spare_cores(topology: Path = _TOPOLOGY, *, allowed: frozenset[int] | None = None) -> int:
    """Return how many physical cores a model may have: one is left to the camera and the uplink, at least 1.

    Args:
        topology: the kernel's folder of CPUs; where it says nothing, every logical CPU is a core.
        allowed: the logical CPUs that this process may use; asked of the kernel where not given.
    """
    usable = os.sched_getaffinity(0) if allowed is None else allowed
    cores = {_siblings_of(cpu, topology) for cpu in usable}
    return max(1, len(cores) - 1)


def _siblings_of(cpu: int, topology: Path) -> str:
    try:
        return (topology / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
    except OSError:
        return f"cpu {cpu}"
