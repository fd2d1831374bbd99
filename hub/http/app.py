"""The HTTP application: API, gateway, page, with the headers that keep a browser honest."""

from collections.abc import Awaitable, Callable
from html import escape
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from hub.http import problems
from hub.http.adoptions import build_adoptions
from hub.http.api import build_api
from hub.http.desk import Desk
from hub.http.models import build_models
from hub.http.published import build_gateway

_POLICY: Final = (
    "default-src 'self'; img-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
_NOT_BUILT: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Cairn hub</title>
<h1>This hub is running</h1>
<p>Its pages are not built here: <code>make web</code> builds them.</p>
<p><a href="/v1/health">Health</a> · <a href="/v1/devices">Devices</a> · <a href="/v1/epochs">Epochs</a> ·
<a href="/docs">All of the API</a></p>
</html>
"""


def create_app(desk: Desk) -> FastAPI:
    """Return the application over ``desk``."""
    app = FastAPI(title="Cairn hub", version=desk.facts.version, docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(build_api(desk))
    app.include_router(build_models(desk))
    app.include_router(build_gateway(desk))
    app.include_router(build_adoptions(desk))

    @app.middleware("http")
    async def guard(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await answer(request)
        response.headers.setdefault("Content-Security-Policy", _POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-cache")
        if request.url.path.startswith(("/v1", "/ipfs", "/piece", "/openapi.json")):
            response.headers.setdefault("Access-Control-Allow-Origin", "*")  # public, read-only
        return response

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(_reference(app))

    if (desk.console / "index.html").is_file():
        app.mount("/", StaticFiles(directory=desk.console, html=True), name="console")
    else:

        @app.get("/", include_in_schema=False)
        def page() -> HTMLResponse:
            return HTMLResponse(_NOT_BUILT)

    return app


def _reference(app: FastAPI) -> str:
    """The API on one page, from its own OpenAPI document; no script and nothing from elsewhere."""
    rows = []
    for path, operations in app.openapi()["paths"].items():
        for operation in (operations[method] for method in operations if method == "get"):
            asked = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] != "header"]
            parameters = "".join(
                f"<li><code>{escape(one['name'])}</code> {escape(one.get('description', ''))}</li>" for one in asked
            )
            says = escape(operation.get("description", operation["summary"]))
            rows.append(f"<h2><code>GET {escape(path)}</code></h2><p>{says}</p><ul>{parameters}</ul>")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(app.title)}: API</title>'
        f"<h1>{escape(app.title)} {escape(app.version)}</h1>"
        '<p>The same for programs: <a href="/openapi.json">/openapi.json</a></p>' + "".join(rows) + "</html>"
    )
