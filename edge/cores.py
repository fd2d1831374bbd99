"""Whether work can be shared out at all."""

import os


def has_second_core() -> bool:
    """Whether this process may use more than one CPU; on a single one, threads that look ahead only cost (measured)."""
    return len(os.sched_getaffinity(0)) > 1
