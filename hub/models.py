"""The shelf: the one model that this hub offers its devices, its files by SHA-256, and the signed offer itself.

    models/files/SHA256     the model and its self-test picture
    models/offer.cose       the offer that stands, a signed block

The offer file is what counts: the running hub publishes it, retained, at its start and whenever it changes. What an
offer's files are is pinned by its manifest, so the files of offers gone by may stay: nobody is led to them.
"""

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import structs

from protocol.errors import MalformedError, ProtocolError
from protocol.identity import PublicKey, Signer
from protocol.modelmanifest import PICTURE_MAX_BYTES, ManifestHead, manifest_digest, parse_head, parse_signatures
from protocol.modeloffer import ModelOffer, open_approval, open_offer, seal_offer
from protocol.payload import VERSION
from protocol.units import UnixMs

MODEL_PATH: Final = "/v1/models/{sha256}"
_OFFER_FILE: Final = "offer.cose"
_OFFER_MAX_BYTES: Final = 60_000  # a broker takes 65,536 in all
_SEED_BYTES: Final = 16


class ShelfError(Exception):
    """What is to be offered does not fit together, or the shelf cannot be written; one sentence says what to do."""


@dataclass(frozen=True, slots=True)
class Goods:
    """What an operator puts on the shelf."""

    manifest: Path
    signatures: Path | None  # None: NAME.sig.json beside the manifest, if it is there
    model: Path
    picture: Path
    sources: tuple[str, ...] = ()  # https addresses with {sha256} or {cid}, besides this hub


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder. Whoever writes it is the operator; the running hub only reads."""

    folder: Path

    def standing(self) -> tuple[bytes, ModelOffer] | None:
        """Return the offer that stands, as block and as record; None where there is none.

        Raises:
            ShelfError: the file is damaged.
        """
        path = self.folder / _OFFER_FILE
        try:
            block = path.read_bytes()
            return block, open_offer(block)[1]
        except FileNotFoundError:
            return None
        except (OSError, ProtocolError) as error:
            raise ShelfError(
                f"{path} is damaged ({error}): offer the model again with `cairn-hub model offer`"
            ) from error

    def path_of(self, sha256: str) -> Path | None:
        """Return the file with these 64 hex digits, if it is here."""
        path = self.folder / "files" / sha256
        return path if len(sha256) == 64 and sha256.isalnum() and path.is_file() else None

    def offer(self, goods: Goods, *, percent: int, network: str, signer: Signer, now_ms: UnixMs) -> ModelOffer:
        """Put ``goods`` on the shelf and make the offer that stands; the same manifest keeps its seed.

        Raises:
            ShelfError: a file is missing, is not what the manifest pins, or the manifest has expired.
        """
        manifest = _read(goods.manifest)
        head = _head(manifest, goods.manifest, now_ms)
        approvals = _approvals(manifest, goods)
        before = self.standing()
        same = before is not None and before[1].manifest == manifest
        try:
            record = ModelOffer(
                version=VERSION,
                network=network,
                manifest=manifest,
                approvals=approvals,
                sources=(MODEL_PATH, *goods.sources),
                percent=percent,
                seed=before[1].seed if before and same else secrets.token_bytes(_SEED_BYTES),
                issued_at_ms=_after(before, now_ms),
            )
        except ValueError as error:
            raise ShelfError(f"{error}: correct --source") from error
        self._keep(goods.model, head.sha256, head.size_bytes, "sha256")
        self._keep(goods.picture, head.selftest.image_sha256 or "", PICTURE_MAX_BYTES, "selftest.image_sha256")
        self._stand(record, signer)
        return record

    def withdraw(self, *, signer: Signer, now_ms: UnixMs) -> ModelOffer:
        """Offer the same model to nobody: devices that run it keep it, no other begins.

        Raises:
            ShelfError: nothing is offered.
        """
        before = self.standing()
        if before is None:
            raise ShelfError("no model is offered: there is nothing to withdraw")
        record = structs.replace(before[1], percent=0, issued_at_ms=_after(before, now_ms))
        self._stand(record, signer)
        return record

    def _keep(self, path: Path, sha256: str, most_bytes: int, field: str) -> None:
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest() if size <= most_bytes else ""
        except OSError as error:
            raise ShelfError(f"cannot read {path} ({error.strerror}): check its path") from error
        if found != sha256:
            raise ShelfError(f"{path} is not the file that the manifest pins by {field}: give the right one")
        target = self.folder / "files" / sha256
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                arriving = target.with_suffix(".part")
                shutil.copyfile(path, arriving)
                _settle(arriving, target)
        except OSError as error:
            raise ShelfError(f"cannot write {target.parent} ({error.strerror}): make room, check its rights") from error

    def _stand(self, record: ModelOffer, signer: Signer) -> None:
        block = seal_offer(record, signer)
        if len(block) > _OFFER_MAX_BYTES:
            raise ShelfError(
                f"the offer has {len(block)} bytes, a broker takes {_OFFER_MAX_BYTES}: shorten the manifest"
            )
        arriving = self.folder / f"{_OFFER_FILE}.part"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            arriving.write_bytes(block)
            _settle(arriving, self.folder / _OFFER_FILE)
        except OSError as error:
            raise ShelfError(f"cannot write {self.folder} ({error.strerror}): make room, check its rights") from error


def publishers_of(offer: ModelOffer) -> list[PublicKey]:
    """Return who has approved the offered manifest, in order of signature."""
    return [open_approval(block)[0] for block in offer.approvals]


def _head(manifest: bytes, path: Path, now_ms: UnixMs) -> ManifestHead:
    try:
        head = parse_head(manifest)
    except MalformedError as error:
        raise ShelfError(f"{path}: {error}") from error
    if head.selftest.image_sha256 is None:
        raise ShelfError(f"{path} does not pin its self-test picture: set selftest.image_sha256 and sign it again")
    if head.expires_at_ms is None or head.expires_at_ms <= now_ms:
        raise ShelfError(f"{path} has expired or never does: set `expires` to a day to come and sign it again")
    return head


def _approvals(manifest: bytes, goods: Goods) -> tuple[bytes, ...]:
    """Return the approvals, each of them checked: a device counts only those of publishers it trusts."""
    path = goods.signatures or goods.manifest.with_name(goods.manifest.stem + ".sig.json")
    if goods.signatures is None and not path.exists():
        return ()
    try:
        approvals = parse_signatures(_read(path))
        named = [open_approval(block)[1].manifest for block in approvals]
    except ProtocolError as error:
        raise ShelfError(f"{path}: {error}") from error
    if any(digest != manifest_digest(manifest) for digest in named):
        raise ShelfError(f"{path} holds a signature of another manifest: sign {goods.manifest} again")
    return approvals


def _after(before: tuple[bytes, ModelOffer] | None, now_ms: UnixMs) -> UnixMs:
    """The time of a new offer: later than the one before, even where the clock has been set back."""
    return now_ms if before is None else max(now_ms, UnixMs(before[1].issued_at_ms + 1))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ShelfError(f"cannot read {path} ({error.strerror}): check its path") from error


def _settle(arriving: Path, target: Path) -> None:
    """Rename a file that is written, so that it survives a power cut under its name."""
    with arriving.open("rb") as file:
        os.fsync(file.fileno())
    arriving.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
