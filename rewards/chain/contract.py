"""Read one CairnRewards contract. Every read may be pinned to a block, so that two readers get the same answer."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from eth_utils.address import to_canonical_address, to_checksum_address
from web3 import Web3
from web3.contract import Contract
from web3.types import BlockIdentifier

from protocol.units import Wei
from rewards.chain.artifact import load_artifact
from rewards.chain.bonds import read_bonds
from rewards.chain.errors import ChainError
from rewards.chain.logs import read_logs
from rewards.chain.node import checksum, translated
from rewards.chain.values import Attestation, Bond, PostedRoot, Purses, RootInForce, Terms

_NO_ROOT = bytes(32)


class RewardsContract:
    """One deployed contract. ``first_block`` is where its events begin: the block that deployed it, or any before."""

    def __init__(self, web3: Web3, address: str, *, first_block: int = 0) -> None:
        self.web3 = web3
        self.address = to_checksum_address(address)
        self.first_block = first_block
        self.calls: Contract = web3.eth.contract(address=self.address, abi=load_artifact("CairnRewards").abi)

    def require_code(self) -> None:
        """Check that what answers at the address is this very contract.

        Raises:
            ChainError: it is not.
        """
        with translated():
            code = bytes(self.web3.eth.get_code(self.address))
        if not load_artifact("CairnRewards").is_code_of(code):
            raise ChainError(
                f"There is no CairnRewards contract of this release at {self.address}: check the address and the chain."
            )

    def terms(self) -> Terms:
        """Return what the contract was deployed with."""
        ask = self.calls.functions
        with translated():
            return Terms(
                token=to_canonical_address(ask.token().call()),
                attesters=tuple(to_canonical_address(one) for one in ask.attesters().call()),
                quorum=ask.quorum().call(),
                challenge_s=ask.challengeSeconds().call(),
                unbonding_s=ask.unbondingSeconds().call(),
                epoch_cap_wei=Wei(ask.epochCapWei().call()),
            )

    def block(self, number: int | None = None) -> tuple[int, bytes, int]:
        """Return (number, hash, Unix seconds) of block ``number``, or of the latest."""
        with translated():
            found = self.web3.eth.get_block("latest" if number is None else number)
        return int(found["number"]), bytes(found["hash"]), int(found["timestamp"])

    @cached_property
    def token(self) -> Contract:
        """The pay token, which can never change."""
        with translated():
            address = self.calls.functions.token().call()
        token: Contract = self.web3.eth.contract(address=address, abi=load_artifact("CairnTestToken").abi)
        return token

    def purses(self, block: BlockIdentifier = "latest") -> Purses:
        """Return where the contract's tokens belong, and how many it really holds."""
        ask, token = self.calls.functions, self.token
        with translated():
            return Purses(
                bonded_wei=Wei(ask.bondedWei().call(block_identifier=block)),
                funded_wei=Wei(ask.fundedWei().call(block_identifier=block)),
                claimed_wei=Wei(ask.claimedWei().call(block_identifier=block)),
                balance_wei=Wei(token.functions.balanceOf(self.address).call(block_identifier=block)),
            )

    def claimed_wei(self, account: bytes, block: BlockIdentifier = "latest") -> Wei:
        """Return what ``account`` (20 bytes) has been paid so far."""
        with translated():
            return Wei(self.calls.functions.claimedWeiOf(checksum(account)).call(block_identifier=block))

    def active_root(self) -> RootInForce | None:
        """Return the root that a claim in the next block is checked against, or None before the first."""
        with translated():
            return _root_in_force(self.calls.functions.activeRoot().call())

    def pending_root(self) -> RootInForce | None:
        """Return the root in its challenge window, if there is one."""
        with translated():
            return _root_in_force(self.calls.functions.pendingRoot().call())

    def history_hash(self, block: BlockIdentifier = "latest") -> bytes:
        """Return the head of the hash chain over every root ever posted."""
        with translated():
            return bytes(self.calls.functions.historyHash().call(block_identifier=block))

    def roots(self) -> tuple[PostedRoot, ...]:
        """Return every root ever posted, oldest first.

        Raises:
            ChainError: the events do not chain up to the contract's history hash.
        """
        # One block for both, or a root posted between the two questions would look like one that is hidden.
        last = self.block()[0]
        posted = tuple(self._posted(last))
        head = bytes(self._genesis())
        is_whole = True
        for root in posted:
            is_whole &= root.attestation.chained(head) == root.history_hash
            head = root.history_hash
        if not is_whole or head != self.history_hash(last):
            raise ChainError(
                "The node does not show every root ever posted: ask one that keeps all events, and check"
                " deployed_block in the deployment file."
            )
        return posted

    def posted_root(self, epoch: int) -> PostedRoot | None:
        """Return the root posted for ``epoch``, if any."""
        return next(self._posted(self.block()[0], argument_filters={"epoch": epoch}), None)

    def bonds_at(self, block_number: int) -> tuple[Bond, ...]:
        """Return all bonds as they stood at the end of block ``block_number``, by device key, then by owner.

        Built from events, then compared with the contract's own books at that block, or at the latest block where
        the node has forgotten the older state.

        Raises:
            ChainError: events and books differ, or the block does not exist yet.
        """
        return read_bonds(self.calls, first_block=self.first_block, block_number=block_number)

    def _posted(self, last: int, argument_filters: dict[str, Any] | None = None) -> Iterator[PostedRoot]:
        event = self.calls.events.RootPosted()
        for log in read_logs(event, first=self.first_block, last=last, argument_filters=argument_filters):
            said = log["args"]
            yield PostedRoot(
                attestation=Attestation(
                    epoch=said["epoch"],
                    root=bytes(said["root"]),
                    cumulative_total_wei=Wei(said["cumulativeTotalWei"]),
                    manifest_digest=bytes(said["manifestDigest"]),
                    report_digest=bytes(said["reportDigest"]),
                    registry_block=said["registryBlock"],
                ),
                activates_at_s=said["activatesAtSeconds"],
                history_hash=bytes(said["historyHash"]),
                block_number=int(log["blockNumber"]),
                transaction_hash=bytes(log["transactionHash"]),
            )

    def _genesis(self) -> bytes:
        with translated():
            chain_id = self.web3.eth.chain_id
        return Web3.keccak(chain_id.to_bytes(32, "big") + bytes(12) + to_canonical_address(self.address))


def _root_in_force(answer: tuple[int, bytes, int, int]) -> RootInForce | None:
    epoch, root, total_wei, activates_at_s = answer
    if bytes(root) == _NO_ROOT:
        return None
    return RootInForce(epoch, bytes(root), Wei(total_wei), activates_at_s)
