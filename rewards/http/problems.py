"""Errors as `application/problem+json` (RFC 9457): one sentence that says what to do, never a traceback."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from protocol.units import UnixMs
from rewards.http.answers import Problem
from rewards.paybook import UnavailableError, UnknownError
from rewards.shelf import ShelfError

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, *, known_at_ms: UnixMs | None = None, age_ms: int | None = None) -> JSONResponse:
    """Return the answer that says what went wrong."""
    body = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, known_at_ms=known_at_ms, age_ms=age_ms
    )
    return JSONResponse(body.model_dump(), status_code=status, media_type=MEDIA_TYPE)


def install(app: FastAPI, clock: Callable[[], UnixMs]) -> None:
    """Make every error of ``app`` a problem."""

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{where}: {first['msg']}")

    @app.exception_handler(UnknownError)
    async def unknown(_: Request, error: UnknownError) -> JSONResponse:
        return problem(HTTPStatus.NOT_FOUND, str(error))

    @app.exception_handler(UnavailableError)
    async def unavailable(_: Request, error: UnavailableError) -> JSONResponse:
        known_at_ms = error.known_at_ms
        age_ms = None if known_at_ms is None else max(0, clock() - known_at_ms)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), known_at_ms=known_at_ms, age_ms=age_ms)

    @app.exception_handler(ShelfError)
    async def damaged(_: Request, error: ShelfError) -> JSONResponse:
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
