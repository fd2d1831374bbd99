"""The owner's own models when the device gets another key: they are signed anew, or nobody would stand for them."""

from edge.models.errors import ModelError
from edge.models.trust import Origin, Trust, origin_of
from edge.models.versions import ModelVersions, Version
from protocol.identity import PublicKey, Signer
from protocol.modeloffer import approve
from protocol.units import UnixMs


def sign_own_again(versions: ModelVersions, *, before: PublicKey, owner: Signer, now_ms: UnixMs) -> int:
    """Sign with ``owner`` what the device's key ``before`` vouched for; return how many versions that were.

    Called before the old key is given up, and again after a crash: what is signed anew already stays as it is.

    Raises:
        ModelError: the store cannot be read or written.
    """
    signed = 0
    for ref in versions.state().kept:
        held = versions.version(ref)
        if _is_own(held, before) and not _is_own(held, owner.public_key):
            # Beside the old signature: the old key is the device's until the very end.
            versions.sign(ref, (*held.approvals, approve(held.manifest, owner, signed_at_ms=now_ms)))
            signed += 1
    return signed


def _is_own(held: Version, device: PublicKey) -> bool:
    try:
        return origin_of(held.manifest, held.approvals, Trust(device=device)) is Origin.OWN
    except ModelError:
        return False  # somebody else's
