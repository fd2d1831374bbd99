"""Where drafts become envelopes: they get their numbers and predecessors, are signed, and are durable on return.

Order matters: the numbers (spent whatever happens), then the signatures, then one commit for all. Nobody can see an
envelope before `sign` returns, so a crash anywhere leaves either nothing or envelopes that will be sent.
"""

from collections.abc import Sequence

from edge.keeping.builder import Draft
from edge.keeping.outbox import Link, Outbox, Waiting
from edge.keeping.sequence import SequenceLedger
from protocol.envelope import NO_PREVIOUS, Envelope, block_digest, seal
from protocol.identity import Signer
from protocol.observation import Gap
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

    def gaps_to_tell(self) -> tuple[Gap, ...]:
        """Return what was lost and is to stand in the next envelope.

        Raises:
            OutboxError: it cannot be read.
        """
        return self._outbox.gaps_to_tell()

    def sign(self, *drafts: Draft, lost: Gap | None = None, told: Sequence[Gap] = ()) -> tuple[Waiting, ...]:
        """Return the envelopes made of ``drafts``, in that order, all durable in the outbox.

        Args:
            drafts: at least one.
            lost: observations that were lost in memory, to be told in a later envelope.
            told: gaps that stand in these drafts.

        Raises:
            OutboxError: not written; the drafts may be offered again.
            SequenceError: no number can be reserved.
            MalformedError: a draft holds something that no hub would accept; none was stored.
        """
        last = self._outbox.last()
        signed: list[Waiting] = []
        for draft in drafts:
            signed.append(self._seal(draft, last))
            last = Link(signed[-1].sequence, signed[-1].digest)
        self._outbox.append(signed, lost=lost, told=told)
        return tuple(signed)

    def _seal(self, draft: Draft, last: Link | None) -> Waiting:
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
        return Waiting(
            sequence, block_digest(block), block, draft.created_at_ms, draft.priority, len(draft.observations)
        )

    def _previous(self, last: Link | None, sequence: int) -> bytes:
        if last is not None:
            return last.digest
        return NO_PREVIOUS if sequence == 1 else self._enrollment_digest
