"""MQTT packets: the bytes of the standard, however they are cut on their way, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.mqtt import (
    GOODBYE,
    MAX_PACKET_BYTES,
    PING,
    Kind,
    MqttError,
    Packet,
    PacketStream,
    acknowledge,
    connect,
    publish,
    published,
    subscribe,
)


def packets_of(stream: bytes) -> list[Packet]:
    return list(PacketStream().feed(stream))


def test_the_bytes_are_those_of_the_standard() -> None:
    # Sections 3.1, 3.8, 3.3, 3.4, 3.12 and 3.14.
    assert connect("me", keepalive_s=30, is_persistent=False) == bytes.fromhex("100e00044d5154540402001e00026d65")
    assert connect("me", keepalive_s=30, is_persistent=True)[9] == 0
    assert subscribe(10, ["a/b", "c"]) == bytes.fromhex("820c 000a 0003612f62 01 000163 01")
    assert publish(7, "a/b", b"\xff") == bytes.fromhex("32080003612f620007ff")
    assert acknowledge(0x1234) == bytes.fromhex("40021234")
    assert (PING, GOODBYE) == (b"\xc0\x00", b"\xe0\x00")


@pytest.mark.parametrize(
    ("length", "encoded"),
    [(127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (200_000, "c09a0c")],
)
def test_lengths_are_encoded_as_in_section_2_2_3(length: int, encoded: str) -> None:
    block = publish(1, "t", bytes(length - 5))
    assert block[1 : 1 + len(encoded) // 2].hex() == encoded
    ((packet),) = packets_of(block)
    assert len(packet.body) == length


@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_packets_arrive_whole_however_they_are_cut(parts: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(publish(number, "a/ü", part) for number, part in enumerate(parts, start=1))
    reader, heard, at = PacketStream(), [], 0
    while at < len(stream):
        size = cuts[at % len(cuts)]
        heard += [published(each) for each in reader.feed(stream[at : at + size])]
        at += size
    assert [(each.topic, each.payload, each.number) for each in heard] == [
        ("a/ü", part, number) for number, part in enumerate(parts, start=1)
    ]


@given(noise=st.binary(max_size=500))
def test_noise_is_refused_and_breaks_nothing(noise: bytes) -> None:
    try:
        for packet in PacketStream().feed(noise):
            if packet.kind == Kind.PUBLISH:
                published(packet)
            packet.number()
    except MqttError:
        pass


def test_a_length_that_nobody_needs_is_refused_before_it_is_kept() -> None:
    with pytest.raises(MqttError, match="268435455 bytes"):
        packets_of(b"\x30\xff\xff\xff\x7f")
    with pytest.raises(MqttError, match="four bytes"):
        packets_of(b"\x30\xff\xff\xff\xff\x01")
    assert packets_of(publish(1, "t", bytes(MAX_PACKET_BYTES - 5)))


@pytest.mark.parametrize(
    "packet",
    [
        Packet(Kind.PUBLISH, 0x04, b"\x00\x01t\x00\x01"),  # QoS 2
        Packet(Kind.PUBLISH, 0x02, b"\x00\x01t\x00"),  # no room for the identifier
        Packet(Kind.PUBLISH, 0x00, b"\x00\x09t"),
        Packet(Kind.PUBLISH, 0x00, b"\x00"),
        Packet(Kind.PUBLISH, 0x00, b"\x00\x01\xff"),
    ],
    ids=["qos 2", "no identifier", "topic too long", "nothing", "not UTF-8"],
)
def test_a_publication_that_is_none_is_refused(packet: Packet) -> None:
    with pytest.raises(MqttError):
        published(packet)


def test_what_comes_once_at_most_needs_no_acknowledgement() -> None:
    publication = published(Packet(Kind.PUBLISH, 0, b"\x00\x01thello"))
    assert (publication.topic, publication.payload, publication.number) == ("t", b"hello", None)
