"""What a device claims it saw, measured, or has to say about itself.

* A *track* is one object followed over many frames: somebody who stands still for a minute is one observation.
* A *crossing* and a *stay* say what a track did: it passed a line, it was in a zone. They are never paid on their own.
* A *reading* is one number from a sensor.
* A *gap* names what the device had to give up, a *health* record tells how it is, a *succession* hands over to
  another key. They claim nothing about the world and earn nothing.

Nothing else leaves a device: no frames, no crops, no text. Lines and zones are numbers; their names stay at home.
"""

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from typing import Annotated

import msgspec

from protocol.classes import COCO_CLASSES
from protocol.errors import MalformedError
from protocol.keyid import check_key_id
from protocol.payload import ConfidencePpm, Counter, KeyId, LatitudeUdeg, LongitudeUdeg, Millis

ClassId = Annotated[int, msgspec.Meta(ge=0, lt=len(COCO_CLASSES))]
_Place = Annotated[int, msgspec.Meta(ge=0, lt=32)]  # a line or a zone, in the order of the device's settings
_Ppm = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Signed = Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]


class Position(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Where a device stands and looks, as coarse as its owner chose."""

    lat_udeg: LatitudeUdeg
    lon_udeg: LongitudeUdeg
    accuracy_mm: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
    heading_mdeg: Annotated[int, msgspec.Meta(ge=-1, lt=360_000)]  # clockwise from true north; -1: not known or none


class Track(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=1):
    """One object, from when it was first seen until it was last seen."""

    track_id: Counter  # unique within (device, boot)
    class_id: ClassId  # index into protocol.classes.COCO_CLASSES
    first_seen_ms: Millis
    last_seen_ms: Millis
    confidence_ppm: ConfidencePpm  # mean over the detections that support the track
    detections: Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]  # frames in which it was detected
    continues: bool  # the same object is reported again under the same track_id: do not count this part
    sketch: Annotated[
        bytes, msgspec.Meta(max_length=32)
    ]  # evidence sketch; its form belongs to the model, may be empty

    def __post_init__(self) -> None:
        if self.last_seen_ms < self.first_seen_ms:
            raise MalformedError(f"track {self.track_id} ends before it begins")


class Quantity(IntEnum):
    """What a sensor measures; the name carries the unit of `Reading.value`."""

    TEMPERATURE_MDEGC = 1  # thousandths of a degree Celsius
    RELATIVE_HUMIDITY_PPM = 2
    PRESSURE_PA = 3
    ILLUMINANCE_MLUX = 4
    PM2_5_NG_M3 = 5
    PM10_NG_M3 = 6
    PM1_NG_M3 = 7
    CO2_PPB = 8


class ReadingFlag(IntFlag):
    """What the device itself knows to be odd about a reading; it is told all the same."""

    STUCK = 1  # a flatline: the sensor has given exactly this value for longer than its kind can


class Reading(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """One number from one sensor."""

    quantity: Quantity
    measured_at_ms: Millis
    value: _Signed
    uncertainty: Counter  # same unit as value, one standard deviation
    flags: Annotated[int, msgspec.Meta(ge=0, le=1)] = 0  # of ReadingFlag; left out of the bytes where there is none

    def shorten(self, fields: list[object]) -> None:
        """See `protocol.payload.encode_payload`: before there were flags, a reading ended with its uncertainty."""
        if self.flags == 0:
            del fields[-1]


class Crossing(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=3):
    """A track passed one of the device's lines."""

    track_id: Counter  # of the track, within (device, boot)
    class_id: ClassId
    line: _Place
    is_forward: bool  # from the left of the line to its right, looking from its first point to its second
    crossed_at_ms: Millis
    confidence_ppm: ConfidencePpm  # the track's mean so far


class Stay(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=4):
    """A track was in one of the device's zones."""

    track_id: Counter
    class_id: ClassId
    zone: _Place
    entered_at_ms: Millis
    left_at_ms: Millis
    confidence_ppm: ConfidencePpm

    def __post_init__(self) -> None:
        if self.left_at_ms < self.entered_at_ms:
            raise MalformedError(f"stay of track {self.track_id} ends before it begins")


class GapReason(IntEnum):
    """Why a device gave something up."""

    AGE = 1  # older than the device keeps anything
    BYTES = 2  # the outbox reached its size
    MEMORY = 3  # the outbox could not be written and memory was full
    ABANDONED = 4  # the owner said so


class Gap(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=5):
    """What a device had and no longer has: nothing is lost in silence."""

    reason: GapReason
    envelopes: Counter  # signed ones; 0 where observations were lost before they were in one
    observations: Counter
    first_sequence: Counter  # of those envelopes; 0 where there were none
    last_sequence: Counter  # likewise; thinning leaves some between them
    from_ms: Millis
    until_ms: Millis

    def __post_init__(self) -> None:
        if self.until_ms < self.from_ms or self.last_sequence < self.first_sequence:
            raise MalformedError("a gap ends before it begins")
        if not (self.envelopes == 0) == (self.first_sequence == 0) == (self.last_sequence == 0):
            raise MalformedError("a gap names sequences exactly if it names envelopes")
        if self.envelopes > self.last_sequence - self.first_sequence + 1:
            raise MalformedError("a gap names more envelopes than it has sequences for")
        if self.envelopes == self.observations == 0:
            raise MalformedError("a gap in which nothing was lost")


class Provider(IntEnum):
    """What really ran the model."""

    NONE = 0
    CPU = 1
    XNNPACK = 2
    OPENVINO = 3
    CUDA = 4
    TENSORRT = 5
    OTHER = 6


class ClockSource(IntEnum):
    """What the device's clock follows."""

    UNKNOWN = 0
    NTP = 1
    GNSS = 2
    FREE = 3  # nothing: it only counts on


class Health(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=6):
    """How a device is. Counters run since its agent started; None where the machine cannot tell."""

    measured_at_ms: Millis
    uptime_s: Counter
    captured_mfps: Counter  # thousandths of a frame a second, over the time since the last record
    analysed_mfps: Counter
    skipped_frames: Counter  # came from the camera and were not needed or not managed
    inference_p50_us: Counter
    inference_p95_us: Counter
    inferred_ppm: _Ppm  # share of the analysed frames that the model saw; the motion gate spared the rest
    provider: Provider
    camera_restarts: Counter
    vision_restarts: Counter
    sensor_failures: Counter
    outbox_envelopes: Counter
    outbox_bytes: Counter
    outbox_oldest_s: Counter
    dropped_envelopes: Counter
    dropped_observations: Counter
    disk_writes_per_h: Counter  # transactions that reached the disk
    disk_free_mib: Counter
    disk_wear_ppm: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] | None  # of the life its maker promises
    soc_mdegc: Annotated[int, msgspec.Meta(ge=-273_150, le=1_000_000)] | None
    throttled_bits: Annotated[int, msgspec.Meta(ge=0, lt=2**32)] | None  # as the Raspberry Pi's firmware counts them
    clock_source: ClockSource
    clock_offset_ms: _Signed | None  # device minus hub, at the last beacon
    clock_steps: Counter
    gnss_fix: Annotated[int, msgspec.Meta(ge=0, le=3)] | None  # 2 or 3 dimensions; less: no fix
    gnss_satellites: Annotated[int, msgspec.Meta(ge=0, le=255)] | None
    gnss_hdop_milli: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None
    rss_kib: Counter  # all processes of the agent together
    debug_pictures: Counter  # blurred pictures that the owner asked for: the world may know that there were some


class Succession(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=7):
    """The device goes on under another key. The last envelope of a chain says it, and the new key agrees.

    Believe it only after `protocol.succession.verify_succession`.
    """

    successor: KeyId
    consent: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]  # the successor's, over `succession_words`

    def __post_init__(self) -> None:
        check_key_id(self.successor)


def succession_words(network: str, device: bytes, successor: bytes) -> bytes:
    """Return what a successor signs: that ``successor`` follows ``device`` (both key ids) on ``network``."""
    return b"cairn succession 1\x00" + network.encode() + b"\x00" + device + successor


Rewardable = Track | Reading  # the rest says more about these, or about the device itself
Observation = Track | Reading | Crossing | Stay | Gap | Health | Succession


def count_rewardable(observations: Iterable[Observation]) -> int:
    """Return how many of ``observations`` may be paid: the number that verdict rows and reports state."""
    return sum(isinstance(each, Rewardable) for each in observations)
