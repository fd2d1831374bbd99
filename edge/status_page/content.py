"""What is served: four files, the status as JSON, and the picture by which an owner adopts the device."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from edge.place import ADOPTION_PICTURE
from edge.status_page.minutes import Minutes
from edge.status_page.server import Paths, Reply
from edge.status_view import StatusView, read_view
from protocol.units import UnixMs

_PICTURE_MAX_BYTES: Final = 256 << 10
_FOLDER: Final = Path(__file__).parent
# An SVG is a document: whatever it holds, it may run nothing and fetch nothing.
_PICTURE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


class Content:
    """The page of one device. `look` once a second, so that the hour is known when somebody opens the page."""

    def __init__(self, directory: Path, *, now_ms: Callable[[], UnixMs]) -> None:
        """Show the device in ``directory``."""
        self._directory = directory
        self._now_ms = now_ms
        self._minutes = Minutes()
        self._view: StatusView | None = None
        self.is_closing = False

    @property
    def is_adopted(self) -> bool:
        """Whether the device has an owner, as far as its status says."""
        return self._view is not None and self._view.is_owned()

    def look(self) -> None:
        """Read the status anew."""
        self._view = read_view(self._directory)
        if self._view is not None:
            self._minutes.look(self._view, now_ms=self._now_ms())

    def paths(self) -> Paths:
        """Return what is found where."""
        return {
            "/": _file("page.html", "text/html; charset=utf-8"),
            "/page.css": _file("page.css", "text/css; charset=utf-8"),
            "/page.js": _file("page.js", "text/javascript; charset=utf-8"),
            "/mark.svg": _file("mark.svg", "image/svg+xml"),
            "/status.json": self._status,
            f"/{ADOPTION_PICTURE}": self._picture,
        }

    def _status(self) -> Reply:
        self.look()
        now_ms = self._now_ms()
        view = self._view
        shown = None if view is None else msgspec.structs.replace(view, adoption_code=None)
        said = {
            "now_ms": now_ms,
            "is_at_work": view is not None and view.is_fresh(now_ms=now_ms),
            "is_closing": self.is_closing,
            "adoption": {
                "is_adopted": self.is_adopted,
                "code": view.adoption_code if view is not None and not self.is_adopted else None,
                "has_picture": self._picture() is not None,
            },
            "minutes": [(each.frames, each.tracks, each.people) for each in self._minutes.past(now_ms=now_ms)],
            "status": shown,
        }
        return Reply(msgspec.json.encode(said), "application/json")

    def _picture(self) -> Reply | None:
        """Return the picture while it is of use; after the adoption it would only help a second owner."""
        path = self._directory / ADOPTION_PICTURE
        if self.is_adopted or path.is_symlink():
            return None
        try:
            with path.open("rb") as file:
                content = file.read(_PICTURE_MAX_BYTES + 1)
        except OSError:
            return None
        if len(content) > _PICTURE_MAX_BYTES or not content.lstrip().startswith((b"<svg", b"<?xml")):
            return None
        return Reply(content, "image/svg+xml", _PICTURE_POLICY)


def _file(name: str, content_type: str) -> Callable[[], Reply]:
    reply = Reply((_FOLDER / name).read_bytes(), content_type)
    return lambda: reply
