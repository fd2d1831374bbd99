"""The device's key file: 32 bytes of seed as hex, readable by its owner alone, never logged."""

import os
import secrets
from pathlib import Path
from typing import Final

from edge.errors import EdgeError
from protocol.identity import KeyPair

_SEED_BYTES: Final = 32
_OTHERS: Final = 0o077


class KeyFileError(EdgeError):
    """The key file is missing, unsafe or not a key; the message says what to do and never shows the key."""


def create_key_file(path: Path) -> KeyPair:
    """Write a new random key to ``path`` (mode 0600) and return it, durable before it is returned.

    Raises:
        KeyFileError: a file is already there (a key is never overwritten), or it cannot be written.
    """
    seed = secrets.token_bytes(_SEED_BYTES)
    try:
        # O_EXCL: two starts at once must not both believe they made the key.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise KeyFileError(f"{path} already holds a key; move it away first if this is to be a new device") from error
    except OSError as error:
        raise KeyFileError(f"cannot create {path}: {error.strerror}; choose a directory you may write to") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)
    return KeyPair(seed)


def load_key_file(path: Path) -> KeyPair:
    """Read the key at ``path``.

    Raises:
        KeyFileError: missing, readable by others, or not 64 hexadecimal digits.
    """
    try:
        with path.open("r", encoding="ascii", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read(_SEED_BYTES * 2 + 2)
    except FileNotFoundError as error:
        raise KeyFileError(f"there is no key at {path}; run `cairn-edge init` first") from error
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    if mode & _OTHERS:
        raise KeyFileError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
    try:
        seed = bytes.fromhex(text.strip())
    except ValueError:
        seed = b""
    if len(seed) != _SEED_BYTES:
        # No cause is chained: a traceback must not carry the text of the file.
        raise KeyFileError(f"{path} is not a key file (64 hexadecimal digits); restore it from your copy")
    return KeyPair(seed)


def sync_directory(directory: Path) -> None:
    """Make a file's creation or renaming in ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
