"""The bounded queue and the broker's address."""

import threading
import time

import pytest

from hub.broker.address import BrokerAddress, BrokerError
from hub.domain.admission import Message
from hub.ingest.inbox import Delivery, Inbox


def delivery(number: int) -> Delivery:
    return Delivery(Message("t", b"%d" % number), 1, number, 1, time.monotonic())


def test_deliveries_come_out_in_the_order_they_came_in_and_never_more_than_asked() -> None:
    inbox = Inbox()
    for number in range(10):
        assert inbox.put(delivery(number), wait_s=0)
    assert [one.packet_id for one in inbox.take(4, wait_s=0, linger_s=0)] == [0, 1, 2, 3]
    assert [one.packet_id for one in inbox.take(99, wait_s=0, linger_s=0)] == [4, 5, 6, 7, 8, 9]
    assert inbox.take(1, wait_s=0, linger_s=0) == []


def test_a_full_inbox_refuses_until_something_is_taken() -> None:
    inbox = Inbox(capacity=2)
    assert inbox.put(delivery(1), wait_s=0)
    assert inbox.put(delivery(2), wait_s=0)
    assert not inbox.put(delivery(3), wait_s=0)
    waiter = threading.Thread(target=inbox.put, args=(delivery(4),), kwargs={"wait_s": 5})
    waiter.start()
    assert len(inbox.take(1, wait_s=1, linger_s=0)) == 1
    waiter.join(5)
    assert inbox.depth() == 2


def test_the_oldest_delivery_says_how_long_it_waits() -> None:
    inbox = Inbox()
    assert inbox.oldest_waits_s() == 0
    inbox.put(Delivery(Message("t", b""), 1, 1, 1, time.monotonic() - 5), wait_s=0)
    inbox.put(delivery(2), wait_s=0)
    assert 5 <= inbox.oldest_waits_s() < 6


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://broker", BrokerAddress("broker", 1883)),
        ("mqtt://127.0.0.1:1999", BrokerAddress("127.0.0.1", 1999)),
        ("mqtts://broker", BrokerAddress("broker", 8883, is_encrypted=True)),
        ("mqtt://me:p%40ss@broker:1", BrokerAddress("broker", 1, username="me", password="p@ss")),
        ("mqtt://[::1]:1883", BrokerAddress("::1", 1883)),
    ],
)
def test_a_brokers_url_is_read(url: str, expected: BrokerAddress) -> None:
    assert BrokerAddress.parse(url) == expected


@pytest.mark.parametrize("url", ["", "broker:1883", "http://broker", "mqtt://", "mqtt://broker:port", "mqtt://b:99999"])
def test_anything_else_says_how_it_must_look(url: str) -> None:
    with pytest.raises(BrokerError):
        BrokerAddress.parse(url)


def test_a_password_is_not_shown() -> None:
    assert "p@ss" not in repr(BrokerAddress.parse("mqtt://me:p%40ss@broker"))


def test_a_few_huge_messages_fill_the_inbox_as_many_small_ones_do() -> None:
    inbox = Inbox()
    huge = Delivery(Message("t", bytes(32 << 20)), 0, 0, 1, time.monotonic())
    assert inbox.put(huge, wait_s=0)
    assert inbox.put(huge, wait_s=0)
    assert not inbox.put(huge, wait_s=0)
    inbox.take(1, wait_s=0, linger_s=0)
    assert inbox.put(huge, wait_s=0)
