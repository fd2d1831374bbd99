"""Turn what a contract reverts with into a sentence a person can act on."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from rewards.chain.artifact import load_artifact
from rewards.chain.errors import RefusedError

_SENTENCES: Mapping[str, str] = {
    "BadConfiguration": "The contract cannot be deployed like this: {reason}.",
    "ZeroDeviceKey": "The device key is all zero: give the device's 32-byte public key.",
    "ZeroAmount": "The amount is zero: give an amount of at least 1 wei.",
    "BondTooSmall": "The bond of {owner} on device {deviceKey} is {bondWei} wei, so {askedWei} wei cannot leave it:"
    " ask for less, or use the account that staked.",
    "NothingUnbonding": "Nothing of the bond of {owner} on device {deviceKey} is unbonding: unbond an amount first,"
    " or use the account that did.",
    "StillUnbonding": "The bond is still unbonding: withdraw it after block time {unbondAtSeconds} (Unix seconds).",
    "AmountNotReceived": "The token delivered {receivedWei} of {expectedWei} wei: a token with a transfer fee"
    " does not work.",
    "NotAttester": "Account {account} is not one of the contract's attesters: use an attester's key.",
    "AlreadyAttested": "This account has already said attestation {attestation}: nothing more to do.",
    "EpochOutOfOrder": "The next epoch to attest is {expectedEpoch}, not {givenEpoch}: attest that one first.",
    "RootStillPending": "Epoch {epoch} is in its challenge window until block time {activatesAtSeconds}"
    " (Unix seconds): attest the next epoch after it.",
    "ZeroRoot": "The root is all zero: a tree needs at least one leaf.",
    "TotalDecreased": "The cumulative total fell from {previousTotalWei} to {givenTotalWei} wei: amounts"
    " only ever grow, so build the tree on the previous epoch's amounts.",
    "EpochCapExceeded": "The epoch would add {addedWei} wei, the contract allows {capWei}: allocate less.",
    "NotFunded": "The total of {totalWei} wei is more than the {fundedWei} wei ever funded: fund the rewards first.",
    "NoActiveRoot": "No root is active yet: claim after the first challenge window.",
    "InvalidProof": "The proof does not show that {account} earned {cumulativeWei} wei under the active root:"
    " take the proof of the active epoch.",
    "NothingToClaim": "Account {account} has already been paid {claimedWei} wei: nothing is left to claim.",
    "ClaimExceedsTotal": "Claims would come to {claimedWei} wei, more than the root's total of {totalWei}:"
    " the tree does not fit its total.",
    "ReentrancyGuardReentrantCall": "The contract was called from inside its own call: use a plain ERC-20 token.",
    "SafeERC20FailedOperation": "The token {token} refused the transfer: check balance and approval.",
    "SafeCastOverflowedUintDowncast": "The amount {value} does not fit in {bits} bits: give less.",
    "ERC20InsufficientBalance": "Account {sender} has {balance} wei of the token and needs {needed}: get"
    " more tokens first.",
    "ERC20InsufficientAllowance": "{spender} may take {allowance} wei and needs {needed}: approve it first.",
}


@cache
def _errors_by_selector() -> Mapping[bytes, dict[str, Any]]:
    entries: dict[bytes, dict[str, Any]] = {}
    for name in ("CairnRewards", "CairnTestToken"):
        for entry in load_artifact(name).abi:
            if entry["type"] == "error":
                types = ",".join(argument["type"] for argument in entry["inputs"])
                entries[bytes(keccak(text=f"{entry['name']}({types})")[:4])] = entry
    return entries


def known_errors() -> frozenset[str]:
    """Return the names of all errors that either contract declares."""
    return frozenset(entry["name"] for entry in _errors_by_selector().values())


def _readable(kind: str, value: Any) -> Any:  # noqa: ANN401 - whatever the ABI holds
    if kind == "address":
        return to_checksum_address(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value


def refusal_from(data: bytes, *, fallback: str) -> RefusedError:
    """Return the refusal that revert bytes ``data`` mean; ``fallback`` is the node's own wording."""
    entry = _errors_by_selector().get(data[:4])
    if entry is None:
        return RefusedError(f"The contract refused: {fallback}.", reason="revert", facts={})
    kinds = [argument["type"] for argument in entry["inputs"]]
    try:
        values = decode(kinds, data[4:])
    except DecodingError:
        return RefusedError(f"The contract refused: {fallback}.", reason="revert", facts={})
    facts = {
        argument["name"]: _readable(kind, value)
        for argument, kind, value in zip(entry["inputs"], kinds, values, strict=True)
    }
    name: str = entry["name"]
    listed = ", ".join(f"{key} {value}" for key, value in facts.items())
    sentence = _SENTENCES.get(name, f"The contract refused with {name}: {listed}.").format(**facts)
    return RefusedError(sentence, reason=name, facts=facts)
