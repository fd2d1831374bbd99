"""What can go wrong on the chain: one family, every message one sentence that says what to do."""

from collections.abc import Mapping


class ChainError(Exception):
    """The root of everything ``rewards.chain`` raises about the chain."""


class ChainUnreachableError(ChainError):
    """The node did not answer, or what answered is not the node that was meant."""


class NodeMissingError(ChainError):
    """There is no anvil program on this machine."""


class NodeFailedError(ChainError):
    """The local node did not start, or stopped by itself."""


class TransactionPendingError(ChainError):
    """A transaction was sent but not mined in time: it may still be, so look before sending it again."""


class RefusedError(ChainError):
    """A contract refused a call.

    ``reason`` is the name of the contract's error (``InvalidProof``) or "revert"; ``facts`` are its arguments by name.
    """

    def __init__(self, sentence: str, *, reason: str, facts: Mapping[str, object]) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.facts = dict(facts)
