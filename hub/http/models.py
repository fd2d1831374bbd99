"""`/v1/models/{sha256}`: the files of the model that this hub offers, to whoever will check their digest."""

from typing import Annotated, Final

from fastapi import APIRouter, HTTPException, Path
from fastapi.responses import FileResponse

from hub.http.answers import Problem
from hub.http.desk import Desk

_FOR_EVER: Final = "public, max-age=29030400, immutable"
_PROBLEMS: Final[dict[int | str, dict[str, object]]] = {404: {"model": Problem}, 422: {"model": Problem}}

Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, hex.")]


def build_models(desk: Desk) -> APIRouter:
    """Return the one route over ``desk``."""
    routes = APIRouter(prefix="/v1", tags=["models"], responses=_PROBLEMS)

    @routes.head("/models/{sha256}", include_in_schema=False)
    @routes.get("/models/{sha256}", response_class=FileResponse)
    def model_file(sha256: Sha256) -> FileResponse:
        """Fetch a file of an offered model by its SHA-256, whole or a range of it."""
        path = desk.shelf.path_of(sha256)
        if path is None:
            raise HTTPException(404, "that file is not offered here")
        headers = {"ETag": f'"{sha256}"', "Cache-Control": _FOR_EVER}
        return FileResponse(path, media_type="application/octet-stream", headers=headers)

    return routes
