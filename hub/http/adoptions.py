"""Adoption: a page for the owner's browser, and the post that it makes.

The device's secret stays in the fragment of the page's address, which no browser sends: the page makes the tag, and
what arrives here proves nothing to a hub and everything to the device.
"""

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import FileResponse
from pydantic import Field, ValidationError

from hub.http import answers
from hub.http.desk import Desk
from hub.ingest.adoptions import TooManyAdoptionsError
from protocol.adoption import Adoption, short_code
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.payload import VERSION

_PAGE: Final = Path(__file__).with_name("adopt")
_FILES: Final = {
    "": ("adopt.html", "text/html"),
    ".js": ("adopt.js", "text/javascript"),
    ".css": ("adopt.css", "text/css"),
    ".svg": ("adopt.svg", "image/svg+xml"),
}
_MOST_BYTES: Final = 1_024


class AdoptionRequest(answers.Answer):
    """What the owner's browser sends."""

    device: Annotated[str, Field(max_length=80, description="The device's name (z6Mk...) or did:key.")]
    owner: Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$", description="The contributor's account.")]
    tag: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="HMAC-SHA256 with the device's secret, in hex.")]


class AdoptionRelayed(answers.Answer):
    """The device will hear it as soon as it is connected; whether it believes it, only the device knows."""

    device: str
    short_code: str
    owner: str


def build_adoptions(desk: Desk) -> APIRouter:
    """Return the page and the post."""
    routes = APIRouter()
    refusals: dict[int | str, dict[str, Any]] = {code: {"model": answers.Problem} for code in (413, 422, 429, 503)}
    schema = {"required": True, "content": {"application/json": {"schema": AdoptionRequest.model_json_schema()}}}

    @routes.post(
        "/v1/adoptions",
        status_code=202,
        tags=["devices"],
        responses=refusals,
        openapi_extra={"requestBody": schema},
    )
    async def adopt(request: Request) -> AdoptionRelayed:
        """Pass an adoption on to a device that waits for its owner."""
        asked = _understood(await _body(request))
        device = _device(asked.device)
        if desk.adoptions is None:
            raise HTTPException(503, "this hub passes no adoptions on; use `cairn-edge adopt` at the device")
        owner, tag = bytes.fromhex(asked.owner[2:]), bytes.fromhex(asked.tag)
        try:
            desk.adoptions.relay(Adoption(VERSION, desk.facts.network, device.key_id, owner, tag))
        except TooManyAdoptionsError as error:
            raise HTTPException(
                429, "too many adoptions at present; try again in a minute", headers={"Retry-After": "60"}
            ) from error
        return AdoptionRelayed(device=device.did, short_code=short_code(device), owner=asked.owner.lower())

    def add_file(ending: str, name: str, media_type: str) -> None:
        @routes.get(f"/adopt{ending}", include_in_schema=False)
        def page() -> FileResponse:
            return FileResponse(_PAGE / name, media_type=media_type)

    for ending, (name, media_type) in _FILES.items():
        add_file(ending, name, media_type)
    return routes


async def _body(request: Request) -> bytes:
    """Return the body, read no further than it may be long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"an adoption has at most {_MOST_BYTES} bytes")
    return body


def _understood(body: bytes) -> AdoptionRequest:
    try:
        return AdoptionRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise HTTPException(422, f"{where}: {first['msg']}") from error


def _device(text: str) -> PublicKey:
    try:
        return PublicKey.parse(text)
    except MalformedError as error:
        raise HTTPException(422, "device: not a device's name; it looks like z6Mk... or did:key:z6Mk...") from error
