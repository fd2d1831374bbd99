"""What a confined process finds when it tries what it must not: JSON on stdout."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnxruntime


def main() -> int:
    """Try everything that the arguments name; tell what worked."""
    secret, readable, writable, model = (Path(word) for word in sys.argv[1:5])
    found = {
        "confined": os.environ["CAIRN_CONFINED"],
        "secret": _works(secret.read_bytes),
        "secret_by_a_child": _works(lambda: subprocess.run(["cat", str(secret)], check=True, capture_output=True)),
        "listing": _works(lambda: list(secret.parent.iterdir())),
        "readable": _works(readable.read_bytes),
        "readable_for_writing": _works(lambda: readable.write_bytes(b"x")),
        "writable": _works(lambda: (writable / "new").write_bytes(b"x")),
        "outside": _works(lambda: (secret.parent / "new").write_bytes(b"x")),
        "local_socket": _works(lambda: socket.socket(socket.AF_UNIX).close()),
        "model": _works(lambda: onnxruntime.InferenceSession(model.read_bytes())),
        "picture": _works(lambda: cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))),
    }
    for family in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"):
        found[family] = _works(lambda family=family: socket.socket(getattr(socket, family), socket.SOCK_RAW).close())
        found[family + "_stream"] = _works(lambda family=family: socket.socket(getattr(socket, family)).close())
    print(json.dumps(found))
    return 0


def _works(attempt: object) -> bool:
    try:
        attempt()  # type: ignore[operator]
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
