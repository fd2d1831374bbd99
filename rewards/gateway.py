"""Fetch published bytes from any gateway and believe none of them.

A block is accepted only if it has the hash its CID names; a segment only if length, CAR CID and piece commitment are
the manifest's. So it does not matter who serves them: a lying gateway can only fail to serve.
"""

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

import httpx

from protocol.cid import CAR, Cid
from protocol.errors import MalformedError
from protocol.manifest import SegmentRef
from protocol.piece import PieceHasher

MAX_BLOCK_BYTES = 2 << 20
_MAX_JSON_BYTES = 4 << 20
_TRIES = 3
_PAUSE_S = 0.2  # before the second try; doubled for the third
_DEADLINE_S = 600.0  # a segment that takes longer comes from a gateway that does not mean to serve it

T = TypeVar("T")


class GatewayError(Exception):
    """What was asked for could not be had from this gateway."""


class UnreachableError(GatewayError):
    """It does not answer, or answers with its own failure. Another try may succeed."""


class MissingError(GatewayError):
    """It does not have that."""


class UnfaithfulError(GatewayError):
    """It served other bytes than were asked for."""


class Gateway:
    """One base URL. Safe to share between threads."""

    def __init__(self, url: str, *, timeout_s: float = 20.0, pause: Callable[[float], None] = time.sleep) -> None:
        """Fetch from ``url`` (``http://host:port``); ``timeout_s`` bounds each wait for bytes."""
        self.url = url.rstrip("/")
        self._client = httpx.Client(base_url=self.url, timeout=timeout_s, follow_redirects=False)
        self._pause = pause

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def block(self, cid: Cid) -> bytes:
        """Return the block that ``cid`` names.

        Raises:
            GatewayError: it is not to be had here, or another block was served.
        """
        block = self._whole(f"/ipfs/{cid}?format=raw", MAX_BLOCK_BYTES, accept="application/vnd.ipld.raw")
        if not cid.matches(block):
            raise UnfaithfulError(f"{self.url} served other bytes than block {cid}")
        return block

    @contextmanager
    def segment(self, ref: SegmentRef) -> Iterator[BinaryIO]:
        """Yield the segment file that ``ref`` names, at its start, verified whole before anybody reads it.

        Raises:
            GatewayError: it is not to be had here, or length, CAR CID or piece commitment differ.
        """
        with tempfile.TemporaryFile() as spool:
            self._again(lambda: self._download(ref, spool))
            spool.seek(0)
            yield spool

    def _download(self, ref: SegmentRef, spool: BinaryIO) -> None:
        spool.seek(0)
        spool.truncate()
        digest, pieces, size_bytes = hashlib.sha256(), PieceHasher(), 0
        for part in self._parts(f"/piece/{ref.piece}", ref.size_bytes, accept="application/octet-stream"):
            digest.update(part)
            pieces.update(part)
            spool.write(part)
            size_bytes += len(part)
        if size_bytes != ref.size_bytes:
            raise UnfaithfulError(f"{self.url} served {size_bytes} bytes of piece {ref.piece}, not {ref.size_bytes}")
        if Cid.of_digest(digest.digest(), CAR) != ref.car:
            raise UnfaithfulError(f"{self.url} served another file than segment {ref.car}")
        if pieces.piece().cid != ref.piece:
            raise UnfaithfulError(f"segment {ref.car} does not have the piece commitment {ref.piece}")

    def fields(self, path: str) -> dict[str, object]:
        """Return the JSON object at ``path``. It is hearsay: nothing in it is proven.

        Raises:
            GatewayError: it is not to be had here, or is not a JSON object.
        """
        try:
            found = json.loads(self._whole(path, _MAX_JSON_BYTES, accept="application/json"))
        except (ValueError, RecursionError) as error:  # brackets in brackets, without end
            raise UnfaithfulError(f"{self.url}{path} is not JSON") from error
        if not isinstance(found, dict):
            raise UnfaithfulError(f"{self.url}{path} is not a JSON object")
        return found

    def manifest_of(self, epoch: int) -> Cid | None:
        """Return the manifest's CID of a closed epoch as the hub announces it; None while the epoch is open.

        Raises:
            GatewayError: the hub does not answer, or answers nonsense.
        """
        try:
            announced = self.fields(f"/v1/epochs/{epoch}")
        except MissingError:
            return None
        manifest = announced.get("manifest")
        if announced.get("state") != "closed" or manifest is None:
            return None
        try:
            return Cid.parse(str(manifest))
        except MalformedError as error:
            raise UnfaithfulError(f"{self.url} announces no CID as manifest of epoch {epoch}: {manifest!r}") from error

    def _whole(self, path: str, max_bytes: int, *, accept: str) -> bytes:
        return self._again(lambda: b"".join(self._parts(path, max_bytes, accept=accept)))

    def _again(self, fetch: Callable[[], T]) -> T:
        """Call ``fetch``, and a few times more while the gateway does not answer."""
        for tried in range(_TRIES - 1):
            try:
                return fetch()
            except UnreachableError:
                self._pause(_PAUSE_S * 2**tried)
        return fetch()

    def _parts(self, path: str, max_bytes: int, *, accept: str) -> Iterator[bytes]:
        deadline_s = time.monotonic() + _DEADLINE_S
        received = 0
        try:
            # Compressed answers are refused: a few bytes could unpack to any number.
            headers = {"accept": accept, "accept-encoding": "identity"}
            with self._client.stream("GET", path, headers=headers) as response:
                self._require_success(path, response)
                for part in response.iter_raw():
                    received += len(part)
                    if received > max_bytes:
                        raise UnfaithfulError(f"{self.url}{path} is longer than the {max_bytes} bytes allowed")
                    if time.monotonic() > deadline_s:
                        raise UnreachableError(f"{self.url}{path} was not complete after {_DEADLINE_S:.0f} s")
                    yield part
        except httpx.HTTPError as error:
            raise UnreachableError(f"{self.url} does not answer: {str(error) or type(error).__name__}") from error

    def _require_success(self, path: str, response: httpx.Response) -> None:
        if response.status_code in {404, 410}:
            raise MissingError(f"{self.url} does not have {path}")
        if response.status_code >= 500:
            raise UnreachableError(f"{self.url}{path} failed with status {response.status_code}")
        if response.status_code != 200:
            raise GatewayError(f"{self.url}{path} was refused with status {response.status_code}")
