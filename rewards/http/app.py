"""The HTTP application: API, gateway, page, with the headers that keep a browser honest."""

from collections.abc import Awaitable, Callable
from html import escape
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from rewards.http import problems
from rewards.http.api import build_api
from rewards.http.desk import Desk

_POLICY: Final = (
    "default-src 'self'; connect-src 'self'{rpc}; img-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Cairn rewards</title>
<h1>This reward service is running</h1>
<p>Its page is not built here: <code>make web</code> builds it.</p>
<p><a href="/v1/health">Health</a> · <a href="/v1/epochs">Epochs</a> · <a href="/docs">All of the API</a></p>
</html>
"""


def create_app(desk: Desk) -> FastAPI:
    """Return the application over ``desk``."""
    app = FastAPI(title="Cairn rewards", version=desk.version, docs_url=None, redoc_url=None)
    problems.install(app, desk.clock)
    app.include_router(build_api(desk))
    policy = _POLICY.format(rpc=f" {desk.public_rpc.rstrip('/')}" if desk.public_rpc else "")

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        response.headers.setdefault("Content-Security-Policy", policy)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        if request.url.path.startswith(("/v1", "/ipfs", "/openapi.json")):
            response.headers.setdefault("Access-Control-Allow-Origin", "*")  # public, read-only
        if request.url.path.startswith("/v1"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_reference(app))

    if (desk.portal / "index.html").is_file():
        app.mount("/", StaticFiles(directory=desk.portal, html=True), name="portal")
    else:

        @app.get("/", include_in_schema=False)
        def page() -> HTMLResponse:
            return HTMLResponse(_NOT_BUILT)

    return app


def _reference(app: FastAPI) -> str:
    """The API on one page, from its own OpenAPI document; no script and nothing from elsewhere."""
    rows = [
        f"<h2><code>GET {escape(path)}</code></h2><p>{escape(operations['get'].get('description', ''))}</p>"
        for path, operations in app.openapi()["paths"].items()
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Cairn rewards: API</title>'
        '<h1>Cairn rewards</h1><p>The same for programs: <a href="/openapi.json">/openapi.json</a></p>'
        + "".join(rows)
        + "</html>"
    )
