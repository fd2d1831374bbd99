"""The key, the sequence file and the settings: what makes this device this device."""

import os

from edge.doctor.check import Finding, FixError, ill, well
from edge.doctor.patient import Patient
from edge.keeping.sequence import SequenceError, read_ledger
from edge.owning.anchors import KeyPlace
from edge.owning.identity import IdentityError
from edge.owning.keys import open_signer


def look_at_key(patient: Patient) -> Finding:
    """The key file is there, safe and a key; or the token is, and knows its PIN."""
    path = patient.directory / patient.files.key
    place = KeyPlace() if patient.told is None else patient.told.key
    try:
        return well(open_signer(place, patient.directory, os.environ).public_key.did)
    except IdentityError as error:
        if place.source != "file":
            return ill(str(error))
        return ill(str(error), can_be_fixed=path.is_file() and bool(path.stat().st_mode & 0o077))


def hide_key(patient: Patient) -> str:
    """Let nobody but its owner read the key file."""
    path = patient.directory / patient.files.key
    try:
        path.chmod(0o600)
    except OSError as error:
        raise FixError(f"{path} cannot be changed ({error.strerror}): run `sudo chmod 600 {path}`") from error
    return f"made {path.name} readable by its owner alone; whoever could read it before may have copied it"


def look_at_sequence(patient: Patient) -> Finding:
    """The sequence file is there and sound."""
    try:
        boot, used_until = read_ledger(patient.directory / patient.files.sequence)
    except SequenceError as error:
        return ill(str(error))
    return well(f"{boot} starts, numbers reserved up to {used_until}")


def look_at_settings(patient: Patient) -> Finding:
    """The settings can be read and make sense."""
    if patient.settings_complaint is not None:
        return ill(patient.settings_complaint)
    return well(str(patient.directory / patient.files.settings))
