"""A TCP line on loopback that counts what goes over it, both ways."""

import selectors
import socket
import threading
from typing import Self

_CHUNK_BYTES = 65_536


class CountingWire:
    """Passes everything on between whoever connects and ``target_port``; `sent` and `received` count the payload."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.2)
        self.port = int(self._server.getsockname()[1])
        self.sent_bytes = 0  # towards the target
        self.received_bytes = 0
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def total_bytes(self) -> int:
        """Both ways together."""
        return self.sent_bytes + self.received_bytes

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(5)
        self._server.close()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                near, _ = self._server.accept()
            except TimeoutError:
                continue
            far = socket.create_connection(("127.0.0.1", self._target_port))
            thread = threading.Thread(target=self._pass_on, args=(near, far), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as selector:
            for each in (near, far):
                selector.register(each, selectors.EVENT_READ)
            while not self._is_over.is_set():
                for key, _ in selector.select(0.2):
                    is_up = key.fileobj is near
                    try:
                        chunk = (near if is_up else far).recv(_CHUNK_BYTES)
                        (far if is_up else near).sendall(chunk)
                    except OSError:
                        return
                    if not chunk:
                        return
                    if is_up:
                        self.sent_bytes += len(chunk)
                    else:
                        self.received_bytes += len(chunk)
