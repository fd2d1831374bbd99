"""What a device believes: only its own hub, about itself, on its network, and no old beacon."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sending.hearing import UnbelievableError, believed_beacon, believed_receipt
from protocol.beacon import BeaconNotice
from protocol.cose import open_sign1
from protocol.payload import decode_payload
from protocol.verdict import Verdict
from tests.support.edge_story import NETWORK, NOW_MS, beacon_block, key_pair, receipt_for

HUB, DEVICE, STRANGER = key_pair("hub"), key_pair("device").public_key, key_pair("stranger")
LINE = (3, bytes(range(32)), Verdict.ACCEPTED)
RECEIPT, LINES = receipt_for(HUB, DEVICE, LINE)
BEACON = beacon_block(HUB, relayed_at_ms=NOW_MS)


def hear_receipt(block: bytes) -> object:
    return believed_receipt(block, hub=HUB.public_key, network=NETWORK, device=DEVICE)


def hear_beacon(block: bytes, held: BeaconNotice | None = None) -> BeaconNotice:
    return believed_beacon(block, hub=HUB.public_key, network=NETWORK, held=held)


def test_the_hubs_own_receipt_is_believed() -> None:
    receipt = believed_receipt(RECEIPT, hub=HUB.public_key, network=NETWORK, device=DEVICE)
    assert receipt.lines == LINES


@pytest.mark.parametrize(
    "block",
    [
        receipt_for(STRANGER, DEVICE, LINE)[0],
        receipt_for(HUB, STRANGER.public_key, LINE)[0],
        receipt_for(HUB, DEVICE, LINE, network="elsewhere")[0],
        BEACON,
        b"",
    ],
    ids=["stranger", "other device", "other network", "another kind", "nothing"],
)
def test_any_other_receipt_is_not(block: bytes) -> None:
    with pytest.raises(UnbelievableError, match="receipt"):
        hear_receipt(block)


@given(at=st.integers(0, len(RECEIPT) - 1), flip=st.integers(1, 255))
def test_a_receipt_with_any_byte_changed_is_not_believed(at: int, flip: int) -> None:
    changed = bytearray(RECEIPT)
    changed[at] ^= flip
    with pytest.raises(UnbelievableError):
        hear_receipt(bytes(changed))


@given(noise=st.binary(max_size=300))
def test_noise_is_not_believed_and_breaks_nothing(noise: bytes) -> None:
    with pytest.raises(UnbelievableError):
        hear_receipt(noise)
    with pytest.raises(UnbelievableError):
        hear_beacon(noise)


def test_the_hubs_beacon_is_believed_and_heard_again_without_harm() -> None:
    notice = hear_beacon(BEACON)
    assert notice == decode_payload(open_sign1(BEACON).payload, BeaconNotice)
    assert hear_beacon(BEACON, held=notice) == notice


@pytest.mark.parametrize(
    "block",
    [
        beacon_block(STRANGER, relayed_at_ms=NOW_MS),
        beacon_block(HUB, relayed_at_ms=NOW_MS, network="elsewhere"),
        beacon_block(HUB, relayed_at_ms=NOW_MS - 1),
        RECEIPT,
    ],
    ids=["stranger", "other network", "played again", "another kind"],
)
def test_any_other_beacon_is_not(block: bytes) -> None:
    held = hear_beacon(BEACON)
    with pytest.raises(UnbelievableError):
        hear_beacon(block, held=held)
