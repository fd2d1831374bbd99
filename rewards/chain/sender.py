"""Send transactions for one account, one after the other: simulate, price, sign, send, wait.

The account's key never leaves the ``LocalAccount`` the caller gives. Two senders of one key in two processes would
take each other's nonce; the chain then refuses one of them and it tries again with the next.
"""

from threading import Lock
from typing import Any, cast

from eth_account.signers.local import LocalAccount
from eth_utils.address import to_canonical_address, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TimeExhausted, Web3RPCError
from web3.types import TxParams, TxReceipt
from web3.types import Wei as NativeWei

from protocol.units import Wei
from rewards.chain.errors import ChainError, RefusedError, TransactionPendingError
from rewards.chain.node import translated
from rewards.chain.values import Mined

_TIP_FLOOR_WEI = 1_000_000  # 0.001 gwei: rollups ask no more, and a tip of zero may never be mined elsewhere
# Between simulation and block another hub's vote may arrive, and this one then also posts the root. Unused gas is free.
_GAS_MARGIN = 100_000
_NONCE_TRIES = 4
_POLL_S = 0.02


class Sender:
    """One account that can act on one chain. Safe to share between threads."""

    def __init__(self, web3: Web3, account: LocalAccount, *, mined_within_s: float = 120.0) -> None:
        self._web3 = web3
        self._account = account
        self._mined_within_s = mined_within_s
        self._one_at_a_time = Lock()

    @property
    def web3(self) -> Web3:
        """The node it sends to."""
        return self._web3

    @property
    def account(self) -> bytes:
        """The account's 20 bytes."""
        return bytes(to_canonical_address(self._account.address))

    def send(self, *, to: str | None, calldata: bytes) -> tuple[Mined, TxReceipt]:
        """Send ``calldata`` to the contract ``to`` (None deploys it) and wait until it is mined.

        Raises:
            RefusedError: the contract would revert, or did; nothing changed but, in the second case, a fee is gone.
            TransactionPendingError: not mined in time.
            ChainError: the node refused or does not answer.
        """
        call: TxParams = {"from": self._account.address, "data": HexBytes(calldata)}
        if to is not None:
            call["to"] = to_checksum_address(to)
        with self._one_at_a_time, translated():
            # In the block to come, not the latest: a window that ends between the two has ended.
            call["gas"] = self._web3.eth.estimate_gas(call, "pending") * 6 // 5 + _GAS_MARGIN
            receipt = self._await_receipt(self._broadcast(call))
        if receipt["status"] != 1:
            raise RefusedError(
                "The transaction was mined but reverted, because the contract changed since the simulation: try again.",
                reason="revert",
                facts={"transaction": receipt["transactionHash"].to_0x_hex()},
            )
        return _mined(receipt), receipt

    def _await_receipt(self, sent: HexBytes) -> TxReceipt:
        try:
            return self._web3.eth.wait_for_transaction_receipt(sent, timeout=self._mined_within_s, poll_latency=_POLL_S)
        except TimeExhausted as error:
            raise TransactionPendingError(
                f"Transaction {sent.to_0x_hex()} is sent but not mined after {self._mined_within_s:g} s:"
                " look it up before sending it again."
            ) from error

    def _broadcast(self, call: TxParams) -> HexBytes:
        call["chainId"] = self._web3.eth.chain_id
        call["value"] = NativeWei(0)
        call["type"] = 2
        call["maxPriorityFeePerGas"], call["maxFeePerGas"] = self._fees()
        for _ in range(_NONCE_TRIES):
            call["nonce"] = self._web3.eth.get_transaction_count(self._account.address, "pending")
            signed = self._account.sign_transaction(cast(dict[str, Any], call))
            try:
                return self._web3.eth.send_raw_transaction(signed.raw_transaction)
            except Web3RPCError as error:
                said = str(error).lower()
                if "already known" in said or "already imported" in said:
                    return signed.hash
                if "nonce too low" not in said and "underpriced" not in said:
                    raise
        raise ChainError("Another program keeps sending with this account's key: give each program its own account.")

    def _fees(self) -> tuple[NativeWei, NativeWei]:
        """Return tip and ceiling per gas: room for the base fee to double before the transaction has to wait."""
        recent = self._web3.eth.fee_history(5, "latest", [50.0])
        tips = sorted(int(rewards[0]) for rewards in recent.get("reward", []) if rewards)
        tip_wei = max(_TIP_FLOOR_WEI, tips[len(tips) // 2] if tips else 0)
        base_wei = int(recent["baseFeePerGas"][-1])
        return NativeWei(tip_wei), NativeWei(2 * base_wei + tip_wei)


def _mined(receipt: TxReceipt) -> Mined:
    return Mined(
        transaction_hash=bytes(receipt["transactionHash"]),
        block_number=int(receipt["blockNumber"]),
        block_hash=bytes(receipt["blockHash"]),
        gas_used=int(receipt["gasUsed"]),
        fee_wei=Wei(int(receipt["gasUsed"]) * int(receipt["effectiveGasPrice"])),
    )
