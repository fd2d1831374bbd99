"""Both names of a file, from one pass over its bytes."""

import hashlib
from pathlib import Path
from typing import BinaryIO, Final

from hub.pinning.pinner import Pin, PinningError
from protocol.cid import CAR, Cid
from protocol.piece import PieceHasher

_PART_BYTES: Final = 1 << 20


def commit(stream: BinaryIO, *, car: Cid, where: str) -> Pin:
    """Read ``stream`` to its end and return the pin it would have.

    Raises:
        PinningError: the CAR CID of these bytes is not ``car``.
        OSError: they could not be read.
    """
    digest, hasher = hashlib.sha256(), PieceHasher()
    while part := stream.read(_PART_BYTES):
        digest.update(part)
        hasher.update(part)
    found = Cid.of_digest(digest.digest(), CAR)
    if found != car:
        raise PinningError(f"asked to pin {car}, but the file is {found}")
    piece = hasher.piece()
    return Pin(piece.cid, car, piece.size_bytes, where)


def car_cid(path: Path) -> Cid:
    """Return the CAR CID of the file at ``path``.

    Raises:
        OSError: it could not be read.
    """
    with path.open("rb") as stream:
        return Cid.of_digest(hashlib.file_digest(stream, "sha256").digest(), CAR)
