"""The first minute of a device: its directory, its key, its sequence file and its settings file."""

import json
import os
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, TypeVar

from edge.errors import EdgeError
from edge.keeping.sequence import SequenceLedger, read_ledger
from edge.owning.anchors import KeyPlace
from edge.owning.identity import create_key_file, load_key_file, sync_directory
from edge.owning.keys import create_signer, has_key, open_signer
from edge.place import SEQUENCE_FILE
from protocol.identity import KeyPair, Signer

_DIGITS_MAX: Final = 30
S = TypeVar("S", bound=Signer)


class SetupError(EdgeError):
    """The device cannot be set up as asked; the message says what to do."""


def set_up(directory: Path, text: str, *, key_name: str, sequence_name: str, settings_name: str) -> KeyPair:
    """Make the device in ``directory`` with the settings ``text``; a key file that is there already is kept.

    Raises:
        SetupError: see `found`.
        KeyFileError, SequenceError: a key or sequence file is there and cannot be trusted.
    """
    key, sequence = directory / key_name, directory / sequence_name
    return found(directory, text, settings_name=settings_name, make_key=lambda: _key_with_sequence(key, sequence))


def found(directory: Path, text: str, *, settings_name: str, make_key: Callable[[], S]) -> S:
    """Make the device in ``directory`` with the settings ``text`` and whatever ``make_key`` puts there.

    The settings file comes last: a directory that has one is complete.

    Raises:
        SetupError: it is a device already, the directory cannot be written, or the text is not UTF-8.
        EdgeError: what ``make_key`` raises.
    """
    settings_path = directory / settings_name
    if settings_path.exists():
        raise SetupError(f"{settings_path} is there already: edit it, or choose another directory with --dir")
    try:
        settings = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise SetupError("a name on the command line is not UTF-8: rename the file and give its new name") from error
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = make_key()
        draft = settings_path.with_name(settings_name + ".new")
        with draft.open("wb") as file:
            file.write(settings)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(settings_path)
        sync_directory(directory)
    except OSError as error:
        raise SetupError(f"{directory} cannot be written ({error.strerror}): choose another with --dir") from error
    return key


def key_with_sequence(
    place: KeyPlace, directory: Path, environment: Mapping[str, str], *, is_unused: bool = False
) -> Signer:
    """Return the key at ``place``, made if it is not there yet, with the sequence file that must go with it.

    ``is_unused`` is the owner's word that a key which is in the token already has never signed an envelope.

    Raises:
        SetupError: the token holds the key, and what numbers it used is not known.
        IdentityError, SequenceError: a key or sequence file is there and cannot be trusted.
    """
    sequence_path = directory / SEQUENCE_FILE
    is_there = has_key(place, directory, environment)
    if is_there and place.source != "file" and not sequence_path.exists() and not is_unused:
        raise SetupError(
            f"the token holds a key {place.label!r} already, and without its sequence file a number could be used "
            f"twice: choose another --key-label, or say --key-is-unused if it never signed"
        )
    # The sequence file first: a key without one must never sign, and a sequence file without a key harms nobody.
    if not sequence_path.exists() and (not is_there or place.source != "file"):
        SequenceLedger.create(sequence_path)
    read_ledger(sequence_path)
    return (open_signer if is_there else create_signer)(place, directory, environment)


def _key_with_sequence(key_path: Path, sequence_path: Path) -> KeyPair:
    if key_path.exists():
        read_ledger(sequence_path)
        return load_key_file(key_path)
    if not sequence_path.exists():
        SequenceLedger.create(sequence_path)
    return create_key_file(key_path)


def toml_text(tables: Mapping[str, object], *, header: str) -> str:
    """Return ``tables`` (plain values and one level of tables) as TOML under the comment ``header``."""
    lines = [f"# {line}" for line in header.splitlines()]
    lines += [f"{name} = {_toml_value(value)}" for name, value in tables.items() if not isinstance(value, Mapping)]
    for name, value in tables.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {_toml_value(inner)}" for key, inner in value.items())]
    return "\n".join(lines) + "\n"


def _toml_value(value: object) -> str:
    # A JSON string is a TOML basic string as long as nothing beyond ASCII is written as a pair of surrogates.
    return json.dumps(value, ensure_ascii=False)


def scaled(text: str, *, by: int, name: str) -> int:
    """Return the decimal number in ``text`` times ``by``, exactly, rounded half to even: degrees to micro-degrees.

    Raises:
        SetupError: not a decimal number.
    """
    try:
        number = Decimal(text) * by
        # Nothing here is that large, and an int of a million digits takes minutes.
        if number.adjusted() > _DIGITS_MAX:
            raise OverflowError
        return int(number.to_integral_value())
    except (ArithmeticError, ValueError) as error:
        raise SetupError(f"{name} must be a decimal number, not {text!r}") from error
