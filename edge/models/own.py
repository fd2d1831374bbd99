"""The owner's own models when the device gets another key: they are signed anew, or nobody would stand for them."""

from edge.models.errors import ModelError
from edge.models.trust import Origin, Trust, origin_of
from edge.models.versions import ModelVersions
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
        try:
            is_own = origin_of(held.manifest, held.approvals, Trust(device=before)) is Origin.OWN
        except ModelError:
            continue  # somebody else's, or signed anew
        if is_own:
            versions.sign(ref, (approve(held.manifest, owner, signed_at_ms=now_ms),))
            signed += 1
    return signed
