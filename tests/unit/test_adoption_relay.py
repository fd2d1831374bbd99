"""The hub as a messenger of adoptions: bounded, rate limited, and unable to do more."""

import pytest

from hub.ingest.adoptions import AdoptionRelay, TooManyAdoptionsError
from protocol.adoption import Adoption, adopt, parse_adoption
from protocol.identity import PublicKey
from protocol.topics import adoption_topic

NETWORK = "relay-test"


class Shelf:
    """What lies at the broker."""

    def __init__(self) -> None:
        self.left: dict[str, bytes] = {}
        self.now_s = 1_000.0

    def retain(self, topic: str, block: bytes) -> None:
        self.left[topic] = block
        if not block:
            del self.left[topic]


def device(number: int) -> PublicKey:
    return PublicKey.of_raw(number.to_bytes(32))


def of(number: int, owner: bytes = b"\xa1" * 20) -> Adoption:
    return adopt(bytes(16), network=NETWORK, device=device(number), owner=owner)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def relay_on(shelf: Shelf, most_waiting: int = 100) -> AdoptionRelay:
    return AdoptionRelay(shelf, network=NETWORK, monotonic_s=lambda: shelf.now_s, most_waiting=most_waiting)


def test_an_adoption_lies_at_its_devices_topic_until_another_takes_its_place(shelf: Shelf) -> None:
    relay = relay_on(shelf)
    for owner in (b"\x01" * 20, b"\x02" * 20):
        relay.relay(of(1, owner))
    (topic,) = shelf.left
    assert topic == adoption_topic(NETWORK, device(1))
    assert parse_adoption(shelf.left[topic]) == of(1, b"\x02" * 20)


def test_one_device_is_adopted_so_often_in_a_minute_and_no_more(shelf: Shelf) -> None:
    relay = relay_on(shelf)
    for _ in range(6):
        relay.relay(of(1))
    with pytest.raises(TooManyAdoptionsError):
        relay.relay(of(1))
    relay.relay(of(2))
    shelf.now_s += 61
    relay.relay(of(1))


def test_all_devices_together_have_a_limit_too(shelf: Shelf) -> None:
    relay = relay_on(shelf, most_waiting=1_000)
    for number in range(240):
        relay.relay(of(number))
    with pytest.raises(TooManyAdoptionsError):
        relay.relay(of(999))
    shelf.now_s += 61
    relay.relay(of(999))


def test_the_oldest_makes_room(shelf: Shelf) -> None:
    relay = relay_on(shelf, most_waiting=3)
    for number in (1, 2, 3, 1, 4):
        relay.relay(of(number))
    assert set(shelf.left) == {adoption_topic(NETWORK, device(number)) for number in (3, 1, 4)}
