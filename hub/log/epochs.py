"""An epoch's own CAR, ``epochs/epoch-00000001.car``: the manifest as root, the verdict root, the verdict pages."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hub.log.files import sync_directory, write_whole
from protocol.car import car_header, car_section, read_car
from protocol.cid import Cid
from protocol.errors import MalformedError
from protocol.manifest import EpochManifest, VerdictRow, verdict_pages, verdict_rows

_PREFIX: Final = "epoch-"
_SUFFIX: Final = ".car"


class ArchiveError(Exception):
    """An epoch cannot be closed or read; the sentence says what to do."""


def epoch_path(directory: Path, epoch: int) -> Path:
    """Return where the CAR of ``epoch`` stands."""
    return directory / f"{_PREFIX}{epoch:08d}{_SUFFIX}"


def last_epoch(directory: Path) -> int:
    """Return the last epoch that has a CAR; 0 if none has."""
    numbers = (path.stem.removeprefix(_PREFIX) for path in directory.glob(f"{_PREFIX}*{_SUFFIX}"))
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def write_epoch_car(path: Path, manifest: bytes, verdicts: list[bytes]) -> None:
    """Write the CAR, durably and at once, or find it there already.

    Args:
        path: from `epoch_path`.
        manifest: the manifest's block.
        verdicts: from `verdict_blocks`: pages, then their root.

    Raises:
        ArchiveError: another CAR stands there: what was published is never replaced.
        OSError: the disk refused.
    """
    *pages, root = verdicts
    sections = b"".join(car_section(Cid.of(block), block) for block in (manifest, root, *pages))
    content = car_header(Cid.of(manifest)) + sections
    if path.exists():
        if path.read_bytes() != content:
            raise ArchiveError(f"{path.name} was published with other content: log or schedule have changed since")
        return
    arriving = path.with_suffix(".part")
    arriving.unlink(missing_ok=True)
    descriptor = os.open(arriving, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
    try:
        write_whole(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    arriving.rename(path)
    sync_directory(path.parent)


def read_manifest(path: Path) -> tuple[Cid, EpochManifest]:
    """Return the manifest of an epoch and its CID.

    Raises:
        ArchiveError: the epoch is not closed, or its CAR is damaged.
    """
    try:
        with path.open("rb") as stream:
            reader = read_car(stream)
            first = next(iter(reader), None)
            if first is None or first.cid != reader.root:
                raise ArchiveError(f"{path.name} does not begin with its manifest: fetch it from where it was pinned")
            return first.cid, EpochManifest.from_block(first.block)
    except FileNotFoundError as error:
        raise ArchiveError(f"{path.name} is not here: that epoch was not closed yet") from error
    except (OSError, MalformedError) as error:
        raise ArchiveError(f"{path.name} cannot be read ({error}): fetch it from where it was pinned") from error


def read_verdicts(path: Path) -> Iterator[VerdictRow]:
    """Yield the published verdicts of an epoch, in log order.

    Raises:
        ArchiveError: the epoch is not closed, or its CAR is damaged.
    """
    _, manifest = read_manifest(path)
    try:
        with path.open("rb") as stream:
            blocks = {found.cid: found.block for found in read_car(stream)}
        _, pages = verdict_pages(blocks[manifest.verdicts])
        for page in pages:
            yield from verdict_rows(blocks[page])
    except (OSError, MalformedError, KeyError) as error:
        raise ArchiveError(f"{path.name} cannot be read ({error}): fetch it from where it was pinned") from error
