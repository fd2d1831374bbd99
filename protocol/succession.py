"""One key following another: what makes a succession believable. Pure; the rules of a device's life under two keys.

A device that changes its key (a new secure element, a key that may have leaked) says so in the last envelope it signs
with the old one, and carries the new key's consent inside. So neither a thief of the old key can hand the device's past
to a key whose owner knows nothing of it, nor can a stranger claim to be somebody's successor.
"""

from protocol.envelope import Envelope
from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.observation import Succession, succession_words


def verify_succession(envelope: Envelope, device: PublicKey) -> None:
    """Check the succession that ``envelope``, signed by ``device``, declares; an envelope without one is fine.

    Raises:
        MalformedError: there is more than one, something follows it, or the successor is the device itself.
        SignatureError: the successor has not agreed to follow this device on this network.
    """
    declared = [each for each in envelope.observations if isinstance(each, Succession)]
    if not declared:
        return
    if len(declared) > 1 or envelope.observations[-1] is not declared[0]:
        raise MalformedError("a succession is the one last word of a key: nothing may follow it")
    succession = declared[0]
    successor = PublicKey(succession.successor)
    if successor == device:
        raise MalformedError("no key follows itself")
    successor.verify(succession_words(envelope.network, device.key_id, successor.key_id), succession.consent)
