"""Models from elsewhere: a publisher approves a manifest, a hub offers it, and a device says whether it is its turn.

An *approval* is a publisher's signed block (see `cose`) that names the SHA-256 of a manifest's exact bytes (see
`modelmanifest`): the parser with one encoding and the foreign checks are then those of every other signed record, and
its kind number keeps it apart from all of them. Approvals lie beside ``name.toml`` in ``name.sig.json``; several make
a threshold.

An *offer* is a hub's signed, retained message. It carries the manifest and its approvals, so that a device believes the
hub about *when* and the publishers about *what*. The rollout is a pure function of seed, device key and percentage:
who is included at 10 percent is included at every higher one. Vectors: tests/vectors/modeloffer.
"""

import hashlib
import re
from typing import Annotated, Final

from msgspec import Meta, Struct

from protocol.cid import RAW, Cid
from protocol.cose import open_sign1, sign1
from protocol.identity import PublicKey, Signer
from protocol.modelmanifest import MANIFEST_MAX_BYTES, manifest_digest
from protocol.payload import Digest, Millis, Network, Version, decode_payload, encode_payload
from protocol.units import UnixMs

APPROVALS_MAX: Final = 8
_PLACEHOLDER: Final = re.compile(r"\{(sha256|cid)\}")

# A path on the hub that relays the offer, or an https address; {sha256} or {cid} stands for the file that is wanted.
Source = Annotated[str, Meta(pattern=r"^(/(?!/)|https://)[!-~]{1,400}\Z")]


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
