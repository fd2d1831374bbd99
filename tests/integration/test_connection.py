"""One connection against brokers that refuse, vanish, fall silent, flood or talk nonsense: always one sentence."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from edge.connection import Connection, UplinkError
from edge.mqtt import acknowledge, publish

WELCOME = b"\x20\x02\x00\x00"
SUBSCRIBED = b"\x90\x03\x00\x01\x01"


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_s


class Scripted:
    """A broker for one connection: it answers the n-th thing it reads with the n-th answer; None hangs up."""

    def __init__(self, *answers: bytes | None) -> None:
        self.heard: list[bytes] = []
        self._answers = answers
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._link: socket.socket | None = None
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        link, _ = self._server.accept()
        self._link = link
        answers = iter(self._answers)
        with link, suppress(OSError):  # the test may be over
            while more := link.recv(65_536):
                self.heard.append(more)
                answer = next(answers, b"")
                if answer is None:
                    return
                link.sendall(answer)

    @contextmanager
    def working(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._server.close()
            if self._link is not None:
                self._link.close()


@contextmanager
def opened(*answers: bytes | None, at: Time | None = None) -> Iterator[tuple[Connection, Scripted]]:
    broker = Scripted(WELCOME, SUBSCRIBED, *answers)
    with broker.working():
        clock = at or Time()
        connection = Connection(client_id="me", keepalive_s=10, monotonic_s=clock.monotonic_s)
        connection.open("127.0.0.1", broker.port, topics=("t",))
        try:
            yield connection, broker
        finally:
            connection.close()


def pumped(connection: Connection) -> list[tuple[str, bytes]]:
    """What is heard next; fails where nothing is."""
    for _ in range(100):
        if heard := connection.pump(0.1):
            return heard
    pytest.fail("nothing was heard")


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((b"\x20\x02\x00\x05",), "not allowed in"),
        ((b"\x20\x02\x00\x63",), "code 99"),
        ((None,), "lost"),
        ((b"\x00\x00",), "does not speak MQTT"),
        ((WELCOME, b"\x90\x03\x00\x01\x80"), "refused a subscription"),
        ((WELCOME, b"\x30\xff\xff\xff\x7f"), "does not speak MQTT"),
    ],
    ids=["refused", "unknown code", "hung up", "another protocol", "may not listen", "too long"],
)
def test_a_broker_that_does_not_welcome_is_a_sentence(answers: tuple[bytes | None, ...], says: str) -> None:
    broker = Scripted(*answers)
    with broker.working():
        connection = Connection(client_id="me", keepalive_s=10, monotonic_s=time.monotonic)
        with pytest.raises(UplinkError, match=says):
            connection.open("127.0.0.1", broker.port, topics=("t",))
        connection.close()


def test_a_broker_that_says_nothing_is_given_up() -> None:
    clock, broker = Time(), Scripted(b"")
    with broker.working():
        connection = Connection(client_id="me", keepalive_s=10, monotonic_s=clock.monotonic_s)
        threading.Timer(0.3, lambda: setattr(clock, "ahead_s", 11.0)).start()
        with pytest.raises(UplinkError, match="does not answer as an MQTT broker"):
            connection.open("127.0.0.1", broker.port, topics=("t",))
        connection.close()


def test_what_is_published_is_owed_until_it_is_acknowledged() -> None:
    clock = Time()
    with opened(acknowledge(2) + publish(9, "t", b"answer"), at=clock) as (connection, broker):
        connection.publish("a", b"block")
        assert connection.unacknowledged == 1
        assert pumped(connection) == [("t", b"answer")]
        assert connection.unacknowledged == 0
        connection.publish("a", b"another")
        for _ in range(100):
            connection.pump(0.05)
            if b"another" in b"".join(broker.heard):
                break
        assert acknowledge(9) in b"".join(broker.heard)
        clock.ahead_s = 10.5
        with pytest.raises(UplinkError, match="has not acknowledged 1 messages"):
            connection.pump(0.0)


def test_a_quiet_connection_is_kept_alive_and_a_dead_one_is_noticed() -> None:
    clock = Time()
    with opened(b"\xd0\x00", at=clock) as (connection, broker):
        connection.pump(0.0)
        assert len(broker.heard) == 2
        clock.ahead_s = 8.5  # of ten
        for _ in range(100):
            connection.pump(0.05)
            if len(broker.heard) == 3:
                break
        assert broker.heard[2] == b"\xc0\x00"
        connection.pump(0.5)  # the answer
        clock.ahead_s = 17.5
        connection.pump(0.0)  # asks again, and nobody answers any more
        clock.ahead_s = 28.0
        with pytest.raises(UplinkError, match="silent"):
            connection.pump(0.0)


def test_a_flood_is_acknowledged_and_not_kept() -> None:
    flood = b"".join(publish(number, "t", b"x") for number in range(1, 3_001))
    with opened(flood) as (connection, _):
        connection.publish("a", b"block")
        heard = [each for _ in range(20) for each in connection.pump(0.05)]
        assert 1_024 <= len(heard) <= 3_000


def test_a_closed_connection_says_so() -> None:
    with opened() as (connection, _):
        connection.close()
        with pytest.raises(UplinkError, match="closed"):
            connection.publish("a", b"block")
        connection.close()
