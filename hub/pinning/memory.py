"""Pins that live as long as the process: for tests and for looking around."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hub.pinning.commitment import commit
from hub.pinning.pinner import Pin, PinningError
from protocol.cid import Cid

_WHERE: Final = "memory"


class MemoryPinStore:
    """Pins in memory."""

    def __init__(self) -> None:
        self._kept: dict[Cid, tuple[Pin, bytes]] = {}

    def pin(self, path: Path, *, car: Cid) -> Pin:
        """See `Pinner`."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PinningError(f"cannot pin {path.name}: {error.strerror}") from error
        pin = commit(io.BytesIO(content), car=car, where=_WHERE)
        self._kept[pin.piece] = (pin, content)
        return pin

    def open_piece(self, piece: Cid) -> BinaryIO | None:
        """See `Pinner`."""
        kept = self._kept.get(piece)
        return None if kept is None else io.BytesIO(kept[1])

    def find(self, cid: Cid) -> Pin | None:
        """See `Pinner`."""
        return next((pin for pin, _ in self._kept.values() if cid in {pin.piece, pin.car}), None)

    def pins(self) -> Iterator[Pin]:
        """See `Pinner`."""
        yield from sorted((pin for pin, _ in self._kept.values()), key=lambda pin: str(pin.piece))
