"""What is published is for ever: numbers of verdicts, kinds, classes and quantities, and the texts of topics."""

from enum import IntEnum, IntFlag

import msgspec
import pytest

from protocol.beacon import BeaconNotice
from protocol.classes import COCO_CLASSES, class_name
from protocol.enrollment import Enrollment
from protocol.envelope import Envelope
from protocol.errors import MalformedError
from protocol.identity import KeyPair
from protocol.logbook import Intake, SegmentHeader, SegmentSeal
from protocol.observation import (
    ClockSource,
    Crossing,
    Gap,
    GapReason,
    Health,
    Provider,
    Quantity,
    Reading,
    ReadingFlag,
    Stay,
    Succession,
    Track,
)
from protocol.receipt import Receipt
from protocol.topics import (
    beacon_topic,
    enrollment_topic,
    envelope_topic,
    intake_filters,
    parse_intake_topic,
    receipt_topic,
)
from protocol.verdict import Verdict

KEY = KeyPair(bytes(32)).public_key
NAME = "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp"


def test_verdicts_keep_their_numbers() -> None:
    words = (
        "accepted malformed oversize wrong_network wrong_topic bad_signature unknown_device duplicate replay"
        " equivocation broken_chain stale_beacon clock_skew"
    )
    assert [verdict.slug for verdict in sorted(Verdict)][:13] == words.split()
    assert [verdict.value for verdict in sorted(Verdict)] == list(range(len(Verdict)))


def test_only_accepted_is_paid_and_nothing_is_deleted_that_was_not_kept() -> None:
    assert [verdict for verdict in Verdict if verdict.is_rewardable] == [Verdict.ACCEPTED]
    assert {verdict for verdict in Verdict if verdict.is_final and not verdict.is_kept} == {Verdict.DUPLICATE}
    unsigned = {Verdict.MALFORMED, Verdict.OVERSIZE, Verdict.BAD_SIGNATURE, Verdict.UNKNOWN_DEVICE}
    assert not any(verdict.is_kept for verdict in unsigned)


def test_kinds_of_records_keep_their_numbers_and_never_share_one() -> None:
    kinds: dict[type[msgspec.Struct], int] = {
        Envelope: 1, Enrollment: 2, Receipt: 3, Intake: 4, SegmentHeader: 5, BeaconNotice: 6, SegmentSeal: 7,
    }  # fmt: skip
    assert {record: record.__struct_config__.tag for record in kinds} == kinds
    observations: list[type[msgspec.Struct]] = [Track, Reading, Crossing, Stay, Gap, Health, Succession]
    assert [kind.__struct_config__.tag for kind in observations] == [1, 2, 3, 4, 5, 6, 7]


def test_what_observations_name_keeps_its_number() -> None:
    named: dict[type[IntEnum | IntFlag], dict[str, int]] = {
        GapReason: {"AGE": 1, "BYTES": 2, "MEMORY": 3, "ABANDONED": 4},
        Provider: {"NONE": 0, "CPU": 1, "XNNPACK": 2, "OPENVINO": 3, "CUDA": 4, "TENSORRT": 5, "OTHER": 6},
        ClockSource: {"UNKNOWN": 0, "NTP": 1, "GNSS": 2, "FREE": 3},
        ReadingFlag: {"STUCK": 1},
    }
    for kind, numbers in named.items():
        assert {each.name: each.value for each in kind} == numbers


def test_classes_and_quantities_keep_their_numbers() -> None:
    assert (len(COCO_CLASSES), len(set(COCO_CLASSES))) == (80, 80)
    assert [class_name(number) for number in (0, 1, 2, 7, 16, 79)] == [
        "person", "bicycle", "car", "truck", "dog", "toothbrush",
    ]  # fmt: skip
    for outside in (-1, 80):
        with pytest.raises(IndexError):
            class_name(outside)
    assert [(quantity.name, quantity.value) for quantity in Quantity] == [
        ("TEMPERATURE_MDEGC", 1), ("RELATIVE_HUMIDITY_PPM", 2), ("PRESSURE_PA", 3), ("ILLUMINANCE_MLUX", 4),
        ("PM2_5_NG_M3", 5), ("PM10_NG_M3", 6), ("PM1_NG_M3", 7), ("CO2_PPB", 8),
    ]  # fmt: skip


def test_topics_keep_their_texts() -> None:
    assert envelope_topic("net", KEY) == f"cairn/v1/net/envelope/{NAME}"
    assert enrollment_topic("net", KEY) == f"cairn/v1/net/enroll/{NAME}"
    assert receipt_topic("net", KEY) == f"cairn/v1/net/receipt/{NAME}"
    assert beacon_topic("net") == "cairn/v1/net/beacon"
    assert intake_filters("net") == ("cairn/v1/net/envelope/+", "cairn/v1/net/enroll/+")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "cairn/v1/net",
        f"cairn/v1/other/envelope/{NAME}",
        f"cairn/v2/net/envelope/{NAME}",
        f"cairn/v1/net/receipt/{NAME}",
        f"cairn/v1/net/envelope/{NAME}/more",
        f"cairn/v1/net/envelope/did:key:{NAME}",
        f"cairn/v1/net/envelope/{NAME}\n",
        f"/cairn/v1/net/envelope/{NAME}",
        "cairn/v1/net/envelope/+",
        "cairn/v1/net/envelope/",
    ],
)
def test_another_topic_is_malformed(topic: str) -> None:
    with pytest.raises(MalformedError):
        parse_intake_topic(topic, "net")
