"""A model's manifest as others than the detector read it, and the file of signatures beside it. Needs no key.

A manifest is TOML and pins the model file and its self-test picture by SHA-256. Who approves it and who offers it is
said in `modeloffer`.
"""

import hashlib
import tomllib
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.errors import MalformedError
from protocol.units import UnixMs

MANIFEST_MAX_BYTES: Final = 32_768  # what an offer has room for: a broker takes 65,536 bytes in all
PICTURE_MAX_BYTES: Final = 4 << 20
_MODEL_MAX_BYTES: Final = 500_000_000
_SIGNATURES_MAX_BYTES: Final = 16_384
_HEX_DIGEST: Final = r"^[0-9a-f]{64}\Z"
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000

HexDigest = Annotated[str, Meta(pattern=_HEX_DIGEST)]
ModelName = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
PlainFileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
RollbackIndex = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class SelfTestPin(Struct, frozen=True):
    """The self-test picture; other fields are the detector's own business."""

    image: PlainFileName
    image_sha256: HexDigest | None = None


class ManifestHead(Struct, frozen=True):
    """What others than the detector need of a manifest; unknown fields are the detector's own business."""

    name: ModelName
    version: Annotated[str, Meta(min_length=1, max_length=64)]
    sha256: HexDigest
    size_bytes: Annotated[int, Meta(ge=1, le=_MODEL_MAX_BYTES)]
    licence: Annotated[str, Meta(min_length=1, max_length=100)]
    source: Annotated[str, Meta(max_length=500)]
    selftest: SelfTestPin
    mirrors: Annotated[tuple[Annotated[str, Meta(max_length=500)], ...], Meta(max_length=8)] = ()
    rollback_index: RollbackIndex = 0
    expires: date | None = None  # the first day, in UTC, on which it is not to be installed any more

    @property
    def expires_at_ms(self) -> UnixMs | None:
        """When that day begins; None: it does not expire."""
        return None if self.expires is None else UnixMs((self.expires.toordinal() - _EPOCH_DAY) * _DAY_MS)


class _SignatureFile(Struct, frozen=True, forbid_unknown_fields=True):
    """``name.sig.json``."""

    version: Literal[1]
    approvals: Annotated[tuple[Annotated[str, Meta(pattern=r"^[0-9a-f]{2,1024}\Z")], ...], Meta(max_length=8)]


def manifest_digest(manifest: bytes) -> bytes:
    """Return what an approval names: the SHA-256 of the manifest's bytes."""
    return hashlib.sha256(manifest).digest()


def parse_head(manifest: bytes) -> ManifestHead:
    """Return the head of the manifest with these bytes.

    Raises:
        MalformedError: too long, not UTF-8, not TOML, or a field missing or out of range.
    """
    if len(manifest) > MANIFEST_MAX_BYTES:
        raise MalformedError(f"a manifest has at most {MANIFEST_MAX_BYTES} bytes, not {len(manifest)}")
    try:
        return msgspec.convert(tomllib.loads(manifest.decode()), ManifestHead)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise MalformedError(f"not a model manifest: {error}") from error


def parse_signatures(text: bytes) -> tuple[bytes, ...]:
    """Return the approval blocks in a ``name.sig.json``; nothing is known of them until `open_approval`.

    Raises:
        MalformedError: not such a file.
    """
    if len(text) > _SIGNATURES_MAX_BYTES:
        raise MalformedError(f"a file of signatures has at most {_SIGNATURES_MAX_BYTES} bytes")
    try:
        held = msgspec.json.decode(text, type=_SignatureFile)
        return tuple(bytes.fromhex(block) for block in held.approvals)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise MalformedError(f"not a file of model signatures: {error}") from error


def write_signatures(approvals: tuple[bytes, ...]) -> bytes:
    """Return the text of a ``name.sig.json`` that holds ``approvals``."""
    held = _SignatureFile(1, tuple(block.hex() for block in approvals))
    return msgspec.json.format(msgspec.json.encode(held), indent=1) + b"\n"
