"""Judging as a service: fetches an epoch's segments from disk and applies hub.domain.judging to them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hub.domain.admission import Standing
from hub.domain.judging import EpochTerms, Judged, JudgingError, judge, learn_records
from hub.domain.standing import MemoryStanding
from hub.log.errors import LogError
from hub.log.files import open_segments, sealed_segments
from hub.log.reading import read_header, read_log
from protocol.identity import PublicKey

_MAX_HEADER_BYTES: Final = 4_096


def epoch_segments(directory: Path, hub: PublicKey, epoch: int) -> list[Path]:
    """Return the sealed segments of ``epoch`` in log order; none if nothing was open then.

    Raises:
        LogError: a segment cannot be read, or one of this epoch is still open.
    """
    try:
        if (standing_open := _open_epoch(directory, hub)) is not None and standing_open <= epoch:
            raise LogError(f"a segment of epoch {standing_open} is still open: the hub seals it when it next runs")
        found: list[Path] = []
        # Backwards: what closes is what was written last, and epochs never go back.
        for path in reversed(sealed_segments(directory)):
            stands_in = read_header(path, hub).epoch
            if stands_in < epoch:
                break
            if stands_in == epoch:
                found.append(path)
    except OSError as error:
        raise LogError(f"cannot list {directory}: {error.strerror}") from error
    return found[::-1]


def _open_epoch(directory: Path, hub: PublicKey) -> int | None:
    """Return the epoch that is being written; None if no segment is open, or the open one has no header yet."""
    for path in open_segments(directory):
        try:
            return read_header(path, hub).epoch
        except LogError:
            # It may have been sealed between the look and the reading; a file without header holds nothing.
            if path.exists() and path.stat().st_size > _MAX_HEADER_BYTES:
                raise
            return _open_epoch(directory, hub) if not path.exists() else None
    return None


def standing_before(segments: Sequence[Path], hub: PublicKey, network: str) -> MemoryStanding:
    """Return what the log holds after ``segments``, which are all from the first on. Reads them whole.

    Raises:
        LogError: a segment is damaged or cannot be read.
    """
    standing = MemoryStanding()
    learn_records(read_log(segments, hub), standing, network)
    return standing


def judge_epoch(
    directory: Path, hub: PublicKey, terms: EpochTerms, before: Standing | None = None
) -> tuple[list[Path], Judged]:
    """Judge a closed epoch; return its segments and its verdicts.

    Args:
        directory: where the segments lie.
        hub: whose log it is.
        terms: which epoch.
        before: what an index says the log held before the epoch, nothing later included: it saves reading the earlier
            segments. None, or where it contradicts the log: they are read.

    Raises:
        LogError: a segment is open, damaged or cannot be read.
        JudgingError: the log contradicts itself.
    """
    segments = epoch_segments(directory, hub, terms.epoch)
    if not segments:
        return [], judge((), MemoryStanding(), terms)
    if before is not None:
        # Judging yields the logged verdicts or nothing, so a wrong index cannot change a row. If it shares the mistake
        # of the intake it can confirm one, and that is what a replay, which never asks an index, would show.
        with suppress(JudgingError):
            return segments, judge(read_log(segments, hub), MemoryStanding(before), terms)
    sealed = sealed_segments(directory)
    before = standing_before(sealed[: sealed.index(segments[0])], hub, terms.network)
    return segments, judge(read_log(segments, hub), MemoryStanding(before), terms)
