"""A real MJPEG stream on loopback: every picture differs, as a camera's do."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import cv2
import numpy as np

_BOUNDARY = "picture"


class MjpegServer:
    """Streams grey pictures with noise, ten a second, to whoever asks."""

    def __init__(self) -> None:
        self._is_over = threading.Event()
        over = self._is_over

        class Streaming(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self.end_headers()
                noise = np.random.default_rng(1)
                while not over.is_set():
                    shown = noise.integers(90, 110, (120, 160, 3), np.uint8)
                    jpeg = cv2.imencode(".jpg", shown)[1].tobytes()
                    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                    except OSError:
                        return
                    time.sleep(0.1)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Streaming)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/stream"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
