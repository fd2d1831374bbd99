"""`/ipfs/{cid}` and `/piece/{cid}`: published bytes by their names, to whoever will check them.

The trustless gateway (specs.ipfs.tech, "Trustless Gateway"): a raw block, or a CAR with the block and what it links to
within the same published file, so a manifest comes with its verdicts and not with every epoch before it.
"""

import re
from collections.abc import Iterator
from typing import Annotated, BinaryIO, Final, Literal

from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import Response, StreamingResponse

from hub.domain.records import BlockPlace
from hub.http.answers import Problem
from hub.http.desk import Desk
from hub.log.reading import read_block
from hub.store.reading import block_place
from protocol import dagcbor
from protocol.car import car_header, car_section
from protocol.cid import DAG_CBOR, RAW, SHA2_256, Cid
from protocol.errors import MalformedError
from protocol.piece import Piece

_FOR_EVER: Final = "public, max-age=29030400, immutable"
_RAW_TYPE: Final = "application/vnd.ipld.raw"
_CAR_TYPE: Final = "application/vnd.ipld.car; version=1; order=dfs; dups=n"
_PART_BYTES: Final = 1 << 18
_MOST_DAG_BLOCKS: Final = 10_000
_PROBLEMS: Final[dict[int | str, dict[str, object]]] = {status: {"model": Problem} for status in (400, 404, 413)}
_RANGE: Final = re.compile(r"bytes=(\d*)-(\d*)")

Format = Annotated[
    Literal["raw", "car"] | None, Query(alias="format", description="A block, or a CAR of it and what it links to.")
]
Accept = Annotated[str, Header()]
IfNoneMatch = Annotated[str, Header()]


def build_gateway(desk: Desk) -> APIRouter:
    """Return the two routes over ``desk``."""
    routes = APIRouter(tags=["published bytes"], responses=_PROBLEMS)

    @routes.head("/ipfs/{cid}", include_in_schema=False)
    @routes.get("/ipfs/{cid}", response_class=Response)
    def block(
        request: Request,
        cid: str,
        wanted: Format = None,
        accept: Accept = "",
        if_none_match: IfNoneMatch = "",
    ) -> Response:
        """Fetch one block (`format=raw`), or a CAR of it and what belongs to it (`format=car`)."""
        name = _block_name(cid)
        as_car = wanted == "car" or (wanted is None and "application/vnd.ipld.car" in accept)
        etag = f'"{cid}.car"' if as_car else f'"{cid}.raw"'
        headers = {"X-Ipfs-Path": f"/ipfs/{cid}", "X-Ipfs-Roots": cid, "ETag": etag, "Cache-Control": _FOR_EVER}
        place = _place(desk, name)
        if etag in if_none_match:
            return Response(status_code=304, headers=headers)
        headers["Content-Disposition"] = f'attachment; filename="{cid}.{"car" if as_car else "bin"}"'
        content = _car_of(desk, name, place) if as_car else read_block(desk.car_folders, place)
        return _whole(request, content, _CAR_TYPE if as_car else _RAW_TYPE, headers)

    @routes.head("/piece/{cid}", include_in_schema=False)
    @routes.get("/piece/{cid}", response_class=StreamingResponse)
    def piece(
        request: Request,
        cid: str,
        range_wanted: Annotated[str, Header(alias="range")] = "",
        if_none_match: IfNoneMatch = "",
    ) -> Response:
        """Fetch a pinned CAR file by its piece commitment (PieceCIDv2), whole or a range of it."""
        try:
            size_bytes = Piece.of_cid(Cid.parse(cid)).size_bytes
        except MalformedError as error:
            raise HTTPException(400, f"not the commitment of a piece: {error}") from error
        stream = desk.pinner.open_piece(Cid.parse(cid))
        if stream is None:
            raise HTTPException(404, "that piece is not pinned here")
        headers = {"ETag": f'"{cid}"', "Cache-Control": _FOR_EVER, "Accept-Ranges": "bytes"}
        headers["Content-Disposition"] = f'attachment; filename="{cid}.car"'
        if headers["ETag"] in if_none_match:
            stream.close()
            return Response(status_code=304, headers=headers)
        return _file_part(request, stream, size_bytes, range_wanted, headers)

    return routes


