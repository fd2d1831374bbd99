"""The capture process: reads one webcam or stream into the shared ring, and may be killed whenever it hangs.

Drivers hang: a stream's read never returns after the network came back, a USB camera stops in the kernel. Such a
thread cannot be ended, such a process can. It has the network (a stream needs it), no key, no model, no tracks.
"""

import os
import sys
import threading
import time
from contextlib import suppress

import msgspec
import numpy as np

from edge.camera.frame import CameraError
from edge.camera.opening import open_camera
from edge.capture.capture_order import CaptureOrder
from edge.capture.picture_ring import PictureRing
from edge.clock import clock_ms
from edge.log import configure_log
from edge.wire import Failed, line_of


def main() -> int:
    """Read the order from stdin, pictures from the source, until stdin is closed or the source is lost."""
    configure_log(is_verbose=False, child="capture")
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=CaptureOrder)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    ring = PictureRing(order.memory_fd)
    try:
        with open_camera(order.source, now_ms=clock_ms) as camera:
            while (frame := camera.read()) is not None:
                height, width = frame.image_bgr.shape[:2]
                ring.write(
                    np.ascontiguousarray(frame.image_bgr).data,
                    captured_at_ms=frame.captured_at_ms,
                    read_at_ns=time.monotonic_ns(),
                    size_px=(width, height),
                )
                with suppress(BlockingIOError):  # the pipe is full of bells: it has been rung
                    os.write(order.ringing_fd, b"!")
    except (CameraError, ValueError) as error:
        sys.stdout.buffer.write(line_of(Failed(str(error), is_final=False)))
        sys.stdout.buffer.flush()
        return 1
    return 0


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)  # the main thread may hang in a driver: nothing else would end it


if __name__ == "__main__":
    sys.exit(main())
