"""A file that only grows: every append is on the disk when it returns, or has left no trace."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from hub.domain.records import BlockPlace
from hub.log import files
from hub.log.errors import LogError
from hub.log.files import OPEN_SUFFIX, SEALED_SUFFIX, sync_directory, write_whole
from hub.log.reading import stem
from protocol.car import car_section
from protocol.cid import Cid


class AppendingFile:
    """An unsealed segment's file.

    Attributes:
        path: where it is.
        size_bytes: how long it is: where the next append will begin.
    """

    def __init__(self, path: Path, descriptor: int, size_bytes: int) -> None:
        """Use `create` or `reopen`."""
        self._descriptor = descriptor
        self.path = path
        self.size_bytes = size_bytes

    @classmethod
    def create(cls, path: Path, content: bytes) -> Self:
        """Begin the file ``path``, which does not exist yet, with ``content``.

        Raises:
            OSError: the disk refused; a beginning of the file may be there.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            write_whole(descriptor, content)
            files.sync_file(descriptor)
            sync_directory(path.parent)
        except OSError:
            os.close(descriptor)
            raise
        return cls(path, descriptor, len(content))

    @classmethod
    def reopen(cls, path: Path, size_bytes: int) -> Self:
        """Go on with a file that was found whole.

        Raises:
            OSError: it cannot be opened.
        """
        return cls(path, os.open(path, os.O_WRONLY | os.O_APPEND), size_bytes)

    def append(self, blocks: Sequence[bytes]) -> tuple[BlockPlace, ...]:
        """Write ``blocks`` behind what is there, in one write and one flush; return their places.

        Raises:
            LogError: the disk refused. The file is as it was, or, if even that could not be done, closed.
        """
        if self._descriptor < 0:
            raise LogError("the log is closed: open it again")
        content = bytearray()
        places: list[BlockPlace] = []
        for block in blocks:
            cid = Cid.of(block)
            content += car_section(cid, block)
            offset = self.size_bytes + len(content) - len(block)
            places.append(BlockPlace(cid.digest, stem(self.path), offset, len(block)))
        try:
            write_whole(self._descriptor, content)
            files.sync_file(self._descriptor)
        except OSError as error:
            self._take_back()
            raise LogError(
                f"cannot write the log ({error.strerror}): this batch was not kept; free some space and try again"
            ) from error
        self.size_bytes += len(content)
        return tuple(places)

    def seal(self) -> Path:
        """Close the file, make it read-only, and give it its final name; return that.

        Raises:
            OSError: the disk refused.
        """
        self.close()
        return seal_file(self.path)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take_back(self) -> None:
        """Cut off a write that failed half-way, so that the next one continues whole records."""
        try:
            os.ftruncate(self._descriptor, self.size_bytes)
            files.sync_file(self._descriptor)
        except OSError as error:
            self.close()
            raise LogError(f"the disk refuses to write the log ({error.strerror}): start the hub again") from error


def seal_file(path: Path) -> Path:
    """Give an unsealed segment its final name and make it read-only.

    Raises:
        OSError: the disk refused.
    """
    path.chmod(0o444)
    sealed = path.rename(path.with_name(path.name.removesuffix(OPEN_SUFFIX) + SEALED_SUFFIX))
    sync_directory(path.parent)
    return sealed
