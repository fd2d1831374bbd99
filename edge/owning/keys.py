"""Where the device's key is: in a file beside the settings, or in a token that never shows it."""

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edge.owning.anchors import KeyPlace
from edge.owning.identity import IdentityError, create_key_file, load_key_file, read_private, write_private
from edge.place import KEY_FILE, KEY_LABEL_FILE
from protocol.identity import Signer

if TYPE_CHECKING:
    from edge.owning.token_key import KeyToken

_PIN_MAX_BYTES: Final = 256
_LABEL_MAX_BYTES: Final = 255


def open_signer(place: KeyPlace, directory: Path, environment: Mapping[str, str]) -> Signer:
    """Return the key of the device in ``directory``, ready to sign; keep its memory out of core dumps.

    Raises:
        IdentityError: it cannot be had; the message says what to do.
    """
    _no_core_dumps()
    if place.source == "file":
        return load_key_file(directory / KEY_FILE)
    return open_token(place, directory, environment).load(key_label(place, directory))


def create_signer(place: KeyPlace, directory: Path, environment: Mapping[str, str]) -> Signer:
    """Make the key of a new device; in a token, under the label that ``place`` names.

    Raises:
        IdentityError: there is one already, or it cannot be made.
    """
    if place.source == "file":
        return create_key_file(directory / KEY_FILE)
    return open_token(place, directory, environment).create(place.label)


def make_next_key(
    place: KeyPlace, directory: Path, environment: Mapping[str, str], *, folder: Path, label: str
) -> Signer:
    """Make the key that follows the one of the device in ``directory``, and in ``folder`` what names it.

    Called again after a crash, it takes what it made; nobody else ever used that. ``label`` is for keys in a token.

    Raises:
        IdentityError: it cannot be made, or the token holds a key of that label already.
    """
    if place.source == "file":
        path = folder / KEY_FILE
        return load_key_file(path) if path.exists() else create_key_file(path)
    token = open_token(place, directory, environment)
    if not (folder / KEY_LABEL_FILE).exists():
        if not label:
            raise IdentityError("say how the new key is to be called in its token: --key-label NAME")
        if token.find(label) is not None:
            raise IdentityError(f"the token holds a key {label!r} already: choose another --key-label")
        try:
            write_key_label(folder, label)
        except OSError as error:
            raise IdentityError(f"cannot write {folder}: {error.strerror}") from error
    made = key_label(place, folder)
    return token.find(made) or token.create(made)


def has_key(place: KeyPlace, directory: Path, environment: Mapping[str, str]) -> bool:
    """Whether the device in ``directory`` has its key already.

    Raises:
        IdentityError: the token cannot be asked.
    """
    if place.source == "file":
        return (directory / KEY_FILE).exists()
    token = open_token(place, directory, environment)
    try:
        return token.find(key_label(place, directory)) is not None
    finally:
        token.close()


def open_token(place: KeyPlace, directory: Path, environment: Mapping[str, str]) -> "KeyToken":
    """Return the token that ``place`` names; nothing is asked of it yet.

    Raises:
        IdentityError: the binding is not installed.
    """
    try:
        from edge.owning.token_key import KeyToken  # noqa: PLC0415 # a hardware runtime, needed by few
    except ModuleNotFoundError as error:
        raise IdentityError("a key in a token needs more: run `pip install 'cairn-network[hsm]'`") from error
    return KeyToken(place.module, place.token, pin=lambda: _read_pin(place, directory, environment))


def key_label(place: KeyPlace, directory: Path) -> str:
    """Return the label of the device's key in its token: after a rotation not the one in the settings any more.

    Raises:
        IdentityError: the file that names it cannot be read.
    """
    path = directory / KEY_LABEL_FILE
    try:
        return read_private(path, at_most=_LABEL_MAX_BYTES + 1).decode().strip()
    except FileNotFoundError:
        return place.label
    except (OSError, UnicodeDecodeError) as error:
        raise IdentityError(f"{path} cannot be read ({error}): restore it from your copy") from error


def write_key_label(folder: Path, label: str) -> None:
    """Let the device in ``folder`` use the key with that label from now on.

    Raises:
        IdentityError: the label is too long or has several lines.
        OSError: not written.
    """
    if not label.strip() or len(label.splitlines()) != 1 or len(label.encode()) > _LABEL_MAX_BYTES:
        raise IdentityError(f"a key's label is one line of at most {_LABEL_MAX_BYTES} bytes")
    write_private(folder / KEY_LABEL_FILE, label.strip().encode() + b"\n")


def _read_pin(place: KeyPlace, directory: Path, environment: Mapping[str, str]) -> str:
    if place.pin_variable:
        pin = environment.get(place.pin_variable, "")
        if not pin:
            raise IdentityError(f"the variable {place.pin_variable} holds no PIN: set it, or name a pin_file in [key]")
        return pin
    path = directory / Path(place.pin_file).expanduser()  # a whole path stays as it is
    try:
        pin = read_private(path, at_most=_PIN_MAX_BYTES).decode().strip()
    except OSError as error:
        raise IdentityError(f"the PIN in {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        pin = ""  # no cause is chained: it would carry the PIN
    if not pin:
        raise IdentityError(f"{path} holds no PIN: write it there, alone, and `chmod 600` it")
    return pin


def _no_core_dumps() -> None:
    """A crash must not write the key to the disk; nor may a child's, which has nothing that a dump could explain."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
