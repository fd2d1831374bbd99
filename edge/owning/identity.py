"""The device's key file: 32 bytes of seed as hex, readable by its owner alone, never logged."""

import os
import secrets
from pathlib import Path
from typing import Final

from edge.errors import EdgeError
from protocol.identity import KeyPair

_SEED_BYTES: Final = 32
_OTHERS: Final = 0o077


class IdentityError(EdgeError):
    """The device's key cannot be had or does not sign; the message says what to do. The family of every signer."""


class KeyFileError(IdentityError):
    """The key file is missing, unsafe or not a key; the message says what to do and never shows the key."""


def create_key_file(path: Path) -> KeyPair:
    """Write a new random key to ``path`` (mode 0600) and return it, durable before it is returned.

    Raises:
        KeyFileError: a file is already there (a key is never overwritten), or it cannot be written.
    """
    seed = secrets.token_bytes(_SEED_BYTES)
    try:
        write_private(path, seed.hex().encode() + b"\n")
    except FileExistsError as error:
        raise KeyFileError(f"{path} already holds a key; move it away first if this is to be a new device") from error
    except OSError as error:
        raise KeyFileError(f"cannot create {path}: {error.strerror}; choose a directory you may write to") from error
    return KeyPair(seed)


def load_key_file(path: Path) -> KeyPair:
    """Read the key at ``path``.

    Raises:
        KeyFileError: missing, readable by others, or not 64 hexadecimal digits.
    """
    try:
        raw = read_private(path, at_most=_SEED_BYTES * 2 + 2)
    except FileNotFoundError as error:
        raise KeyFileError(f"there is no key at {path}; run `cairn-edge init` first") from error
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    try:
        seed = bytes.fromhex(raw.decode("ascii").strip())
    except ValueError:
        seed = b""
    if len(seed) != _SEED_BYTES:
        # No cause is chained: a traceback must not carry the text of the file.
        raise KeyFileError(f"{path} is not a key file (64 hexadecimal digits); restore it from your copy")
    return KeyPair(seed)


def write_private(path: Path, content: bytes) -> None:
    """Make the file ``path``, for its owner's eyes alone, durable on return. It must not be there yet.

    Raises:
        FileExistsError: it is.
        OSError: not written.
    """
    # O_EXCL: two starts at once must not both believe they made it.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_private(path: Path, *, at_most: int) -> bytes:
    """Return the first ``at_most`` bytes of a file that nobody but its owner can read.

    Raises:
        KeyFileError: others can.
        OSError: missing or unreadable.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & _OTHERS:
            raise KeyFileError(f"{path} can be read by others (mode {mode:04o}); run `chmod 600 {path}`")
        return file.read(at_most)


def sync_directory(directory: Path) -> None:
    """Make a file's creation or renaming in ``directory`` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
