"""``python -m edge.status_page``: show the page until the device is adopted, or until SIGTERM.

Says ``{"http": ADDRESS}`` on stdout once it listens. Exit status 0: it was asked to end, or is not wanted (any more);
1: it cannot listen, one sentence on stderr.
"""

import asyncio
import json
import signal
import socket
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from edge.status_page.content import Content
from edge.status_page.server import STREAM_LIMIT_BYTES, Names, PageServer
from protocol.units import UnixMs

_LOOK_EVERY_S: Final = 1.0
_LINGER_S: Final = 60.0  # so that whoever has just adopted it reads that it worked


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page; return the exit status."""
    options = _parser().parse_args(arguments)
    content = Content(options.dir, now_ms=_clock_ms)
    content.look()
    if options.on == "never" or (options.on == "until_adopted" and content.is_adopted):
        return 0
    try:
        asyncio.run(_serve(options, content))
    except OSError as error:
        print(  # noqa: T201 - this module is a door
            f"cairn-edge: the status page cannot listen on {options.host}:{options.port} ({error.strerror}): choose "
            "another port under [status_page]",
            file=sys.stderr,
        )
        return 1
    return 0


async def _serve(options: Namespace, content: Content) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    page = PageServer(content.paths(), _names(options.host), patience_s=options.patience_s)
    server = await asyncio.start_server(page.serve, options.host, options.port, limit=STREAM_LIMIT_BYTES)
    async with server:
        port = server.sockets[0].getsockname()[1]
        print(json.dumps({"http": f"http://{_bracketed(options.host)}:{port}"}), flush=True)  # noqa: T201 - a door
        await _until_done(options, content, stop)


async def _until_done(options: Namespace, content: Content, stop: asyncio.Event) -> None:
    """Look at the status once a second, until told to stop or until the adoption is some time ago."""
    loop = asyncio.get_running_loop()
    close_at_s: float | None = None
    while not stop.is_set():
        content.look()
        if options.on != "until_adopted" or not content.is_adopted:
            close_at_s = None
        elif close_at_s is None:
            close_at_s = loop.time() + options.linger_s
        elif loop.time() >= close_at_s:
            return
        content.is_closing = close_at_s is not None
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await stop.wait()
        except TimeoutError:
            continue


def _names(host: str) -> Names:
    try:
        is_local_only = ip_address(host).is_loopback
    except ValueError:
        is_local_only = host == "localhost"
    if is_local_only:
        return Names(is_local_only=True)
    own = socket.gethostname().lower()
    return Names(is_local_only=False, known=frozenset({"localhost", own, f"{own.partition('.')[0]}.local"}))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _clock_ms() -> UnixMs:
    return UnixMs(time.time_ns() // 1_000_000)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m edge.status_page",
        description="Show how a device is, in a browser on this machine.",
        epilog="Example: python -m edge.status_page --dir ./door --on always",
    )
    parser.add_argument("--dir", type=Path, required=True, metavar="DIR", help="the device's directory")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default 127.0.0.1: this machine alone)")
    parser.add_argument("--port", type=int, default=8_070, help="default 8070; 0: any free one")
    parser.add_argument("--on", choices=("until_adopted", "always", "never"), default="until_adopted")
    parser.add_argument("--linger-s", type=float, default=_LINGER_S, help="how long to stay after the adoption")
    parser.add_argument("--patience-s", type=float, default=5.0, help="how long one request may take")
    return parser


if __name__ == "__main__":
    sys.exit(main())
