"""The Pinner seam: whoever keeps published files available, and proves which bytes they are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from protocol.cid import CAR, Cid
from protocol.errors import MalformedError
from protocol.piece import Piece

LOCAL: Final = "local"


class PinningError(Exception):
    """A file could not be pinned, or is not the file it was said to be."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A file that is kept.

    Attributes:
        piece: its piece commitment (PieceCIDv2).
        car: its CAR CID: the SHA-256 of the whole file.
        size_bytes: its length.
        where: who keeps it: "local", or a provider's address.
    """

    piece: Cid
    car: Cid
    size_bytes: int
    where: str

    def __post_init__(self) -> None:
        if self.car.codec != CAR:
            raise MalformedError(f"not the CID of a CAR file: {self.car}")
        if Piece.of_cid(self.piece).size_bytes != self.size_bytes:
            raise MalformedError(f"a piece of {self.size_bytes} bytes cannot be {self.piece}")


class Pinner(Protocol):
    """Keeps files by their piece commitment. One suite for all: tests/seams/test_pinner.py."""

    def pin(self, path: Path, *, car: Cid) -> Pin:
        """Keep the file at ``path``; return once it is safe. Idempotent: the same file gives the same pin.

        Raises:
            PinningError: the file's CAR CID is not ``car``, it cannot be read, or it cannot be kept.
        """
        ...

    def open_piece(self, piece: Cid) -> BinaryIO | None:
        """Return the file's bytes, to be closed by the caller; None if it was never pinned here.

        Raises:
            PinningError: it was, but cannot be read.
        """
        ...

    def find(self, cid: Cid) -> Pin | None:
        """Return the pin of a file by its piece CID or its CAR CID; None if it was never pinned here.

        Raises:
            PinningError: the record of pins cannot be read.
        """
        ...

    def pins(self) -> Iterator[Pin]:
        """Yield everything that is pinned, in the order of piece CIDs.

        Raises:
            PinningError: the record of pins cannot be read.
        """
        ...
