"""Reading segments from disk: whole logs for judging, replay and reindexing, and single blocks for the gateway."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hub.domain.records import BlockPlace, HeaderRecord, LogRecord
from hub.log.errors import CorruptSegmentError, LogError
from hub.log.files import OPEN_SUFFIX, SEALED_SUFFIX
from hub.log.verifier import LogTip, SegmentVerifier
from protocol.car import read_car
from protocol.cid import Cid
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.logbook import SegmentHeader

_BUFFER_BYTES = 1 << 20


def read_segment(path: Path, hub: PublicKey, after: LogTip | None = None) -> Iterator[LogRecord]:
    """Yield the verified records of one segment; see `SegmentVerifier` for what is checked.

    An unsealed segment is read up to its last whole record, so that a reader never sees what was not acknowledged.

    Raises:
        CorruptSegmentError: damaged, or not written by ``hub``.
        LogError: the file could not be read.
    """
    yield from _verified(path, SegmentVerifier(stem(path), hub, after))


def read_log(paths: Iterable[Path], hub: PublicKey) -> Iterator[LogRecord]:
    """Yield the verified records of several segments that follow each other, and check that they do.

    Raises:
        CorruptSegmentError, LogError: see `read_segment`.
    """
    tip: LogTip | None = None
    for path in paths:
        verifier = SegmentVerifier(stem(path), hub, tip)
        yield from _verified(path, verifier)
        tip = verifier.tip


def read_header(path: Path, hub: PublicKey) -> SegmentHeader:
    """Return what the first record of a segment says.

    Raises:
        CorruptSegmentError, LogError: see `read_segment`.
    """
    for record in read_segment(path, hub):
        if isinstance(record, HeaderRecord):
            return record.header
    raise CorruptSegmentError(f"{path.name} has no header")


def log_tip(sealed: Sequence[Path], hub: PublicKey) -> LogTip | None:
    """Return where the log stands behind the last of ``sealed``; None if there are none.

    Reads backwards only as far as needed to know the last batch.
    """
    last: LogTip | None = None
    for path in reversed(sealed):
        verifier = SegmentVerifier(stem(path), hub)
        for _ in _verified(path, verifier):
            pass
        last = last or verifier.tip
        if verifier.tip.batch is not None:
            return replace(last, batch=verifier.tip.batch)
    return last


def car_places(path: Path) -> Iterator[BlockPlace]:
    """Yield the place of every block of a CAR, hashes checked: what an index of blocks is rebuilt from.

    Raises:
        CorruptSegmentError: damaged.
        LogError: the file could not be read.
    """
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as stream:
            for found in read_car(stream):
                yield BlockPlace(found.cid.digest, stem(path), found.offset, found.length)
    except MalformedError as error:
        raise CorruptSegmentError(f"{path.name}: {error}") from error
    except OSError as error:
        raise LogError(f"cannot read {path.name}: {error.strerror}") from error


def read_block(folders: Iterable[Path], place: BlockPlace) -> bytes:
    """Return the block at ``place``, hash checked.

    Args:
        folders: where CAR files lie; a segment is found under the same place before and after it was sealed.
        place: from a `BatchRef`, an `EpochRecord`, a record of the log, or `car_places`.

    Raises:
        CorruptSegmentError: what stands there is another block.
        LogError: there is no such file, or it could not be read.
    """
    folders = tuple(folders)
    # Sealed twice over: the file may change its suffix between the first look and the second.
    for suffix in (SEALED_SUFFIX, OPEN_SUFFIX, SEALED_SUFFIX):
        for folder in folders:
            try:
                with (folder / f"{place.file}{suffix}").open("rb") as stream:
                    stream.seek(place.offset)
                    block = stream.read(place.length)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise LogError(f"cannot read {place.file}: {error.strerror}") from error
            if not Cid.of_digest(place.digest).matches(block):
                raise CorruptSegmentError(f"{place.file} at byte {place.offset}: not the block the index names")
            return block
    raise LogError(f"{place.file} is gone: fetch it from where it was pinned")


def stem(path: Path) -> str:
    """Return a CAR file's name without its suffix, as `BlockPlace.file` has it."""
    return path.name.removesuffix(OPEN_SUFFIX).removesuffix(SEALED_SUFFIX)


def _verified(path: Path, verifier: SegmentVerifier) -> Iterator[LogRecord]:
    is_open = path.name.endswith(OPEN_SUFFIX)
    try:
        with path.open("rb", buffering=_BUFFER_BYTES) as stream:
            reader = read_car(stream)
            try:
                for found in reader:
                    record = verifier.take(found)
                    if record is not None:
                        if isinstance(record, HeaderRecord) and Cid.of_digest(record.place.digest) != reader.root:
                            raise CorruptSegmentError(f"{path.name}: the header is not the root")
                        yield record
            except MalformedError:
                if not is_open:
                    raise
            if not is_open:
                verifier.finish()
    except MalformedError as error:
        raise CorruptSegmentError(f"{path.name}: {error}") from error
    except OSError as error:
        raise LogError(f"cannot read {path.name}: {error.strerror}") from error
