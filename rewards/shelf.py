"""The reports of this machine on disk, one CAR file an epoch. Nothing here is the only copy: see `rewards.runner`."""

import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from protocol.car import CarBlock, car_header, car_section, read_car
from protocol.cid import Cid
from protocol.errors import MalformedError
from rewards.domain.errors import ReportError
from rewards.domain.report import EpochReport
from rewards.domain.reportblocks import read_report, report_blocks


class ShelfError(Exception):
    """The disk did not give or take a report."""


class ReportShelf:
    """The folder ``reports/``. Safe to share between threads."""

    def __init__(self, folder: Path) -> None:
        """Open ``folder``, making it if need be.

        Raises:
            ShelfError: it cannot be made or read.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._places: dict[Cid, tuple[Path, int, int]] = {}  # by CID: file, offset and length of the block
        self._reports: dict[int, EpochReport] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(folder.glob("report-*.car")):
                self._index(path)
        except OSError as error:
            raise ShelfError(f"cannot open {folder}: {error.strerror}") from error

    def epochs(self) -> tuple[int, ...]:
        """Return the epochs whose report is here, ascending."""
        with self._lock:
            return tuple(sorted(self._reports))

    def report(self, epoch: int) -> EpochReport | None:
        """Return the report of ``epoch``, if it is here."""
        with self._lock:
            return self._reports.get(epoch)

    def block(self, cid: Cid) -> bytes | None:
        """Return a block of any report here, hash checked; None if there is none.

        Raises:
            ShelfError: the disk failed, or the file was changed under us.
        """
        with self._lock:
            place = self._places.get(cid)
        if place is None:
            return None
        path, offset, length = place
        try:
            with path.open("rb") as stream:
                stream.seek(offset)
                block = stream.read(length)
        except OSError as error:
            raise ShelfError(f"cannot read {path.name}: {error.strerror}") from error
        if not cid.matches(block):
            raise ShelfError(f"{path.name} is damaged: delete it, it will be computed again")
        return block

    def put(self, report: EpochReport) -> None:
        """Keep ``report``, in place of another of its epoch; it is on the disk when this returns.

        Raises:
            ShelfError: the disk did not take it.
        """
        blocks = report_blocks(report)
        path = self._folder / f"report-{report.epoch:08d}.car"
        partial = path.with_suffix(".part")
        try:
            with partial.open("wb") as stream:
                stream.write(car_header(Cid.of(blocks[-1])))
                for block in blocks:
                    stream.write(car_section(Cid.of(block), block))
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
            self._index(path)
        except OSError as error:
            raise ShelfError(f"cannot write {path}: {error.strerror}") from error

    def _index(self, path: Path) -> None:
        """Learn a file's report and where its blocks stand; a damaged file is as good as none."""
        try:
            with path.open("rb") as stream:
                reader = read_car(stream)
                found = {one.cid: one for one in _unique(reader)}
                report = read_report(found[reader.root].block, lambda cid: found[cid].block)
        except (MalformedError, ReportError, KeyError):
            return
        with self._lock:
            self._reports[report.epoch] = report
            self._places.update({cid: (path, one.offset, one.length) for cid, one in found.items()})


def _unique(blocks: Iterable[CarBlock]) -> Iterator[CarBlock]:
    seen: set[Cid] = set()
    for one in blocks:
        if one.cid not in seen:
            seen.add(one.cid)
            yield one
