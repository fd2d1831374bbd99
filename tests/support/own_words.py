"""One observation of every kind that says more than a track or a reading does, for the tests of all rooms."""

from typing import Final

from protocol.identity import KeyPair
from protocol.observation import (
    ClockSource,
    Crossing,
    Gap,
    GapReason,
    Health,
    Observation,
    Provider,
    Quantity,
    Reading,
    ReadingFlag,
    Stay,
    Succession,
    Track,
    succession_words,
)
from protocol.units import Ppm, UnixMs

AT_MS: Final = UnixMs(1_800_000_000_000)

TRACK: Final = Track(7, 0, AT_MS, UnixMs(AT_MS + 900), Ppm(800_000), 9, continues=False, sketch=b"\x0f")
STUCK: Final = Reading(Quantity.TEMPERATURE_MDEGC, AT_MS, 21_300, 200, ReadingFlag.STUCK)
CROSSING: Final = Crossing(7, 0, line=3, is_forward=True, crossed_at_ms=AT_MS, confidence_ppm=Ppm(800_000))
STAY: Final = Stay(7, 2, zone=1, entered_at_ms=AT_MS, left_at_ms=UnixMs(AT_MS + 60_000), confidence_ppm=Ppm(700_000))
GAP: Final = Gap(GapReason.BYTES, 4, 40, first_sequence=11, last_sequence=19, from_ms=AT_MS, until_ms=AT_MS)
HEALTH: Final = Health(
    measured_at_ms=AT_MS,
    uptime_s=86_400,
    captured_mfps=10_000,
    analysed_mfps=9_800,
    skipped_frames=120,
    inference_p50_us=41_000,
    inference_p95_us=63_000,
    inferred_ppm=310_000,
    provider=Provider.XNNPACK,
    camera_restarts=1,
    vision_restarts=0,
    sensor_failures=2,
    outbox_envelopes=3,
    outbox_bytes=4_096,
    outbox_oldest_s=12,
    dropped_envelopes=4,
    dropped_observations=40,
    disk_writes_per_h=40,
    disk_free_mib=9_000,
    disk_wear_ppm=None,
    soc_mdegc=51_200,
    throttled_bits=0,
    clock_source=ClockSource.NTP,
    clock_offset_ms=-12,
    clock_steps=0,
    gnss_fix=None,
    gnss_satellites=None,
    gnss_hdop_milli=None,
    rss_kib=310_000,
    debug_pictures=0,
)


def succession(device: KeyPair, successor: KeyPair, network: str) -> Succession:
    """Return the last word of ``device``, to which ``successor`` agrees."""
    words = succession_words(network, device.public_key.key_id, successor.public_key.key_id)
    return Succession(successor.public_key.key_id, successor.sign(words))


SUCCESSION: Final = succession(KeyPair(b"\x07" * 32), KeyPair(b"\x08" * 32), "test")
OWN_WORDS: Final[tuple[Observation, ...]] = (GAP, HEALTH)  # what a device says of itself, and nobody pays
ALL_KINDS: Final[tuple[Observation, ...]] = (TRACK, STUCK, CROSSING, STAY, GAP, HEALTH, SUCCESSION)
