"""What a power cut or a kill leaves behind: the open segment is cut after its last whole hub record.

Every write is flushed before the next begins, so a torn write is the last one, and nobody was promised anything about
it. Whole hub records behind a damaged place therefore mean that acknowledged bytes were damaged: then nothing is cut,
and the hub refuses to start. One exception stays: pages of the very last write may reach the disk out of order, its
commit mark before its blocks. What is cut then is kept in a file beside the segment.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.domain.records import HeaderRecord
from hub.log.errors import CorruptSegmentError
from hub.log.files import sync_directory, sync_file, write_whole
from hub.log.reading import stem
from hub.log.verifier import LogTip, SegmentVerifier
from protocol.car import read_car
from protocol.cid import Cid
from protocol.cose import open_sign1, sign1
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import PublicKey, Signer
from protocol.varint import encode_varint

_MAX_FIRST_WRITE_BYTES: Final = 4_096  # the CAR's header and the segment's take less than 500
_DIGEST_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Repair:
    """What the last start cut off: never anything that was acknowledged.

    Attributes:
        path: the segment.
        kept_bytes: its length now; 0 if not even its header was whole, and it was begun anew.
        cut_bytes: how much was cut.
        set_aside: where the cut bytes went, if a whole hub record was among them.
    """

    path: Path
    kept_bytes: int
    cut_bytes: int
    set_aside: Path | None


def recover(path: Path, signer: Signer, after: LogTip | None) -> tuple[SegmentVerifier, Repair | None]:
    """Cut the open segment at ``path`` after its last whole hub record; report what was cut.

    Raises:
        CorruptSegmentError: acknowledged bytes are damaged; nothing was changed.
        OSError: the disk refused.
    """
    verifier = SegmentVerifier(stem(path), signer.public_key, after)
    _read_until_torn(path, verifier)
    size_bytes = path.stat().st_size
    kept_bytes = verifier.committed_bytes
    if kept_bytes == size_bytes:
        return verifier, None
    if verifier.header is None and size_bytes > _MAX_FIRST_WRITE_BYTES:
        raise CorruptSegmentError(f"{path.name} has lost its beginning: restore it from a copy; nothing was changed")
    set_aside = _set_aside(path, verifier, signer)
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(descriptor, kept_bytes)
        sync_file(descriptor)
    finally:
        os.close(descriptor)
    return verifier, Repair(path, kept_bytes, size_bytes - kept_bytes, set_aside)


def _read_until_torn(path: Path, verifier: SegmentVerifier) -> None:
    with path.open("rb", buffering=1 << 20) as stream:
        try:
            reader = read_car(stream)
            for found in reader:
                record = verifier.take(found)
                if isinstance(record, HeaderRecord) and Cid.of_digest(record.place.digest) != reader.root:
                    raise CorruptSegmentError(f"{path.name}: the header is not the root")
        except MalformedError:
            return  # torn, or damaged: the caller looks at what follows


def _set_aside(path: Path, verifier: SegmentVerifier, signer: Signer) -> Path | None:
    """Keep what will be cut if a whole hub record is in it.

    Raises:
        CorruptSegmentError: there is more behind the damage than one torn write can leave.
    """
    cut_at = verifier.committed_bytes
    with path.open("rb") as stream:
        stream.seek(cut_at)
        tail = stream.read()
    found = _whole_records(tail, signer)
    if not found:
        return None
    if found != [(len(tail), verifier.tip.digest)]:
        raise CorruptSegmentError(
            f"{path.name} is damaged after byte {cut_at}, and whole records follow: "
            "restore the file from a copy; nothing was changed"
        )
    aside = path.with_name(f"{stem(path)}.cut-{cut_at}")
    with aside.open("wb") as stream:
        write_whole(stream.fileno(), tail)
        os.fsync(stream.fileno())
    sync_directory(path.parent)
    return aside


def _whole_records(tail: bytes, signer: Signer) -> list[tuple[int, bytes]]:
    """Return where, in ``tail``, whole records of the hub end, and which record each of them continues."""
    key_id = signer.public_key.key_id
    key_at = sign1(b"", signer).index(key_id)
    found = []
    found_at = tail.find(key_id)
    while found_at >= 0:
        end = _section_end(tail, found_at - key_at, signer.public_key)
        if end is not None:
            payload = open_sign1(tail[found_at - key_at : end]).payload
            found.append((end, payload[-_DIGEST_BYTES:]))  # `previous` is the last field of every hub record
        found_at = tail.find(key_id, found_at + 1)
    return found


def _section_end(tail: bytes, block_at: int, hub: PublicKey) -> int | None:
    """Return where the CAR section ends whose block begins at ``block_at``, if it is whole and signed by ``hub``."""
    cid_at = block_at - len(Cid.of(b"").raw)
    for length_bytes in range(1, 5):
        length_at = cid_at - length_bytes
        if length_at < 0:
            return None
        length = _varint_exactly(tail[length_at:cid_at])
        if length is None:
            continue
        block = tail[block_at : cid_at + length]
        if tail[cid_at:block_at] == Cid.of(block).raw and _is_signed_by(block, hub):
            return cid_at + length
    return None


def _varint_exactly(raw: bytes) -> int | None:
    value = sum((byte & 0x7F) << (7 * index) for index, byte in enumerate(raw))
    return value if encode_varint(value) == raw else None


def _is_signed_by(block: bytes, hub: PublicKey) -> bool:
    try:
        return open_sign1(block).key == hub
    except ProtocolError:
        return False
