"""What a device claims it saw or measured.

A *track* is one object followed over many frames: somebody who stands still for a minute is one observation.
A *reading* is one number from a sensor. Nothing else leaves a device: no frames, no crops, no text.
"""

from enum import IntEnum
from typing import Annotated

import msgspec

from protocol.classes import COCO_CLASSES
from protocol.errors import MalformedError
from protocol.payload import ConfidencePpm, Counter, LatitudeUdeg, LongitudeUdeg, Millis

ClassId = Annotated[int, msgspec.Meta(ge=0, lt=len(COCO_CLASSES))]


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


class Reading(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag=2):
    """One number from one sensor."""

    quantity: Quantity
    measured_at_ms: Millis
    value: Annotated[int, msgspec.Meta(ge=-(2**53) + 1, le=2**53 - 1)]
    uncertainty: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]  # same unit as value, one standard deviation


Observation = Track | Reading
