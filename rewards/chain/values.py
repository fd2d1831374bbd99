"""What the chain adapters take and give. Accounts are 20 raw bytes, keys, roots and digests 32, amounts wei."""

from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol.claim import Claim
from protocol.units import Wei
from rewards.chain.errors import ChainError

_ATTESTATION_TYPES = ("bytes32", "(uint64,bytes32,uint256,bytes32,bytes32,uint64)")
_UINT64_END = 1 << 64
_WEI_END = 1 << 96  # the contract keeps amounts in 96 bits


def require_length(name: str, value: bytes, length: int) -> None:
    """Refuse ``value`` unless it has ``length`` bytes.

    Raises:
        ChainError: it has not.
    """
    if len(value) != length:
        raise ChainError(f"{name} must have {length} bytes, not {len(value)}")


@dataclass(frozen=True, slots=True, order=True)
class Bond:
    """What one account has put behind one device; a device may have bonds of many accounts.

    ``unbonding_wei`` is leaving and may go from ``unbond_at_s`` (Unix seconds) on.
    """

    device_key: bytes
    owner: bytes
    amount_wei: Wei
    unbonding_wei: Wei
    unbond_at_s: int

    def __post_init__(self) -> None:
        require_length("device_key", self.device_key, 32)
        require_length("owner", self.owner, 20)
        if self.amount_wei < 0 or self.unbonding_wei < 0 or self.unbond_at_s < 0:
            raise ChainError(f"a bond is never negative: {self}")


@dataclass(frozen=True, slots=True)
class Attestation:
    """What a hub says an epoch came to; digests are SHA-256 of the published manifest and epoch report."""

    epoch: int
    root: bytes
    cumulative_total_wei: Wei
    manifest_digest: bytes
    report_digest: bytes
    registry_block: int

    def __post_init__(self) -> None:
        for name in ("root", "manifest_digest", "report_digest"):
            require_length(name, getattr(self, name), 32)
        if not (0 <= self.epoch < _UINT64_END and 0 <= self.registry_block < _UINT64_END):
            raise ChainError("epoch and registry_block must fit in 64 bits")
        if not 0 <= self.cumulative_total_wei < _WEI_END:
            raise ChainError("cumulative_total_wei must fit in 96 bits")

    def chained(self, history_hash: bytes) -> bytes:
        """Return the contract's identity of this attestation when it follows ``history_hash`` (32 bytes)."""
        fields = (
            self.epoch,
            self.root,
            self.cumulative_total_wei,
            self.manifest_digest,
            self.report_digest,
            self.registry_block,
        )
        return bytes(keccak(encode(_ATTESTATION_TYPES, (history_hash, fields))))


@dataclass(frozen=True, slots=True)
class PostedRoot:
    """A root a quorum agreed on, as its event says. ``activates_at_s`` is Unix seconds of block time."""

    attestation: Attestation
    activates_at_s: int
    history_hash: bytes
    block_number: int
    transaction_hash: bytes


@dataclass(frozen=True, slots=True)
class RootInForce:
    """The root that claims are checked against, or the one that waits."""

    epoch: int
    root: bytes
    cumulative_total_wei: Wei
    activates_at_s: int  # 0 once its activation has been written down


@dataclass(frozen=True, slots=True)
class ProvenClaim:
    """A leaf with the sibling hashes (32 bytes each, leaf upwards) that lead to the root."""

    claim: Claim
    proof: tuple[bytes, ...]

    def __post_init__(self) -> None:
        require_length("account", self.claim.account, 20)
        for sibling in self.proof:
            require_length("every hash of a proof", sibling, 32)


@dataclass(frozen=True, slots=True)
class Mined:
    """A transaction that succeeded."""

    transaction_hash: bytes
    block_number: int
    block_hash: bytes
    gas_used: int
    fee_wei: Wei  # of the chain's own coin, not of the pay token


@dataclass(frozen=True, slots=True)
class Paid:
    """What a claim paid, as the contract's events say."""

    amounts_wei: dict[bytes, Wei]
    mined: Mined

    @property
    def total_wei(self) -> Wei:
        """The sum over all accounts."""
        return Wei(sum(self.amounts_wei.values()))


@dataclass(frozen=True, slots=True)
class Attested:
    """What came of saying an attestation.

    ``posted`` is the root if a quorum has agreed on exactly this; ``mined`` is None if nothing needed to be sent.
    """

    posted: PostedRoot | None
    votes: int
    mined: Mined | None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a contract was deployed with and can never change."""

    token: bytes
    attesters: tuple[bytes, ...]
    quorum: int
    challenge_s: int
    unbonding_s: int
    epoch_cap_wei: Wei


@dataclass(frozen=True, slots=True)
class Purses:
    """Where the contract's tokens belong."""

    bonded_wei: Wei
    funded_wei: Wei
    claimed_wei: Wei
    balance_wei: Wei  # tokens really held
