"""What a device believes of what it hears: receipts and beacons signed by its own hub, for itself and its network.

A broker is nobody's friend: everything that arrives is checked as if an attacker had sent it. Pure.
"""

from protocol.beacon import BeaconNotice
from protocol.cose import open_sign1
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import PublicKey
from protocol.payload import decode_payload
from protocol.receipt import Receipt, open_receipt


class UnbelievableError(Exception):
    """A message that proves nothing: forged, broken, of another hub, network or device. Counted and ignored."""


def believed_receipt(block: bytes, *, hub: PublicKey, network: str, device: PublicKey) -> Receipt:
    """Return the receipt if ``hub`` signed it for this device on this network.

    Raises:
        UnbelievableError: it did not.
    """
    try:
        key, receipt = open_receipt(block)
    except ProtocolError as error:
        raise UnbelievableError(f"receipt: {error}") from error
    if key != hub:
        raise UnbelievableError(f"receipt signed by {key}, not by the hub {hub}")
    if receipt.network != network:
        raise UnbelievableError(f"receipt of the network {receipt.network!r}, not {network!r}")
    if receipt.device != device.key_id:
        raise UnbelievableError("receipt for another device")
    return receipt


def believed_beacon(block: bytes, *, hub: PublicKey, network: str, held: BeaconNotice | None) -> BeaconNotice:
    """Return the notice if ``hub`` signed it for this network and it is not older than the one ``held``.

    Raises:
        UnbelievableError: it did not, or somebody plays an old notice again.
    """
    try:
        signed = open_sign1(block)
        if signed.key != hub:
            raise MalformedError(f"signed by {signed.key}, not by the hub {hub}")
        notice = decode_payload(signed.payload, BeaconNotice)
    except ProtocolError as error:
        raise UnbelievableError(f"beacon: {error}") from error
    if notice.network != network:
        raise UnbelievableError(f"beacon of the network {notice.network!r}, not {network!r}")
    if held is not None and notice.relayed_at_ms < held.relayed_at_ms:
        raise UnbelievableError("beacon relayed before the one already held")
    return notice
