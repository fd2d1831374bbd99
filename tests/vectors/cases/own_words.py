"""Cases of what devices say beyond tracks and readings: envelopes, successions, and what must be refused of them."""

from typing import Final

import cbor2
import msgspec
from cases.primitives import SEEDS, Case, Document, refused
from cases.records import DEVICE, NETWORK, READING, SECOND_DEVICE, STARTED_AT_MS, TRACK, envelope_with

from protocol.classes import CAR, COCO_CLASSES, PERSON
from protocol.cose import sign1
from protocol.envelope import Envelope, block_digest, open_envelope, seal
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
    succession_words,
)
from protocol.payload import encode_payload
from protocol.succession import verify_succession
from protocol.units import Ppm, UnixMs

HEIR: Final = KeyPair(SEEDS[3])
EDGE: Final = 2**53 - 1
STUCK: Final = Reading(Quantity.CO2_PPB, UnixMs(STARTED_AT_MS), 400_000, 0, ReadingFlag.STUCK)
CROSSING: Final = Crossing(1, PERSON, 0, is_forward=True, crossed_at_ms=UnixMs(STARTED_AT_MS), confidence_ppm=Ppm(1))
STAY: Final = Stay(2, CAR, 3, UnixMs(STARTED_AT_MS - 60_000), UnixMs(STARTED_AT_MS), Ppm(700_000))
GAP: Final = Gap(GapReason.BYTES, 3, 40, 2, 9, UnixMs(STARTED_AT_MS - 90_000), UnixMs(STARTED_AT_MS))
HEALTH: Final = Health(
    measured_at_ms=UnixMs(STARTED_AT_MS), uptime_s=86_400, captured_mfps=10_000, analysed_mfps=9_800,
    skipped_frames=120, inference_p50_us=41_000, inference_p95_us=63_000, inferred_ppm=310_000,
    provider=Provider.XNNPACK, camera_restarts=1, vision_restarts=0, sensor_failures=2, outbox_envelopes=3,
    outbox_bytes=4_096, outbox_oldest_s=12, dropped_envelopes=3, dropped_observations=40, disk_writes_per_h=40,
    disk_free_mib=9_000, disk_wear_ppm=None, soc_mdegc=51_200, throttled_bits=None, clock_source=ClockSource.NTP,
    clock_offset_ms=-12, clock_steps=0, gnss_fix=None, gnss_satellites=None, gnss_hdop_milli=None, rss_kib=310_000,
    debug_pictures=0,
)  # fmt: skip
_FULL_HEALTH: Final = msgspec.structs.replace(
    HEALTH, measured_at_ms=EDGE, uptime_s=EDGE, inferred_ppm=10**6, provider=Provider.OTHER, outbox_bytes=EDGE,
    disk_wear_ppm=10**7, soc_mdegc=-273_150, throttled_bits=2**32 - 1, clock_source=ClockSource.FREE,
    clock_offset_ms=-EDGE, gnss_fix=3, gnss_satellites=255, gnss_hdop_milli=10**6, debug_pictures=EDGE,
)  # fmt: skip
_LAST_CLASS: Final = len(COCO_CLASSES) - 1
_EDGES: Final[tuple[Observation, ...]] = (
    Reading(Quantity.PM1_NG_M3, UnixMs(EDGE), -EDGE, EDGE, ReadingFlag.STUCK),
    Crossing(EDGE, _LAST_CLASS, 31, is_forward=False, crossed_at_ms=UnixMs(EDGE), confidence_ppm=Ppm(10**6)),
    Stay(EDGE, _LAST_CLASS, 31, UnixMs(EDGE), UnixMs(EDGE), Ppm(10**6)),
    Gap(GapReason.MEMORY, 0, EDGE, 0, 0, UnixMs(0), UnixMs(EDGE)),
    Gap(GapReason.ABANDONED, EDGE, 0, 1, EDGE, UnixMs(EDGE), UnixMs(EDGE)),
    _FULL_HEALTH,
)


def own_words_envelopes() -> list[tuple[str, KeyPair, Envelope]]:
    """Return (says, signer, envelope) of every new kind: usual, at the limits, and the last of a key."""
    usual: tuple[Observation, ...] = (TRACK, READING, STUCK, CROSSING, STAY, GAP, HEALTH)
    return [
        ("every kind: a flagged reading, a line, a zone, a gap, a health record", DEVICE, _second(*usual)),
        ("their numbers at the limits; a gap without envelopes, a gap of all of them", SECOND_DEVICE, _second(*_EDGES)),
        ("the last word of a key: another one follows", DEVICE, _second(TRACK, agreed(DEVICE, HEIR))),
    ]


def agreed(device: KeyPair, successor: KeyPair, network: str = NETWORK) -> Succession:
    """Return a succession that the successor agreed to."""
    key_ids = device.public_key.key_id, successor.public_key.key_id
    return Succession(key_ids[1], successor.sign(succession_words(network, *key_ids)))


