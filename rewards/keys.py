"""Private keys of chain accounts: in a file that only its owner can read, or handed over by the caller."""

import os
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

_OTHERS = 0o077


class KeyFileError(Exception):
    """There is no usable key; the message says what to do."""


def read_key(path: Path) -> LocalAccount:
    """Return the account whose private key ``path`` holds in hex.

    Raises:
        KeyFileError: it cannot be read, others can read it, or it holds no key.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"The key file {path} cannot be read ({error}): name another with --key-file.") from error
    if mode & _OTHERS:
        raise KeyFileError(f"Others can read the key file {path}: run `chmod 600 {path}` and consider the key known.")
    return parse_key(text, source=str(path))


def parse_key(text: str, *, source: str) -> LocalAccount:
    """Return the account of a private key of 32 bytes in hex.

    Raises:
        KeyFileError: it is none. The message never shows it.
    """
    try:
        account: LocalAccount = Account.from_key(bytes.fromhex(text.strip().removeprefix("0x")))
    except Exception as error:  # noqa: BLE001 - eth_keys raises many kinds, and their texts may hold the key
        raise KeyFileError(f"{source} holds no private key: it must be 64 hex digits.") from _without_text(error)
    return account


def write_key(path: Path, account: LocalAccount) -> None:
    """Write the private key of ``account`` into a new file of mode 0600; an equal file is left alone.

    Raises:
        KeyFileError: the file exists with another key, or cannot be written.
    """
    text = bytes(account.key).hex() + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
    except FileExistsError as error:
        if read_key(path).address != account.address:
            raise KeyFileError(f"{path} holds another key already: name another folder.") from error
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be written: {error.strerror}.") from error


def _without_text(error: Exception) -> Exception:
    return ValueError(type(error).__name__)
