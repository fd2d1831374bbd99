"""Who may read and change the device's directory, and whether all of it belongs to one user."""

import stat
from pathlib import Path
from typing import Final

from edge.doctor.check import Finding, FixError, ill, well
from edge.doctor.patient import Patient

_FORBIDDEN: Final = 0o027  # writing by the group, anything by others: settings may hold the camera's password


def look_at_rights(patient: Patient) -> Finding:
    """Nobody else can read or change the directory; nothing in it belongs to somebody else."""
    directory = patient.directory
    try:
        mode = stat.S_IMODE(directory.stat().st_mode)
        strangers = _strangers(patient)
    except OSError as error:
        return ill(f"{directory} cannot be looked at ({error.strerror}): run as the user that the agent runs as")
    if mode & _FORBIDDEN:
        says = f"{directory} is open to other users (mode {mode:04o}): run `chmod 700 {directory}`"
        return ill(says, can_be_fixed=True)
    if strangers:
        names = ", ".join(path.name for path in strangers[:3])
        says = f"{names} under {directory} belongs to another user than the directory, as after one run with sudo"
        if patient.world.user_id != 0:
            says += f": run `sudo chown -R --reference={directory} {directory}`"
        return ill(says, can_be_fixed=patient.world.user_id == 0)
    return well(f"{directory} belongs to one user and is closed to others")


def close_directory(patient: Patient) -> str:
    """Close the directory to others and give everything in it to its owner."""
    directory = patient.directory
    did = []
    try:
        if stat.S_IMODE(directory.stat().st_mode) & _FORBIDDEN:
            directory.chmod(0o700)
            did.append(f"closed {directory} to other users")
        for path in _strangers(patient):
            patient.world.give(path, patient.world.owner_of(directory))
            did.append(f"gave {path.name} to the directory's owner")
    except OSError as error:
        raise FixError(
            f"{error.filename} cannot be changed ({error.strerror}): run this as the owner of {directory}"
        ) from error
    return ", ".join(did)


def _strangers(patient: Patient) -> list[Path]:
    owner_of = patient.world.owner_of
    owner = owner_of(patient.directory)
    return sorted(path for path in patient.directory.iterdir() if owner_of(path) != owner)
