"""One HTTP server in a thread of its own, on a port that is known before it serves."""

import socket
import threading
import time
from typing import Final

import uvicorn
from fastapi import FastAPI

_WITHIN_S: Final = 15.0
_POLL_S: Final = 0.02


class HttpError(Exception):
    """The HTTP side cannot be opened."""


class HttpServer:
    """Takes its address when built, serves from `start` to `stop`."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address; port 0 takes a free one.

        Raises:
            HttpError: it is taken, or not ours to take.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise HttpError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --http-port") from error
        self._host = f"[{host}]" if ":" in host else host
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address of the first page, as seen from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(self._host, self._host)  # noqa: S104 - compared, not bound
        return f"http://{host}:{self._socket.getsockname()[1]}"

    def start(self, app: FastAPI) -> None:
        """Serve ``app``; return once it answers.

        Raises:
            HttpError: it did not come up.
        """
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none", loop="asyncio")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True
        )
        self._thread.start()
        deadline_s = time.monotonic() + _WITHIN_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise HttpError("the HTTP server did not come up: see the log")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Finish the answers under way, for a while, and let go of the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_WITHIN_S / 3)
            self._server.force_exit = True
            self._thread.join(_WITHIN_S / 3)
        self._socket.close()