def _block_name(text: str) -> Cid:
    try:
        cid = Cid.parse(text)
    except MalformedError as error:
        raise HTTPException(400, f"not a CID that is used here: {error}") from error
    if cid.hash_code != SHA2_256 or cid.codec not in {RAW, DAG_CBOR}:
        raise HTTPException(404, "blocks are named by SHA-256; a file has its piece at /piece/{cid}")
    return cid


def _place(desk: Desk, cid: Cid) -> BlockPlace:
    with desk.store.database.reading() as connection:
        place = block_place(connection, cid.digest)
    if place is None:
        raise HTTPException(404, "that block is not published here")
    return place


def _car_of(desk: Desk, root: Cid, place: BlockPlace) -> bytes:
    """Return a CAR of ``root`` and everything it links to in the same file, depth first."""
    parts = [car_header(root)]
    seen: set[Cid] = set()
    waiting = [(root, place)]
    while waiting:
        cid, where = waiting.pop()
        if cid in seen:
            continue
        if len(seen) == _MOST_DAG_BLOCKS:
            raise HTTPException(413, f"{root} links more than {_MOST_DAG_BLOCKS} blocks: fetch its file from /piece")
        seen.add(cid)
        block = read_block(desk.car_folders, where)
        parts.append(car_section(cid, block))
        with desk.store.database.reading() as connection:
            found = [(link, block_place(connection, link.digest)) for link in _links(block)]
        waiting += [(link, there) for link, there in reversed(found) if there is not None and there.file == place.file]
    return b"".join(parts)


def _links(block: bytes) -> list[Cid]:
    try:
        value = dagcbor.decode(block)
    except MalformedError:  # a device's block: whatever its payload says, it links to nothing
        return []
    return [cid for cid in _walk(value) if cid.codec == DAG_CBOR and cid.hash_code == SHA2_256]


def _walk(value: dagcbor.Value) -> Iterator[Cid]:
    if isinstance(value, Cid):
        yield value
    elif isinstance(value, list):
        for member in value:
            yield from _walk(member)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _walk(member)


def _whole(request: Request, content: bytes, media_type: str, headers: dict[str, str]) -> Response:
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(len(content)), "Content-Type": media_type})
    return Response(content, media_type=media_type, headers=headers)


def _file_part(
    request: Request, stream: BinaryIO, size_bytes: int, range_wanted: str, headers: dict[str, str]
) -> Response:
    try:
        first, last = _range(range_wanted, size_bytes)
    except ValueError:
        stream.close()
        return Response(status_code=416, headers={"Content-Range": f"bytes */{size_bytes}"})
    status = 200
    if (first, last) != (0, size_bytes - 1):
        status = 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size_bytes}"
    headers["Content-Length"] = str(last - first + 1)
    headers["Content-Type"] = _CAR_TYPE
    if request.method == "HEAD":
        stream.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_parts(stream, first, last), status_code=status, headers=headers)


def _range(wanted: str, size_bytes: int) -> tuple[int, int]:
    """Return the first and last byte that ``wanted`` asks for; everything where it asks for nothing we understand.

    Raises:
        ValueError: it asks for bytes that are not there.
    """
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or found.group(0) == "bytes=-":
        return 0, size_bytes - 1
    first, last = found.groups()
    if not first:  # the last so many bytes
        begin, end = max(0, size_bytes - int(last)), size_bytes - 1
    else:
        begin, end = int(first), min(int(last), size_bytes - 1) if last else size_bytes - 1
    if not 0 <= begin <= end:
        raise ValueError(wanted)
    return begin, end


def _parts(stream: BinaryIO, first: int, last: int) -> Iterator[bytes]:
    with stream:
        stream.seek(first)
        left = last - first + 1
        while left > 0 and (part := stream.read(min(_PART_BYTES, left))):
            left -= len(part)
            yield part
