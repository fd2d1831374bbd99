"""Fetching a model file: streamed, bounded, and believed only once size and SHA-256 are those the manifest pins."""

import hashlib
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from edge.detector.detection import ModelError
from edge.detector.manifest import ModelManifest

_CHUNK_BYTES = 65_536
_TIMEOUT_S = 30.0
_AGENT = "cairn-edge"


class _OnlySafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where the first request would have been allowed to go."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: object,
        code: int,
        msg: str,
        headers: object,
        newurl: str,
    ) -> urllib.request.Request | None:
        _check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def download(manifest: ModelManifest, target: Path, *, report: Callable[[int, int], None] | None = None) -> None:
    """Put the file that ``manifest`` pins at ``target``, or leave ``target`` as it was.

    Args:
        manifest: says the address (``source``), the size and the SHA-256.
        target: its folder exists.
        report: told (bytes so far, bytes in all) as they come.

    Raises:
        ModelError: no https address, unreachable, or other bytes than pinned.
    """
    _check_url(manifest.source)
    handle, partial_name = tempfile.mkstemp(dir=target.parent, prefix=".download-")
    partial = Path(partial_name)
    try:
        with os.fdopen(handle, "wb") as sink:
            _fetch(manifest, sink, report or (lambda _so_far, _in_all: None))
            sink.flush()
            os.fsync(sink.fileno())
        place(partial, target)
    except (OSError, HTTPException) as error:
        raise ModelError(
            f"Cannot download {manifest.name} from {manifest.source}: {error}. Check the network and try again, or "
            "fetch the file elsewhere and give its path."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def place(written: Path, target: Path) -> None:
    """Rename ``written``, whose bytes are on disk, to ``target``, and put the renaming on disk too."""
    written.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _fetch(manifest: ModelManifest, sink: BinaryIO, report: Callable[[int, int], None]) -> None:
    opener = urllib.request.build_opener(_OnlySafeRedirects())
    request = urllib.request.Request(manifest.source, headers={"User-Agent": _AGENT})  # noqa: S310 - checked above
    digest = hashlib.sha256()
    received = 0
    with opener.open(request, timeout=_TIMEOUT_S) as answer:
        while chunk := answer.read(_CHUNK_BYTES):
            received += len(chunk)
            if received > manifest.size_bytes:
                break
            digest.update(chunk)
            sink.write(chunk)
            report(received, manifest.size_bytes)
    if received != manifest.size_bytes:
        size = f"more than {manifest.size_bytes}" if received > manifest.size_bytes else str(received)
        raise ModelError(
            f"{manifest.source} gave {size} bytes, {manifest.size_bytes} were expected: "
            "it is not the pinned file; try again."
        )
    if digest.hexdigest() != manifest.sha256:
        raise ModelError(
            f"{manifest.source} gave a file with SHA-256 {digest.hexdigest()}, {manifest.sha256} was expected: "
            "it has been changed or damaged; do not use it, and tell the project."
        )


def _check_url(url: str) -> None:
    """Let pass https anywhere, and plain http to this machine only."""
    try:
        parts = urlsplit(url)
        is_loopback = parts.hostname == "localhost" or ip_address(parts.hostname or "").is_loopback
    except ValueError:
        is_loopback = False
    scheme = url.partition(":")[0].lower()
    if not (scheme == "https" or (scheme == "http" and is_loopback)):
        raise ModelError(f"{url} is not an https address: models are fetched over https only.")