def impossible_observations() -> dict[str, list[object]]:
    """Return observations of the new kinds that no envelope may carry, by what is wrong with them."""
    stuck, crossing, stay, gap, health = (_members(each) for each in (STUCK, CROSSING, STAY, GAP, HEALTH))
    succession = _members(agreed(DEVICE, HEIR))
    return {
        "a reading that states flags though it has none": [*_members(READING), 0],
        "a flag nobody defined": [*stuck[:5], 2],
        "a crossing of line 32": [*crossing[:3], 32, *crossing[4:]],
        "a crossing whose direction is a number": [*crossing[:4], 1, *crossing[5:]],
        "a crossing by class 80": [*crossing[:2], 80, *crossing[3:]],
        "a crossing without a confidence": crossing[:-1],
        "a stay that ends before it begins": [*stay[:5], STARTED_AT_MS - 60_001, stay[6]],
        "a stay in zone -1": [*stay[:3], -1, *stay[4:]],
        "a gap for a reason nobody defined": [gap[0], 5, *gap[2:]],
        "a gap that ends before it begins": [*gap[:7], STARTED_AT_MS - 90_001],
        "a gap whose sequences run backwards": [*gap[:5], 1, *gap[6:]],
        "a gap of envelopes without sequences": [*gap[:4], 0, 0, *gap[6:]],
        "a gap of no envelopes with sequences": [*gap[:2], 0, *gap[3:]],
        "a gap of no envelopes with a last sequence": [*gap[:2], 0, gap[3], 0, 9, *gap[6:]],
        "a gap of more envelopes than sequences": [*gap[:2], 9, *gap[3:]],
        "a gap in which nothing was lost": [*gap[:2], 0, 0, 0, 0, *gap[6:]],
        "a health record with a field missing": health[:-1],
        "a health record with a field too many": [*health, 0],
        "a health record with free text": [*health[:9], "xnnpack", *health[10:]],
        "a provider nobody defined": [*health[:9], 7, *health[10:]],
        "nothing where a health record must have a number": [health[0], None, *health[2:]],
        "colder than nothing": [*health[:21], -273_151, *health[22:]],
        "a GNSS fix of four dimensions": [*health[:26], 4, *health[27:]],
        "a successor of another kind of key (X25519)": [7, b"\xec\x01" + bytes(32), succession[2]],
        "a consent of 63 bytes": [*succession[:2], bytes(63)],
    }  # fmt: skip


def succession_valid() -> Document:
    network = "a" * 31
    cases: list[Case] = [
        _succession_case("the last word after a track", DEVICE, HEIR, _second(TRACK, agreed(DEVICE, HEIR))),
        _succession_case(
            "on another network, with nothing before it", SECOND_DEVICE, DEVICE,
            msgspec.structs.replace(_second(agreed(SECOND_DEVICE, DEVICE, network)), network=network),
        ),
    ]  # fmt: skip
    return {"says": "Successions to believe: the envelope is the old key's, the consent the new one's.", "cases": cases}


def succession_invalid() -> Document:
    key_id, good = HEIR.public_key.key_id, agreed(DEVICE, HEIR)
    words = succession_words(NETWORK, DEVICE.public_key.key_id, key_id)
    backwards = succession_words(NETWORK, key_id, DEVICE.public_key.key_id)
    blocks = {
        "the successor did not sign": _second(Succession(key_id, bytes(64))),
        "the old key signed for the new one": _second(Succession(key_id, DEVICE.sign(words))),
        "agreed on another network": _second(agreed(DEVICE, HEIR, "testnet-2")),
        "agreed to follow another device": _second(agreed(SECOND_DEVICE, HEIR)),
        "the two keys the other way round": _second(Succession(key_id, HEIR.sign(backwards))),
        "the words without what they are for": _second(Succession(key_id, HEIR.sign(words.split(b"\x00", 1)[1]))),
        "something follows it": _second(good, TRACK),
        "two successors": _second(agreed(DEVICE, SECOND_DEVICE), good),
        "a key that follows itself": _second(agreed(DEVICE, DEVICE)),
    }
    return {
        "says": "Good envelopes whose succession nobody may believe. They stay accepted: only the succession is void.",
        "cases": [
            refused(says, believe, block := seal(envelope, DEVICE), {"block_hex": block.hex()})
            for says, envelope in blocks.items()
        ],
    }


def believe(block: bytes) -> None:
    """Open an envelope and check its succession."""
    signed, envelope = open_envelope(block)
    verify_succession(envelope, signed.key)


def _succession_case(says: str, device: KeyPair, successor: KeyPair, envelope: Envelope) -> Case:
    block = seal(envelope, device)
    believe(block)
    words = succession_words(envelope.network, device.public_key.key_id, successor.public_key.key_id)
    return {
        "says": says,
        "successor_seed_hex": next(seed for seed in SEEDS if KeyPair(seed).public_key == successor.public_key).hex(),
        "words_hex": words.hex(),
        "consent_hex": successor.sign(words).hex(),
        "block_hex": block.hex(),
    }


def _second(*observations: Observation) -> Envelope:
    previous = block_digest(sign1(encode_payload(envelope_with()), DEVICE))
    return envelope_with(sequence=2, previous=previous, observations=observations)


def _members(observation: Observation) -> list[object]:
    members: list[object] = cbor2.loads(encode_payload(observation))
    return members
