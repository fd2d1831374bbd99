"""QR codes: on the terminal, and as a picture for a label."""

import io
import os
from pathlib import Path
from typing import Final

import segno

from edge.errors import EdgeError

_QUIET_MODULES: Final = 2  # the standard asks for 4; telephones do with 2, and a terminal is small
_KINDS: Final = ("svg", "png")


class QrError(EdgeError):
    """The picture cannot be made as asked; the message says what to do."""


def terminal_text(text: str) -> str:
    """Return the QR code of ``text`` for a terminal, about 30 lines for 150 characters."""
    out = io.StringIO()
    segno.make_qr(text, error="m").terminal(out=out, compact=True, border=_QUIET_MODULES)
    return out.getvalue()


def require_picture(path: Path | None) -> None:
    """Return quietly if a QR code could be saved at ``path``, or none is wanted: asked before anything is made.

    Raises:
        QrError: another kind of file, or one that is there already.
    """
    if path is None:
        return
    if path.suffix.removeprefix(".").lower() not in _KINDS:
        raise QrError(f"{path} is neither .svg nor .png: name the picture device.svg or device.png")
    if path.exists():
        raise QrError(f"{path} is there already: name another picture")


def save_picture(text: str, path: Path) -> None:
    """Write the QR code of ``text`` to ``path``, an .svg or .png, readable by its owner alone: it may hold a secret.

    Raises:
        QrError: another kind of file, there already, or not writable.
    """
    require_picture(path)
    picture = io.BytesIO()
    segno.make_qr(text, error="m").save(picture, kind=path.suffix.removeprefix(".").lower(), scale=8)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(picture.getvalue())
    except OSError as error:
        raise QrError(f"cannot write {path}: {error.strerror}") from error
