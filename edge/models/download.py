"""Fetching a file by its SHA-256: streamed, bounded, resumed, and believed only once size and digest are the pinned.

Https from anywhere. Plain http only from this machine, or from the one address that the owner wrote into the settings
(the hub in the same house): what arrives is judged by its digest, so a line that others can change costs time only.
"""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from ipaddress import ip_address
from pathlib import Path
from typing import IO, BinaryIO, Final
from urllib.parse import urlsplit

from edge.models.errors import ModelError

_CHUNK_BYTES: Final = 65_536
_TIMEOUT_S: Final = 30.0
_AGENT: Final = "cairn-edge"
_PARTIAL_CONTENT: Final = 206
_RANGE_REFUSED: Final = 416

Report = Callable[[int, int], None]  # bytes so far, bytes in all; may raise to end the download


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is known by its digest."""

    name: str  # for people
    sha256: str
    size_bytes: int
    is_exact: bool = True  # False: at most so many bytes


class _OnlySafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where the first request would have been allowed to go."""

    def __init__(self, plain_http: str) -> None:
        self._plain_http = plain_http

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            check_url(newurl, plain_http=self._plain_http)
        except ModelError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def download(
    wanted: Wanted, sources: Sequence[str], target: Path, *, report: Report | None = None, plain_http: str = ""
) -> None:
    """Put the file ``wanted`` at ``target``, from the first of ``sources`` that has it, or leave ``target`` alone.

    What arrived before an interruption lies beside ``target`` and is used the next time.

    Args:
        wanted: what it must be.
        sources: addresses, tried in order.
        target: its folder exists.
        report: told how far it is.
        plain_http: the address (http://HOST:PORT) that may be asked without https, besides this machine.

    Raises:
        ModelError: no source is an https address, reachable, and has the pinned bytes; the last one's sentence.
    """
    problem = ModelError(f"Nobody says where {wanted.name} is to be had.")
    for source in sources:
        try:
            check_url(source, plain_http=plain_http)
            partial = _fetched(wanted, source, target, report or (lambda _so_far, _in_all: None), plain_http)
            place(partial, target)
        except ModelError as error:
            problem = error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a host that is no name
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            problem = ModelError(
                f"Cannot download {wanted.name} from {source}: {error}. Check the network and try again, or "
                "fetch the file elsewhere and give its path."
            )
            problem.__cause__ = error
        else:
            return
    try:
        raise problem
    finally:
        del problem  # it knows this frame: left here, both would outlive their use


def place(written: Path, target: Path) -> None:
    """Rename ``written``, whose bytes are on disk, to ``target``, and put the renaming on disk too."""
    written.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class _Partial:
    """What has arrived of a file, across several tries."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self.digest = hashlib.sha256()
        self.held_bytes = 0
        while chunk := sink.read(_CHUNK_BYTES):
            self._count(chunk)

    def add(self, chunk: bytes) -> None:
        self._sink.write(chunk)
        self._count(chunk)

    def begin_anew(self) -> None:
        self._sink.seek(0)
        self._sink.truncate()
        self.digest = hashlib.sha256()
        self.held_bytes = 0

    def _count(self, chunk: bytes) -> None:
        self.digest.update(chunk)
        self.held_bytes += len(chunk)


def _fetched(wanted: Wanted, source: str, target: Path, report: Report, plain_http: str) -> Path:
    """Return the complete file beside ``target``, its bytes on disk and its digest right."""
    path = target.with_name(f".part-{wanted.sha256[:16]}")
    path.touch()
    with path.open("r+b") as sink:
        partial = _Partial(sink)
        if partial.held_bytes > wanted.size_bytes:
            partial.begin_anew()
        if partial.digest.hexdigest() != wanted.sha256:
            _receive(wanted, source, partial, report, plain_http)
        sink.flush()
        os.fsync(sink.fileno())
    problem = _problem_of(wanted, source, partial)
    if problem is not None:
        if partial.held_bytes >= wanted.size_bytes or not wanted.is_exact:
            path.unlink()  # these bytes will never become the file
        raise ModelError(problem)
    return path


def _receive(wanted: Wanted, source: str, partial: _Partial, report: Report, plain_http: str) -> None:
    """Append what ``source`` has beyond the bytes held, one chunk too many at most."""
    opener = urllib.request.build_opener(_OnlySafeRedirects(plain_http))
    with _answer(opener, source, partial) as answer:
        while chunk := answer.read(_CHUNK_BYTES):
            partial.add(chunk[: wanted.size_bytes + 1 - partial.held_bytes])
            if partial.held_bytes > wanted.size_bytes:
                return
            report(partial.held_bytes, wanted.size_bytes)


def _answer(opener: urllib.request.OpenerDirector, source: str, partial: _Partial) -> HTTPResponse:
    """Ask for the rest; where the server cannot give a part, for everything."""
    headers = {"User-Agent": _AGENT}
    request = urllib.request.Request(source, headers=headers)  # noqa: S310 - checked by the caller
    if partial.held_bytes:
        request.add_header("Range", f"bytes={partial.held_bytes}-")
    try:
        answer: HTTPResponse = opener.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != _RANGE_REFUSED:
            raise
        error.close()
        partial.begin_anew()
        return _answer(opener, source, partial)
    if partial.held_bytes and not _continues(answer, partial.held_bytes):
        partial.begin_anew()
        if answer.status == _PARTIAL_CONTENT:  # some other part: worth nothing
            answer.close()
            return _answer(opener, source, partial)
    return answer


def _continues(answer: HTTPResponse, held_bytes: int) -> bool:
    told = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return answer.status == _PARTIAL_CONTENT and told is not None and int(told[1]) == held_bytes


def _problem_of(wanted: Wanted, source: str, partial: _Partial) -> str | None:
    held = partial.held_bytes
    if held > wanted.size_bytes or (wanted.is_exact and held != wanted.size_bytes):
        size = f"more than {wanted.size_bytes}" if held > wanted.size_bytes else str(held)
        return f"{source} gave {size} bytes, {wanted.size_bytes} were expected: it is not the pinned file; try again."
    if partial.digest.hexdigest() != wanted.sha256:
        return (
            f"{source} gave a file with SHA-256 {partial.digest.hexdigest()}, {wanted.sha256} was expected: "
            "it has been changed or damaged; do not use it, and tell the project."
        )
    return None


def check_url(url: str, *, plain_http: str = "") -> None:
    """Let pass https anywhere, plain http to this machine and to the address ``plain_http``.

    Raises:
        ModelError: it goes elsewhere.
    """
    try:
        parts = urlsplit(url)
        is_loopback = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_loopback = False
    is_hub = plain_http.startswith("http://") and _place(url) == _place(plain_http)
    scheme = url.partition(":")[0].lower()
    if not (scheme == "https" or (scheme == "http" and (is_loopback or is_hub))):
        raise ModelError(f"{url} is not an https address: models are fetched over https only.")


def _place(url: str) -> tuple[str, str | None, int | None] | None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
