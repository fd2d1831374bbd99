"""Models from elsewhere: a publisher approves a manifest, a hub offers it, and a device says whether it is its turn.

A manifest is TOML and pins the model file and its self-test picture by SHA-256. An *approval* is a publisher's signed
block (see `cose`) that names the SHA-256 of the manifest's exact bytes: the parser with one encoding and the foreign
checks are then those of every other signed record, and its kind number keeps it apart from all of them. Approvals lie
beside ``name.toml`` in ``name.sig.json``; several make a threshold.

An *offer* is a hub's signed, retained message. It carries the manifest and its approvals, so that a device believes the
hub about *when* and the publishers about *what*. The rollout is a pure function of seed, device key and percentage:
who is included at 10 percent is included at every higher one. Vectors: tests/vectors/modeloffer.
"""

import hashlib
import re
import tomllib
from datetime import date
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from protocol.cid import RAW, Cid
from protocol.cose import open_sign1, sign1
from protocol.errors import MalformedError
from protocol.identity import PublicKey, Signer
from protocol.payload import Digest, Millis, Network, Version, decode_payload, encode_payload
from protocol.units import UnixMs

MANIFEST_MAX_BYTES: Final = 32_768  # what an offer has room for: a broker takes 65,536 bytes in all
APPROVALS_MAX: Final = 8
PICTURE_MAX_BYTES: Final = 4 << 20
_MODEL_MAX_BYTES: Final = 500_000_000
_SIGNATURES_MAX_BYTES: Final = 16_384
_HEX_DIGEST: Final = r"^[0-9a-f]{64}\Z"
_PLACEHOLDER: Final = re.compile(r"\{(sha256|cid)\}")
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000

HexDigest = Annotated[str, Meta(pattern=_HEX_DIGEST)]
ModelName = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
PlainFileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
# A path on the hub that relays the offer, or an https address; {sha256} or {cid} stands for the file that is wanted.
Source = Annotated[str, Meta(pattern=r"^(/(?!/)|https://)[!-~]{1,400}\Z")]
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


class ModelApproval(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=20):
    """A publisher's word: the manifest with these very bytes is mine to vouch for."""

    version: Version
    manifest: Digest  # SHA-256 of the manifest's bytes
    signed_at_ms: Millis


class ModelOffer(Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=21):
    """The payload of an offer. The latest by ``issued_at_ms`` holds; with ``percent`` 0 it is for nobody: withdrawn."""

    version: Version
    network: Network
    manifest: Annotated[bytes, Meta(min_length=1, max_length=MANIFEST_MAX_BYTES)]
    approvals: Annotated[tuple[Annotated[bytes, Meta(max_length=512)], ...], Meta(max_length=APPROVALS_MAX)]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=8)]
    percent: Annotated[int, Meta(ge=0, le=100)]
    seed: Annotated[bytes, Meta(min_length=16, max_length=16)]
    issued_at_ms: Millis

    def __post_init__(self) -> None:
        for source in self.sources:
            if len(_PLACEHOLDER.findall(source)) != 1:
                raise ValueError(f"the source {source[:120]!r} must hold {{sha256}} or {{cid}} once")


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


def approve(manifest: bytes, publisher: Signer, *, signed_at_ms: UnixMs) -> bytes:
    """Return the signed block in which ``publisher`` vouches for ``manifest``."""
    return sign1(encode_payload(ModelApproval(1, manifest_digest(manifest), signed_at_ms)), publisher)


def open_approval(block: bytes) -> tuple[PublicKey, ModelApproval]:
    """Return the publisher's key and its approval, signature checked. Whether to trust that key is for you to say.

    Raises:
        MalformedError: not an approval in its one encoding.
        SignatureError: the signature does not fit.
    """
    signed = open_sign1(block)
    return signed.key, decode_payload(signed.payload, ModelApproval)


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


def seal_offer(offer: ModelOffer, hub: Signer) -> bytes:
    """Return the signed block of ``offer``."""
    return sign1(encode_payload(offer), hub)


def open_offer(block: bytes) -> tuple[PublicKey, ModelOffer]:
    """Return the hub's key and its offer, signature checked. Whether that hub is *your* hub is for you to compare.

    Raises:
        MalformedError: not an offer in its one encoding.
        SignatureError: the signature does not fit.
    """
    signed = open_sign1(block)
    return signed.key, decode_payload(signed.payload, ModelOffer)


def is_included(device: PublicKey, *, seed: bytes, percent: int) -> bool:
    """Say whether ``device`` is among the first ``percent`` of a rollout.

    Stable for one seed; whoever is included at one percentage is included at every higher one.
    """
    return int.from_bytes(hashlib.sha256(seed + device.key_id).digest()) % 100 < percent


def place_of(source: str, *, sha256: str) -> str:
    """Return where ``source`` keeps the file with that SHA-256: by its hex digits or by its raw CID."""
    cid = Cid.of_digest(bytes.fromhex(sha256), RAW)
    return source.replace("{sha256}", sha256).replace("{cid}", str(cid))
