"""One HTTP server in a thread of its own."""

import socket
import threading
import time
from typing import Final

import uvicorn
from fastapi import FastAPI

_START_WAIT_S: Final = 15.0
_STOP_WAIT_S: Final = 10.0
_POLL_S: Final = 0.02


class HttpError(Exception):
    """The HTTP side cannot be opened."""


def url_of(host: str, port: int) -> str:
    """Return how this machine reaches what listens on ``host``, which may be all addresses."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 # compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


class HttpServer:
    """Serves one application until `stop`."""

    def __init__(self, host: str, port: int) -> None:
        """Take the address; port 0 takes a free one.

        Raises:
            HttpError: it is taken, or not ours to take.
        """
        try:
            self._socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise HttpError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --http-port") from error
        self.host = host
        self.port = int(self._socket.getsockname()[1])
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address of the first page."""
        return url_of(self.host, self.port)

    def start(self, app: FastAPI) -> None:
        """Serve ``app``; return once it answers.

        Raises:
            HttpError: it did not come up.
        """
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", loop="asyncio", server_header=False
        )
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(target=server.run, kwargs={"sockets": [self._socket]}, name="http", daemon=True)
        self._thread.start()
        deadline_s = time.monotonic() + _START_WAIT_S
        while not server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline_s:
                raise HttpError("the HTTP server did not come up")
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Finish the answers under way and let go of the port."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(_STOP_WAIT_S / 2)
            self._server.force_exit = True
            self._thread.join(_STOP_WAIT_S / 2)
        self._socket.close()
