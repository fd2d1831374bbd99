"""Beacons: whatever a chain's node answers becomes a beacon or one named error."""

from collections.abc import Callable

import httpx
import pytest

from hub.beacon import BeaconError, ChainBeacons, SelfMadeBeacons
from protocol.beacon import Beacon
from protocol.units import UnixMs

HASH = "0x" + "ab" * 32


def node(answer: Callable[[httpx.Request], httpx.Response]) -> ChainBeacons:
    return ChainBeacons("http://node", httpx.Client(transport=httpx.MockTransport(answer)))


def block(**fields: object) -> Callable[[httpx.Request], httpx.Response]:
    whole = {"number": "0x2a", "timestamp": "0x6b49d200", "hash": HASH} | fields
    return lambda _: httpx.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": whole})


def test_a_block_becomes_a_beacon_with_the_time_of_the_block() -> None:
    source = node(block())
    made = source.latest()
    source.close()
    assert made.beacon == Beacon(42, bytes.fromhex("ab" * 32))
    assert made.made_at_ms == 0x6B49D200 * 1_000


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(200, text="not json"),
        lambda _: httpx.Response(200, json=[]),
        lambda _: httpx.Response(200, json={"error": {"code": -32000}}),
        lambda _: httpx.Response(200, json={"result": None}),
        block(hash="0x12"),
        block(hash=None),
        block(hash="0xzz"),
        block(number="abc!"),
        block(number="-0x1"),
        block(number=hex(1 << 60)),
        block(timestamp=None),
    ],
)
def test_any_other_answer_is_one_kind_of_error(answer: Callable[[httpx.Request], httpx.Response]) -> None:
    source = node(answer)
    with pytest.raises(BeaconError):
        source.latest()
    source.close()


def test_a_node_that_is_away_is_the_same_kind_of_error() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    source = node(away)
    with pytest.raises(BeaconError, match="refused"):
        source.latest()
    source.close()


def test_self_made_beacons_change_with_time_and_only_with_time() -> None:
    moment_ms = [UnixMs(10_000)]
    source = SelfMadeBeacons(lambda: moment_ms[0], 1_000)
    first = source.latest()
    assert source.latest() == first
    moment_ms[0] = UnixMs(11_000)
    second = source.latest()
    assert second.beacon.round == first.beacon.round + 1
    assert second.beacon.hash != first.beacon.hash
    moment_ms[0] = UnixMs(9_000)  # the clock was set back: no round comes twice
    assert source.latest() == second
    source.close()


def test_no_error_tells_the_address_of_the_node_which_may_hold_a_key() -> None:
    source = ChainBeacons(
        "https://node.example/v3/SECRET", httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(401)))
    )
    with pytest.raises(BeaconError, match="401") as raised:
        source.latest()
    source.close()
    assert "SECRET" not in str(raised.value)
