"""The default: a folder on this machine. Pinning there costs no space, because files are linked where the disk can.

pins/<piece CID>.car     the file
pins/<piece CID>.json    its CAR CID and length; written last, so what has one is whole
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from hub.pinning.commitment import commit
from hub.pinning.pinner import LOCAL, Pin, PinningError
from protocol.cid import CAR, Cid
from protocol.errors import MalformedError

_RECORD_SUFFIX: Final = ".json"
_FILE_SUFFIX: Final = ".car"


class LocalPinStore:
    """Pins in a folder. Processes and threads may share it: every change is one rename."""

    def __init__(self, directory: Path) -> None:
        """Use ``directory``, which is made if need be.

        Raises:
            PinningError: it cannot be made.
        """
        self._directory = directory
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PinningError(f"cannot keep pins in {directory}: {error.strerror}") from error

    def pin(self, path: Path, *, car: Cid) -> Pin:
        """See `Pinner`."""
        try:
            with path.open("rb") as stream:
                pin = commit(stream, car=car, where=LOCAL)
            kept = self._file(pin.piece)
            if self._read(pin.piece) == pin and kept.stat().st_size == pin.size_bytes:
                return pin
            self._keep(path, kept)
            self._record(pin)
        except OSError as error:
            raise PinningError(f"cannot pin {path.name}: {error.strerror}") from error
        return pin

    def open_piece(self, piece: Cid) -> BinaryIO | None:
        """See `Pinner`."""
        if self._read(piece) is None:
            return None
        try:
            return self._file(piece).open("rb")
        except OSError as error:
            raise PinningError(f"pinned, but not to be read: {piece}: {error.strerror}") from error

    def find(self, cid: Cid) -> Pin | None:
        """See `Pinner`."""
        if cid.codec != CAR:
            return self._read(cid)
        return next((pin for pin in self.pins() if pin.car == cid), None)

    def pins(self) -> Iterator[Pin]:
        """See `Pinner`."""
        try:
            names = sorted(path.stem for path in self._directory.glob(f"*{_RECORD_SUFFIX}"))
        except OSError as error:
            raise PinningError(f"cannot list {self._directory}: {error.strerror}") from error
        for name in names:
            try:
                pin = self._read(Cid.parse(name))
            except MalformedError as error:
                raise PinningError(f"{name}{_RECORD_SUFFIX} does not belong in {self._directory}: remove it") from error
            if pin is not None:
                yield pin

    def _keep(self, path: Path, kept: Path) -> None:
        arriving = _arriving(kept)
        arriving.unlink(missing_ok=True)
        try:
            arriving.hardlink_to(path)
        except OSError:  # another disk, or one that knows no links
            shutil.copyfile(path, arriving)
        with arriving.open("rb") as stream:
            os.fsync(stream.fileno())
        arriving.replace(kept)
        arriving.unlink(missing_ok=True)  # renaming a link onto its own file leaves both names

    def _record(self, pin: Pin) -> None:
        content = json.dumps({"car": str(pin.car), "size_bytes": pin.size_bytes}, sort_keys=True)
        arriving = _arriving(self._file(pin.piece))
        with arriving.open("w") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        arriving.replace(self._file(pin.piece).with_suffix(_RECORD_SUFFIX))
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _read(self, piece: Cid) -> Pin | None:
        path = self._file(piece).with_suffix(_RECORD_SUFFIX)
        try:
            fields = json.loads(path.read_bytes())
            return Pin(piece, Cid.parse(fields["car"]), int(fields["size_bytes"]), LOCAL)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, MalformedError) as error:
            raise PinningError(f"the record of pin {piece} is damaged: remove {path.name} and pin again") from error

    def _file(self, piece: Cid) -> Path:
        return self._directory / f"{piece}{_FILE_SUFFIX}"


def _arriving(kept: Path) -> Path:
    """Return a name that no other process and no other thread writes to at this moment."""
    return kept.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
