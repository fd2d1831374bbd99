"""The vision process of a simulated device: ours, with a camera that looks at the made-up world."""

import argparse
import sys

from edge.clock import clock_ms
from edge.sight.vision import serve_own_camera
from firmware_sim.camera import SimulatedCamera
from firmware_sim.device import Place
from protocol.units import UnixMs


def main() -> int:
    """Draw what the place on the command line sees, and look at it; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="Example: started by `cairn-sim device`, not by hand; see firmware_sim/device.py"
    )
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--camera", type=int, required=True)
    parser.add_argument("--cameras", type=int, required=True)
    parser.add_argument("--starts-at-ms", type=int, required=True)
    parser.add_argument("--frames-per-s", type=int, required=True)
    parser.add_argument("--ends-at-ms", type=int)
    told = parser.parse_args()
    place = Place(told.seed, told.camera, told.cameras, UnixMs(told.starts_at_ms))
    return serve_own_camera(
        lambda: SimulatedCamera(
            place.world(),
            place.camera_index,
            frames_per_s=told.frames_per_s,
            now_ms=clock_ms,
            ends_at_ms=None if told.ends_at_ms is None else UnixMs(told.ends_at_ms),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
