"""What one account may do with a CairnRewards contract: bond, fund, attest, claim."""

from collections.abc import Sequence
from typing import Any

from eth_utils.address import to_canonical_address
from web3.contract import Contract
from web3.logs import DISCARD
from web3.types import TxReceipt

from protocol.units import Wei
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import RefusedError
from rewards.chain.node import checksum, translated
from rewards.chain.sender import Sender
from rewards.chain.values import Attestation, Attested, Mined, Paid, PostedRoot, ProvenClaim, require_length


class RewardsAccount:
    """An account in front of a contract. Every method raises only ``ChainError``."""

    def __init__(self, contract: RewardsContract, sender: Sender) -> None:
        self.contract = contract
        self.sender = sender

    @property
    def account(self) -> bytes:
        """The account's 20 bytes."""
        return self.sender.account

    def token_balance_wei(self, account: bytes | None = None) -> Wei:
        """Return how many tokens ``account`` (default: this one) holds."""
        with translated():
            return Wei(self.contract.token.functions.balanceOf(checksum(account or self.account)).call())

    def mint(self, amount_wei: Wei, *, to: bytes | None = None) -> Mined:
        """Make test tokens; a real token refuses."""
        return self._send(self.contract.token, "mint", checksum(to or self.account), amount_wei)[0]

    def stake(self, device_key: bytes, amount_wei: Wei) -> Mined:
        """Add ``amount_wei`` to this account's bond on a device, approving exactly that much first if need be."""
        require_length("device_key", device_key, 32)
        self._approve(amount_wei)
        return self._send(self.contract.calls, "stake", device_key, amount_wei)[0]

    def unbond(self, device_key: bytes, amount_wei: Wei) -> Mined:
        """Begin to take ``amount_wei`` out of this account's bond on a device."""
        require_length("device_key", device_key, 32)
        return self._send(self.contract.calls, "unbond", device_key, amount_wei)[0]

    def withdraw(self, device_key: bytes) -> Mined:
        """Take back what has finished unbonding of this account's bond on a device."""
        require_length("device_key", device_key, 32)
        return self._send(self.contract.calls, "withdraw", device_key)[0]

    def fund(self, amount_wei: Wei) -> Mined:
        """Give ``amount_wei`` to the rewards for good."""
        self._approve(amount_wei)
        return self._send(self.contract.calls, "fund", amount_wei)[0]

    def attest(self, said: Attestation) -> Attested:
        """Say what an epoch came to; saying the same again changes nothing and costs nothing.

        Raises:
            RefusedError: the contract does not accept it, or another root was posted for this epoch
                (reason ``EpochDisagrees``).
        """
        if (posted := self._posted(said)) is not None:
            return Attested(posted, self.contract.terms().quorum, None)
        ask = self.contract.calls.functions
        with translated():
            identity = said.chained(bytes(ask.historyHash().call()))
            spoken = bytes(ask.attestationOf(checksum(self.account)).call())
            votes = int(ask.votesFor(identity).call())
        if spoken == identity:
            return Attested(None, votes, None)
        try:
            mined, receipt = self._send(
                self.contract.calls,
                "attest",
                said.epoch,
                said.root,
                said.cumulative_total_wei,
                said.manifest_digest,
                said.report_digest,
                said.registry_block,
            )
        except RefusedError:
            # Another hub may have completed the quorum between the look and the leap.
            if (posted := self._posted(said)) is not None:
                return Attested(posted, self.contract.terms().quorum, None)
            raise
        counted = self.contract.calls.events.Attested().process_receipt(receipt, errors=DISCARD)
        return Attested(self._posted(said), int(counted[0]["args"]["votes"]), mined)

    def claim(self, claim: ProvenClaim) -> Paid:
        """Have the account of ``claim`` paid; anyone may do it for anyone."""
        account = checksum(claim.claim.account)
        arguments = (account, claim.claim.cumulative_wei, list(claim.proof))
        return self._paid(*self._send(self.contract.calls, "claim", *arguments))

    def claim_many(self, claims: Sequence[ProvenClaim]) -> Paid:
        """Have many accounts paid in one transaction; those with nothing left are passed over."""
        lines = [(checksum(one.claim.account), one.claim.cumulative_wei, list(one.proof)) for one in claims]
        return self._paid(*self._send(self.contract.calls, "claimMany", lines))

    def _posted(self, said: Attestation) -> PostedRoot | None:
        posted = self.contract.posted_root(said.epoch)
        if posted is not None and posted.attestation != said:
            raise RefusedError(
                f"Epoch {said.epoch} was posted with root 0x{posted.attestation.root.hex()}, not what this hub"
                " computed: compare the two epoch reports.",
                reason="EpochDisagrees",
                facts={"posted": posted.attestation, "given": said},
            )
        return posted

    def _approve(self, amount_wei: Wei) -> None:
        token = self.contract.token
        with translated():
            allowed_wei = token.functions.allowance(checksum(self.account), self.contract.address).call()
        if allowed_wei < amount_wei:
            self._send(token, "approve", self.contract.address, amount_wei)

    def _send(self, contract: Contract, name: str, *arguments: Any) -> tuple[Mined, TxReceipt]:  # noqa: ANN401 - ABI
        with translated():
            calldata = bytes.fromhex(contract.encode_abi(name, args=list(arguments))[2:])
        return self.sender.send(to=contract.address, calldata=calldata)

    def _paid(self, mined: Mined, receipt: TxReceipt) -> Paid:
        amounts_wei: dict[bytes, Wei] = {}
        for log in self.contract.calls.events.Claimed().process_receipt(receipt, errors=DISCARD):
            account = bytes(to_canonical_address(log["args"]["account"]))
            amounts_wei[account] = Wei(amounts_wei.get(account, 0) + log["args"]["amountWei"])
        return Paid(amounts_wei, mined)
