"""A web server for one small page: GET and HEAD, one request a connection, everything bounded in size and time.

A page on the device's own address can be reached by any web page in the owner's browser, so the Host header must name
this machine (DNS rebinding), nothing is answered to other methods, and other origins may not read what is answered.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final

_HEAD_MAX_BYTES: Final = 8 << 10
_HEADERS_MAX: Final = 64
_PATIENCE_S: Final = 5.0  # for a whole exchange, however slowly the other side talks or listens
_CONNECTIONS_MAX: Final = 16
_REQUEST_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,255}) HTTP/1\.[01]")
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[0-9A-Za-z.-]{1,253})(?::\d{1,5})?")
PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is found at a path."""

    content: bytes
    content_type: str
    policy: str = PAGE_POLICY


Paths = Mapping[str, Callable[[], Reply | None]]  # None: there is nothing at present


class RefusedError(Exception):
    """A request that is not answered with a page."""

    def __init__(self, status: HTTPStatus) -> None:
        """Refuse with ``status``."""
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Names:
    """What a browser may call this machine."""

    is_local_only: bool  # bound to the loopback: nobody else can connect, so no other name is right
    known: frozenset[str] = frozenset({"localhost"})

    def include(self, host: str) -> bool:
        """Whether the Host header ``host`` means this machine; an address cannot be rebound, a name can."""
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower().removesuffix(".")
        if name in self.known:
            return True
        try:
            address = ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback if self.is_local_only else True


class PageServer:
    """Answers connections; give `serve` to `asyncio.start_server` with `STREAM_LIMIT_BYTES`."""

    def __init__(self, paths: Paths, names: Names, *, patience_s: float = _PATIENCE_S) -> None:
        """Serve ``paths`` to whoever calls this machine by one of ``names``."""
        self._paths = paths
        self._names = names
        self._patience_s = patience_s
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection and close it."""
        self._open += 1
        try:
            async with asyncio.timeout(self._patience_s):
                if self._open > _CONNECTIONS_MAX:
                    writer.write(_refusal(HTTPStatus.SERVICE_UNAVAILABLE))
                else:
                    writer.write(await self._answer(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # too slow, or gone: there is nobody to tell
        finally:
            self._open -= 1
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        try:
            method, path = self._understood(head)
        except RefusedError as refused:
            return _refusal(refused.status)
        found = self._paths.get(path)
        reply = found() if found is not None else None
        if reply is None:
            return _refusal(HTTPStatus.NOT_FOUND)
        return _written(HTTPStatus.OK, reply, with_content=method == "GET")

    def _understood(self, head: bytes) -> tuple[str, str]:
        first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        request = _REQUEST_LINE.fullmatch(first)
        if request is None or len(lines) > _HEADERS_MAX:
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        headers = [_header(line) for line in lines]
        hosts = [value for name, value in headers if name == "host"]
        if len(hosts) != 1:
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        if not self._names.include(hosts[0]):
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST)
        if request[1] not in {b"GET", b"HEAD"}:
            raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED)
        if any(name == "transfer-encoding" or (name == "content-length" and value != "0") for name, value in headers):
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        return request[1].decode(), request[2].decode().partition("?")[0]


STREAM_LIMIT_BYTES: Final = _HEAD_MAX_BYTES


def _header(line: bytes) -> tuple[str, str]:
    name, colon, value = line.decode("latin-1").partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise RefusedError(HTTPStatus.BAD_REQUEST)
    return name.lower(), value.strip(" \t")


def _refusal(status: HTTPStatus) -> bytes:
    reply = Reply(f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8", "default-src 'none'")
    return _written(status, reply, with_content=True)


def _written(status: HTTPStatus, reply: Reply, *, with_content: bool) -> bytes:
    headers = _HEADERS | {
        "Content-Type": reply.content_type,
        "Content-Length": str(len(reply.content)),
        "Content-Security-Policy": reply.policy,
    }
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET, HEAD"
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    head = ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
    return head + reply.content if with_content else head
