"""How a device without an owner gets one: it waits for whoever has read its QR code, or is told at its own console.

At `init` the device makes a secret that only its QR code shows. An adoption that fits the secret makes its author the
owner, once: the owner is written down durably, then the secret is burnt. Nothing is signed before, since an enrollment
names the owner. The settings file stays as it is; an owner named there needs no adoption and outranks one.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Annotated, Final, Protocol, Self

import msgspec

from edge.errors import EdgeError
from edge.log import get_logger
from edge.owning.identity import read_private, sync_directory, write_private
from edge.place import ADOPTION_FILE, ADOPTION_PICTURE, OWNER_FILE
from protocol.adoption import SECRET_BYTES, AdoptionLink, parse_adoption
from protocol.adoption import short_code as short_code  # noqa: PLC0414 # whoever shows a device shows its code
from protocol.errors import ProtocolError
from protocol.identity import PublicKey

__all__ = [
    "Adoption",
    "AdoptionError",
    "OwnerRecord",
    "create_secret",
    "owner_of",
    "renew_secret",
    "set_owner",
    "short_code",
]

_RECORD_MAX_BYTES: Final = 4_096
_ACCOUNT: Final = r"^0x[0-9a-f]{40}\Z"

log = get_logger()


class AdoptionError(EdgeError):
    """The device cannot be adopted as asked, or its owner cannot be read; the message says what to do."""


class ToldOwner(Protocol):
    """Settings, as far as they concern the owner."""

    @property
    def owner(self) -> str:
        """0x and 40 hexadecimal digits; empty: none is set."""
        ...


class OwnerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``owner.json`` says."""

    owner: Annotated[str, msgspec.Meta(pattern=_ACCOUNT)]
    told_by: str  # adoption or console


def account_text(owner: bytes) -> str:
    """Return an account as people write it."""
    return "0x" + owner.hex()


def parse_account(text: str) -> bytes:
    """Return the account, 20 bytes.

    Raises:
        AdoptionError: not 0x and 40 hexadecimal digits.
    """
    if not re.fullmatch("0x[0-9a-fA-F]{40}", text):
        raise AdoptionError(f"{text[:60]!r} is not an account: 0x and 40 hexadecimal digits")
    return bytes.fromhex(text[2:])


def owner_of(directory: Path, settings: ToldOwner) -> bytes | None:
    """Return the account that owns the device in ``directory``: the settings' word first, then an adoption's.

    None: the device has no owner yet and must not enroll or sign.

    Raises:
        AdoptionError: there is a record of the owner and it cannot be read.
    """
    if settings.owner:
        return parse_account(settings.owner)
    path = directory / OWNER_FILE
    try:
        record = msgspec.json.decode(read_private(path, at_most=_RECORD_MAX_BYTES), type=OwnerRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise AdoptionError(f"{path} cannot be read ({error}): restore it, or tell the owner anew") from error
    return parse_account(record.owner)


def create_secret(directory: Path) -> None:
    """Make the secret of a device that waits for its owner; one that is there is kept: its QR code may be printed.

    Raises:
        AdoptionError: it cannot be written.
    """
    try:
        write_private(directory / ADOPTION_FILE, secrets.token_hex(SECRET_BYTES).encode() + b"\n")
    except FileExistsError:
        return
    except OSError as error:
        raise AdoptionError(f"cannot write {directory / ADOPTION_FILE}: {error.strerror}") from error


def renew_secret(directory: Path) -> None:
    """Make another secret: what was printed before adopts nothing any more.

    Raises:
        AdoptionError: it cannot be written.
    """
    try:
        _burn(directory)
    except OSError as error:
        raise AdoptionError(f"cannot write {directory / ADOPTION_FILE}: {error.strerror}") from error
    create_secret(directory)


def set_owner(directory: Path, owner: bytes, *, told_by: str, is_replacing: bool = False) -> None:
    """Write down whose the device is and burn its secret; durable on return.

    Raises:
        AdoptionError: it has an owner already and ``is_replacing`` is not set, or it cannot be written.
    """
    path = directory / OWNER_FILE
    draft = directory / f"{OWNER_FILE}.{os.getpid()}.new"  # an agent and a console may do this at once
    record = OwnerRecord(account_text(owner), told_by)
    try:
        draft.unlink(missing_ok=True)
        write_private(draft, msgspec.json.encode(record) + b"\n")
        if is_replacing:
            draft.replace(path)
        else:
            try:
                os.link(draft, path)  # unlike a renaming, this never replaces: the first owner stays
            finally:
                draft.unlink()
        sync_directory(directory)
        _burn(directory)
        sync_directory(directory)
    except FileExistsError as error:
        raise AdoptionError(f"this device has an owner already ({path})") from error
    except OSError as error:
        raise AdoptionError(
            f"the owner cannot be written to {path}: {error.strerror}; free or unlock the disk"
        ) from error


def _burn(directory: Path) -> None:
    """Forget the secret, and the picture that holds it."""
    (directory / ADOPTION_FILE).unlink(missing_ok=True)
    (directory / ADOPTION_PICTURE).unlink(missing_ok=True)


class Adoption:
    """A device that listens for its owner. Used by one thread."""

    def __init__(self, directory: Path, *, network: str, device: PublicKey, secret: bytes | None) -> None:
        """Use `open`."""
        self._directory = directory
        self._network = network
        self._device = device
        self._secret = secret

    @classmethod
    def open(cls, directory: Path, *, network: str, device: PublicKey) -> Self:
        """Read the secret of the device in ``directory``; without one nobody can adopt it from afar.

        Raises:
            AdoptionError: it is there and cannot be read.
        """
        path = directory / ADOPTION_FILE
        try:
            raw = read_private(path, at_most=_RECORD_MAX_BYTES)
        except FileNotFoundError:
            return cls(directory, network=network, device=device, secret=None)
        except OSError as error:
            raise AdoptionError(f"{path} cannot be read: {error.strerror}") from error
        if (directory / OWNER_FILE).exists():
            _burn(directory)  # a crash fell between the owner's record and the burning
            sync_directory(directory)
            return cls(directory, network=network, device=device, secret=None)
        try:
            secret = bytes.fromhex(raw.decode("ascii").strip())
        except ValueError:
            secret = b""
        if len(secret) != SECRET_BYTES:
            # No cause is chained: a traceback must not carry the text of the file.
            raise AdoptionError(f"{path} holds no secret: delete it, and `cairn-edge id --new-secret` makes another")
        return cls(directory, network=network, device=device, secret=secret)

    @property
    def link(self) -> AdoptionLink | None:
        """What the QR code must say; None: nobody can adopt this device from afar, or it has an owner."""
        return None if self._secret is None else AdoptionLink(self._device, self._network, self._secret)

    def hear(self, message: bytes) -> bytes | None:
        """Return the owner if ``message`` adopts this device, written down and its secret burnt; else None.

        Raises:
            AdoptionError: the message is right and the owner cannot be written down; hear it again later.
        """
        if self._secret is None:
            log.warning("adoption_refused", reason="there is no secret any more")
            return None
        try:
            adoption = parse_adoption(message)
            adoption.verify(self._secret)
        except ProtocolError as error:
            log.warning("adoption_refused", reason=str(error))
            return None
        if (adoption.network, adoption.device) != (self._network, self._device.key_id):
            # Whoever knows the secret meant another network or device: theirs to mend.
            log.warning("adoption_refused", reason="it names another network or device")
            return None
        set_owner(self._directory, adoption.owner, told_by="adoption")
        self._secret = None
        log.info("device_adopted", owner=account_text(adoption.owner))
        return adoption.owner
