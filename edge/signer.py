"""Where a draft becomes an envelope: it gets its number and its predecessor, is signed, and is durable on return.

Order matters: room first, then a number (spent whatever happens), then the signature, then the commit. Nobody can see
an envelope before `sign` returns, so a crash anywhere leaves either nothing or an envelope that will be sent.
"""

from edge.builder import Draft
from edge.outbox import Link, Outbox, Waiting
from edge.sequence import SequenceLedger
from protocol.envelope import MAX_ENVELOPE_BYTES, NO_PREVIOUS, Envelope, block_digest, seal
from protocol.identity import Signer
from protocol.payload import VERSION


class EnvelopeSigner:
    """Signs the chain of one device on one network. Used by one thread."""

    def __init__(
        self, signer: Signer, *, network: str, ledger: SequenceLedger, outbox: Outbox, enrollment_digest: bytes
    ) -> None:
        """Go on from the end of ``outbox``'s chain.

        ``enrollment_digest`` stands in for ``previous`` where the envelope before is not known: the outbox was lost,
        or a crash fell between the first reservation and the first envelope. It is the device's only other block.
        """
        self._signer = signer
        self._network = network
        self._ledger = ledger
        self._outbox = outbox
        self._enrollment_digest = enrollment_digest

    def sign(self, draft: Draft) -> Waiting:
        """Return the envelope made of ``draft``, durable in the outbox.

        Raises:
            OutboxError: no room, or not written; the draft may be offered again.
            SequenceError: no number can be reserved.
            MalformedError: the draft holds something that no hub would accept.
        """
        self._outbox.require_room(MAX_ENVELOPE_BYTES)
        last = self._outbox.last()
        sequence = self._ledger.take()
        envelope = Envelope(
            version=VERSION,
            network=self._network,
            boot=self._ledger.boot,
            sequence=sequence,
            previous=self._previous(last, sequence),
            beacon=draft.beacon,
            model_digest=draft.model_digest,
            agent_release=draft.agent_release,
            position=draft.position,
            created_at_ms=draft.created_at_ms,
            observations=draft.observations,
        )
        block = seal(envelope, self._signer)
        signed = Waiting(sequence, block_digest(block), block, draft.created_at_ms)
        self._outbox.append(signed)
        return signed

    def _previous(self, last: Link | None, sequence: int) -> bytes:
        if last is not None:
            return last.digest
        return NO_PREVIOUS if sequence == 1 else self._enrollment_digest
