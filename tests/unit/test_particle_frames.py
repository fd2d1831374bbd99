"""Particle sensors: whole frames with right checksums only, found again from the middle of anything."""

import pytest

from edge.sensors.particles import ParticleListener, pms_listener, sds011_listener
from protocol.observation import Quantity, Reading
from tests.support.sensor_story import NOW_MS, pms_frame, sds011_frame

# The example of the SDS011's protocol: 123.6 and 261.8 micrograms. For the PMS5003 there is none: counted by hand.
SDS011_PRINTED = bytes.fromhex("aa c0 d4 04 3a 0a a1 60 1d ab")
PMS5003_COUNTED = bytes.fromhex("424d 001c 0001 0001 0001 0006 000a 000b 0000 0000 0000 0000 0000 0000 0000 00c9")


def heard(listener: ParticleListener, *chunks: bytes) -> list[dict[Quantity, int]]:
    frames: list[tuple[Reading, ...]] = []
    for chunk in chunks:
        frames += listener.feed(chunk, at_ms=NOW_MS)
    return [{reading.quantity: reading.value for reading in readings} for readings in frames]


def test_frames_that_were_not_made_here() -> None:
    assert heard(sds011_listener(), SDS011_PRINTED) == [{Quantity.PM2_5_NG_M3: 123_600, Quantity.PM10_NG_M3: 261_800}]
    assert heard(pms_listener(), PMS5003_COUNTED) == [
        {Quantity.PM1_NG_M3: 6_000, Quantity.PM2_5_NG_M3: 10_000, Quantity.PM10_NG_M3: 11_000}
    ]


def test_the_smaller_and_larger_brothers_are_understood() -> None:
    small, large = pms_frame(1, 2, 3, words=9), pms_frame(4, 5, 6, words=17)
    first, second = heard(pms_listener(), small + large)
    assert (first[Quantity.PM10_NG_M3], second[Quantity.PM10_NG_M3]) == (3_000, 6_000)


def test_uncertainty_is_half_of_what_the_maker_promises_at_worst() -> None:
    ((clean, _),) = sds011_listener().feed(sds011_frame(10, 20), at_ms=NOW_MS)
    ((dirty, _),) = sds011_listener().feed(sds011_frame(4_000, 20), at_ms=NOW_MS)
    assert (clean.uncertainty, dirty.uncertainty) == (5_000, 30_000)  # 10 ug/m3; 15 % of 400 ug/m3
    ((_, _, dusty),) = pms_listener().feed(pms_frame(1, 2, 300), at_ms=NOW_MS)
    assert dusty.uncertainty == 15_000


@pytest.mark.parametrize("step", [1, 3, 10, 1_000])
def test_a_stream_that_is_cut_anywhere_loses_only_what_is_cut(step: int) -> None:
    stream = sds011_frame(100, 200)[4:] + sds011_frame(101, 201) + sds011_frame(102, 202)
    pieces = [stream[k : k + step] for k in range(0, len(stream), step)]
    assert [values[Quantity.PM2_5_NG_M3] for values in heard(sds011_listener(), *pieces)] == [10_100, 10_200]
    stream = pms_frame(1, 2, 3)[5:] + pms_frame(4, 5, 6) + pms_frame(7, 8, 9)
    pieces = [stream[k : k + step] for k in range(0, len(stream), step)]
    assert [values[Quantity.PM1_NG_M3] for values in heard(pms_listener(), *pieces)] == [4_000, 7_000]


def test_a_frame_with_a_wrong_checksum_is_no_frame_and_hides_none() -> None:
    listener = sds011_listener()
    assert len(heard(listener, sds011_frame(1, 2, wrong_by=1), sds011_frame(3, 4))) == 1
    # A frame that is cut short swallows the beginning of the next: the true one inside must be found.
    assert len(heard(listener, sds011_frame(5, 6)[:5] + sds011_frame(7, 8))) == 1
    assert len(heard(pms_listener(), pms_frame(1, 2, 3)[:20] + pms_frame(4, 5, 6) + pms_frame(7, 8, 9))) == 2
    assert heard(pms_listener(), pms_frame(1, 2, 3, wrong_by=1)) == []


def test_a_dust_that_nobody_could_breathe_is_refused_and_said() -> None:
    listener = pms_listener("pms5003:/dev/ttyAMA0")
    assert heard(listener, pms_frame(1, 2, 60_000)) == []
    assert "pms5003:/dev/ttyAMA0 says 60000 ug/m3, which cannot be" in listener.complaint()
    listener.forget()
    assert "silent" in listener.complaint()


def test_memory_is_bounded_and_silence_differs_from_noise() -> None:
    listener = sds011_listener()
    assert "silent" in listener.complaint()
    for _ in range(50):
        listener.feed(b"\xaa" * 10_000, at_ms=NOW_MS)
    assert len(listener._splitter._held) < 32
    assert "not this sensor's language" in listener.complaint()
    listener.forget()
    assert "silent" in listener.complaint()
    assert len(heard(listener, sds011_frame(1, 2))) == 1
    listener.feed(sds011_frame(1, 2)[:9], at_ms=NOW_MS)
    listener.forget()
    assert heard(listener, b"\xab") == []
