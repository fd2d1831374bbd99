"""What to look through, at and for: the settings that the vision process is told, and nothing else of them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edge.errors import SettingsError
from edge.sight.polygon import fault_of

_Permille = Annotated[int, Meta(ge=0, le=1_000)]
Point = tuple[_Permille, _Permille]  # x, y in thousandths of the frame's width and height, y downwards
Polygon = Annotated[tuple[Point, ...], Meta(min_length=3, max_length=32)]


class LineSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A line that is crossed, in thousandths of the frame's width and height; forward is from its left to its right.

    Raises:
        SettingsError: a line without length.
    """

    begin: Point = msgspec.field(name="from")
    end: Point = msgspec.field(name="to")
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if self.begin == self.end:
            raise SettingsError(f"camera.lines: {self.name or 'a line'} begins and ends at {list(self.begin)}")


class ZoneSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A zone that is stayed in: a polygon in thousandths of the frame's width and height.

    Raises:
        SettingsError: it encloses nothing, or crosses itself.
    """

    polygon: Polygon
    name: Annotated[str, Meta(max_length=100)] = ""  # for the owner; it stays at home

    def __post_init__(self) -> None:
        if fault := fault_of(self.polygon):
            raise SettingsError(f"camera.zones: {self.name or 'a zone'} {fault}")


class CameraSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to look through; ``source`` empty: a device with sensors only."""

    source: str = ""  # webcam:0, rtsp://..., a video file, a folder of pictures
    folder_fps: Annotated[float, Meta(gt=0, le=120)] = 10.0
    silence_max_ms: Annotated[int, Meta(ge=1_000, le=3_600_000)] = 25_000  # then the capture process is started anew
    gate: Literal["auto", "off"] = "auto"  # auto: the model rests while nothing moves; off: it sees every frame
    max_fps: Annotated[float, Meta(ge=0, le=120)] = 0.0  # look at no more frames a second; 0: at all
    lines: Annotated[tuple[LineSettings, ...], Meta(max_length=32)] = ()
    zones: Annotated[tuple[ZoneSettings, ...], Meta(max_length=32)] = ()


class PrivacySettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What must not be looked at: polygons in thousandths of the frame's width and height, painted over first of all.

    Raises:
        SettingsError: a mask encloses nothing, or crosses itself. The device does not start without it.
    """

    masks: Annotated[tuple[Polygon, ...], Meta(max_length=32)] = ()

    def __post_init__(self) -> None:
        for number, mask in enumerate(self.masks, start=1):
            if fault := fault_of(mask):
                raise SettingsError(f"privacy.masks: mask {number} {fault}")


class LookFor(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which model, run how, and which classes count; see edge/models/choice.py."""

    name: str
    threads: int
    runner: str
    runner_fallback: bool
    classes: tuple[str, ...]


class VisionSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that seeing depends on."""

    camera: CameraSettings
    model: LookFor
    privacy: PrivacySettings
