"""Whose word a manifest is: the package's, the owner's, or that of enough publishers. Nothing else is taken in.

* A manifest that ships inside the package is as good as the package: byte for byte one of its files.
* The owner's own model is signed with the device key (``model add FILE.onnx --own``).
* Anything from elsewhere needs approvals of at least ``required`` different publishers that the owner trusts, a day on
  which it expires, and a digest of its self-test picture.

It is asked again of the bytes each time: no mark in the store says what is to be trusted. A path in the settings that
ends in ``.onnx`` is the owner's own word and asks for nothing of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from edge.models.errors import ModelError
from edge.models.versions import SHIPPED_FOLDER
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import PublicKey
from protocol.modelmanifest import ManifestHead, manifest_digest, parse_head
from protocol.modeloffer import open_approval
from protocol.units import UnixMs


class Origin(StrEnum):
    """Who vouches for a manifest."""

    SHIPPED = "shipped"
    OWN = "own"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom this device believes about models.

    Raises:
        ValueError: ``required`` is not at least 1.
    """

    publishers: frozenset[PublicKey] = frozenset()
    required: int = 1  # how many different ones
    device: PublicKey | None = None  # whose signature makes a model the owner's own
    catalogue: Path = SHIPPED_FOLDER

    def __post_init__(self) -> None:
        if self.required < 1:
            raise ValueError(f"{self.required} signatures would prove nothing: at least 1")


def head_of(manifest: bytes, *, origin: str) -> ManifestHead:
    """Return the head of a manifest; ``origin`` names it in errors.

    Raises:
        ModelError: it is none.
    """
    try:
        return parse_head(manifest)
    except MalformedError as error:
        raise ModelError(f"The model manifest {origin} is not valid: {error}. Get it again.") from error


def origin_of(manifest: bytes, approvals: Sequence[bytes], trust: Trust) -> Origin:
    """Return who vouches for ``manifest``.

    Raises:
        ModelError: nobody who counts, or a signature is broken or of another manifest.
    """
    name = head_of(manifest, origin="to be trusted").name
    if _is_shipped(manifest, name, trust.catalogue):
        return Origin.SHIPPED
    signers = _signers_of(manifest, approvals, name)
    if trust.device is not None and trust.device in signers:
        return Origin.OWN
    trusted = signers & trust.publishers
    if len(trusted) >= trust.required and trusted:
        return Origin.PUBLISHED
    if not signers:
        raise ModelError(
            f"{name} is signed by nobody: models from elsewhere need {trust.required} of the publishers in "
            "[model] publishers; add a model of your own with --own."
        )
    raise ModelError(
        f"{name} is signed by {len(trusted)} of the publishers you trust, {trust.required} must sign it: "
        "check [model] publishers in cairn.toml, or ask the publisher."
    )


def check_fresh(head: ManifestHead, origin: Origin, *, now_ms: UnixMs) -> None:
    """Return if the manifest may be installed at ``now_ms``.

    Raises:
        ModelError: it has expired, or comes from elsewhere without a day on which it will or a pinned picture.
    """
    if origin is Origin.PUBLISHED and head.expires_at_ms is None:
        raise ModelError(f"{head.name} {head.version} never expires: its publisher must set `expires` and sign again.")
    if origin is Origin.PUBLISHED and head.selftest.image_sha256 is None:
        raise ModelError(
            f"{head.name} {head.version} does not pin its self-test picture: its publisher must set "
            "selftest.image_sha256 and sign again."
        )
    if head.expires_at_ms is not None and now_ms >= head.expires_at_ms:
        raise ModelError(f"{head.name} {head.version} expired on {head.expires}: get a newer version.")


def publishers_of(manifest: bytes, approvals: Sequence[bytes], trust: Trust) -> int:
    """Return how many trusted publishers have signed; 0 too where a signature is broken."""
    try:
        return len(_signers_of(manifest, approvals, "model") & trust.publishers)
    except ModelError:
        return 0


def _is_shipped(manifest: bytes, name: str, catalogue: Path) -> bool:
    path = catalogue / f"{name}.toml"
    return path.is_file() and path.read_bytes() == manifest


def _signers_of(manifest: bytes, approvals: Sequence[bytes], name: str) -> set[PublicKey]:
    digest = manifest_digest(manifest)
    signers = set()
    for block in approvals:
        try:
            key, approval = open_approval(block)
        except ProtocolError as error:
            raise ModelError(
                f"A signature of {name} is broken ({error}): get manifest and signatures again."
            ) from error
        if approval.manifest != digest:
            raise ModelError(
                f"A signature beside {name} is of another manifest: it has been changed after it was signed; "
                "get manifest and signatures again."
            )
        signers.add(key)
    return signers
