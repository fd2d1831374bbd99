"""Drafts that a power cut left behind, and a lock that cannot be taken."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.doctor.check import Finding, FixError, ill, well
from edge.doctor.patient import Patient

_FRESH_MS: Final = 60_000  # a draft lives for milliseconds, a download for minutes: leave what may still be in work
_DOWNLOAD_FRESH_MS: Final = 3_600_000


def look_at_files(patient: Patient) -> Finding:
    """Nothing half-written lies about, and the lock can be taken."""
    stale = [path.name for path in _stale(patient)]
    if _is_lock_unusable(patient):
        return ill(f"{_lock_path(patient)} is no file that can be locked: remove it", can_be_fixed=True)
    if stale:
        says = f"left half-written by a power cut: {', '.join(stale[:4])}; nothing reads them, delete them"
        return ill(says, can_be_fixed=True)
    return well("nothing half-written lies about, the lock can be taken")


def sweep(patient: Patient) -> str:
    """Delete what was left half-written; put a usable lock in the place of one that is not."""
    did = []
    try:
        for path in _stale(patient):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            did.append(f"deleted {path.name}")
        if _is_lock_unusable(patient):
            did.append(_mend_lock(_lock_path(patient)))
    except OSError as error:
        raise FixError(f"{error.filename} cannot be removed ({error.strerror}): look at it and remove it") from error
    return ", ".join(did)


def _mend_lock(lock: Path) -> str:
    if lock.is_dir() and not lock.is_symlink():
        lock.rmdir()  # an empty one only: what somebody put there is theirs
    elif lock.is_file() and not lock.is_symlink():
        lock.chmod(0o600)
        return f"made {lock.name} writable"
    else:
        lock.unlink()
    os.close(os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return f"put a new {lock.name} in place"


def _stale(patient: Patient) -> list[Path]:
    now_ms = patient.world.now_ms()
    found = [path for path in patient.directory.glob("*.new") if _age_ms(path, now_ms) > _FRESH_MS]
    found += [path for path in patient.directory.glob(".doctor-*") if _age_ms(path, now_ms) > _FRESH_MS]
    found += [path for path in _half_models(patient) if _age_ms(path, now_ms) > _DOWNLOAD_FRESH_MS]
    return sorted(found)


def _half_models(patient: Patient) -> Iterator[Path]:
    models = patient.directory / patient.files.models
    yield from models.glob(".adding-*")
    yield from models.glob(".download-*")


def _age_ms(path: Path, now_ms: int) -> int:
    try:
        return now_ms - path.lstat().st_mtime_ns // 1_000_000
    except OSError:
        return 0


def _lock_path(patient: Patient) -> Path:
    return patient.directory / f"{patient.files.sequence}.lock"


def _is_lock_unusable(patient: Patient) -> bool:
    lock = _lock_path(patient)
    if not (lock.exists() or lock.is_symlink()):
        return False  # the agent makes it at its start
    return lock.is_symlink() or not lock.is_file() or not lock.stat().st_mode & 0o200
