"""Cases of signed records: envelopes, enrollments, receipts and what a hub writes in its log."""

import hashlib
from collections.abc import Iterable
from enum import IntEnum, IntFlag
from typing import Final

import msgspec
from cases.primitives import SEEDS, Case, Document

from protocol.beacon import NO_BEACON, Beacon, BeaconNotice
from protocol.cid import Cid
from protocol.classes import COCO_CLASSES, PERSON
from protocol.cose import sign1
from protocol.enrollment import Enrollment
from protocol.envelope import NO_MODEL, NO_PREVIOUS, Envelope, block_digest, open_envelope
from protocol.identity import KeyPair, PublicKey
from protocol.logbook import NO_RECORD, Intake, IntakeEntry, Policy, SegmentHeader, SegmentSeal, Tally
from protocol.modelmanifest import manifest_digest
from protocol.modeloffer import ModelApproval, ModelOffer, is_included
from protocol.observation import Position, Quantity, Reading, Track
from protocol.payload import decode_payload, encode_payload
from protocol.receipt import Receipt, ReceiptLine
from protocol.units import Ppm, Udeg, UnixMs
from protocol.verdict import Verdict

NETWORK: Final = "testnet-1"
DEVICE: Final = KeyPair(SEEDS[0])
SECOND_DEVICE: Final = KeyPair(SEEDS[1])
HUB: Final = KeyPair(SEEDS[2])
STARTED_AT_MS: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
BEACON: Final = Beacon(21_000_000, hashlib.sha256(b"a block of the settlement chain").digest())
MODEL_DIGEST: Final = hashlib.sha256(b"a model").digest()
POSITION: Final = Position(Udeg(47_421_200), Udeg(10_985_300), 5_000, 271_500)
TRACK: Final = Track(
    track_id=1,
    class_id=PERSON,
    first_seen_ms=UnixMs(STARTED_AT_MS - 9_000),
    last_seen_ms=UnixMs(STARTED_AT_MS - 2_500),
    confidence_ppm=Ppm(874_321),
    detections=61,
    continues=False,
    sketch=b"\x0f" * 16,
)
MANIFEST: Final = b"""name = "door"
version = "2"
sha256 = "%s"
size_bytes = 7
licence = "Apache-2.0"
source = "https://models.example/door.onnx"
rollback_index = 3
expires = 2028-01-01

[selftest]
image = "door.png"
image_sha256 = "%s"
""" % (hashlib.sha256(b"a model").hexdigest().encode(), hashlib.sha256(b"a picture").hexdigest().encode())
READING: Final = Reading(Quantity.TEMPERATURE_MDEGC, UnixMs(STARTED_AT_MS - 1_000), -4_250, 100)


def envelope_with(**changes: object) -> Envelope:
    """Return the first envelope of `DEVICE` with some fields changed."""
    first = Envelope(
        version=1,
        network=NETWORK,
        boot=1,
        sequence=1,
        previous=NO_PREVIOUS,
        beacon=BEACON,
        model_digest=MODEL_DIGEST,
        agent_release="0.1.0",
        position=POSITION,
        created_at_ms=UnixMs(STARTED_AT_MS),
        observations=(TRACK, READING),
    )
    return msgspec.structs.replace(first, **changes)


def envelopes() -> list[tuple[str, KeyPair, Envelope]]:
    first = envelope_with()
    second = envelope_with(
        sequence=2,
        previous=block_digest(sign1(encode_payload(first), DEVICE)),
        created_at_ms=UnixMs(STARTED_AT_MS + 30_000),
        observations=(msgspec.structs.replace(TRACK, continues=True, sketch=b""),),
    )
    bare = envelope_with(
        boot=0, beacon=NO_BEACON, model_digest=NO_MODEL, agent_release="0", position=Position(Udeg(0), Udeg(0), 0, -1),
        created_at_ms=UnixMs(0), observations=(),
    )  # fmt: skip
    edge = 2**53 - 1
    extreme = envelope_with(
        network="a" * 31, boot=edge, sequence=edge, previous=b"\xff" * 32, beacon=Beacon(edge, b"\xff" * 32),
        agent_release="9" * 31, position=Position(Udeg(-90_000_000), Udeg(180_000_000), 1_000_000_000, 359_999),
        created_at_ms=UnixMs(edge),
        observations=(
            msgspec.structs.replace(
                TRACK, track_id=edge, class_id=len(COCO_CLASSES) - 1, first_seen_ms=edge, last_seen_ms=edge,
                confidence_ppm=1_000_000, detections=2**32 - 1, continues=True, sketch=b"\xff" * 32,
            ),
            Reading(Quantity.PM10_NG_M3, UnixMs(edge), -edge, edge),
        ),
    )  # fmt: skip
    return [
        ("the first envelope of a device: a person and a temperature", DEVICE, first),
        ("the second one: chained to the first, the same track continues", DEVICE, second),
        ("the smallest: no beacon heard yet, no model, nothing seen", SECOND_DEVICE, bare),
        ("every number at its limit", SECOND_DEVICE, extreme),
    ]


def envelope_valid(more: Iterable[tuple[str, KeyPair, Envelope]]) -> Document:
    cases = [signed_case(says, signer, envelope) for says, signer, envelope in (*envelopes(), *more)]
    for case in cases:
        open_envelope(bytes.fromhex(str(case["block_hex"])))
    return {
        "says": "Envelopes: what a device signs and publishes. The message is the IPLD block.",
        "cases": cases,
    }


def enrollment_valid() -> Document:
    owner = bytes.fromhex("00112233445566778899aabbccddeeff00112233")
    record = Enrollment(1, NETWORK, owner, UnixMs(STARTED_AT_MS - 60_000))
    return {"says": "An enrollment: a device names its owner.", "cases": [signed_case("an owner", DEVICE, record)]}


def receipt_valid() -> Document:
    blocks = [sign1(encode_payload(envelope), signer) for _, signer, envelope in envelopes()]
    lines = (
        ReceiptLine(1, block_digest(blocks[0]), Verdict.ACCEPTED),
        ReceiptLine(2, block_digest(blocks[1]), Verdict.CLOCK_SKEW),
        ReceiptLine(1, block_digest(blocks[0]), Verdict.DUPLICATE),
    )
    record = Receipt(1, NETWORK, DEVICE.public_key.key_id, 7, 12, UnixMs(STARTED_AT_MS + 31_000), lines)
    return {
        "says": "A receipt: a hub promises that these envelopes are on its disk.",
        "cases": [signed_case("three lines: accepted, kept though too late, seen before", HUB, record)],
    }


def modeloffer_valid() -> Document:
    """A manifest, two publishers' approvals of it, the hub's offer, and the same offer withdrawn."""
    digest = manifest_digest(MANIFEST)
    first = ModelApproval(1, digest, UnixMs(STARTED_AT_MS - 86_400_000))
    second = ModelApproval(1, digest, UnixMs(STARTED_AT_MS - 86_000_000))
    approvals = (sign1(encode_payload(first), DEVICE), sign1(encode_payload(second), SECOND_DEVICE))
    seed = hashlib.sha256(b"the rollout of door 2").digest()[:16]
    sources = ("/v1/models/{sha256}", "https://gateway.example/ipfs/{cid}?format=raw")
    offer = ModelOffer(1, NETWORK, MANIFEST, approvals, sources, 10, seed, UnixMs(STARTED_AT_MS))
    withdrawn = ModelOffer(1, NETWORK, MANIFEST, (), sources[:1], 0, seed, UnixMs(STARTED_AT_MS + 1))
    return {
        "says": "A model's way to a device: publishers approve its manifest, a hub offers it to a part of the devices.",
        "cases": [
            signed_case("an approval", DEVICE, first),
            signed_case("another publisher's approval of the same manifest", SECOND_DEVICE, second),
            offer_case("an offer to one device in ten", offer),
            offer_case("an offer withdrawn: for nobody", withdrawn),
        ],
    }


def offer_case(says: str, offer: ModelOffer) -> Case:
    keys = (DEVICE.public_key, SECOND_DEVICE.public_key)
    turns = [{"name": key.name, "percent": _turn(key, offer.seed)} for key in keys]
    return signed_case(says, HUB, offer) | {"included_from_percent": turns}


def _turn(device: PublicKey, seed: bytes) -> int:
    return next(percent for percent in range(101) if is_included(device, seed=seed, percent=percent))


def segment_records() -> list[tuple[str, msgspec.Struct, bytes]]:
    """Return (says, record, signed block) of one segment, in order, with the device blocks left out."""
    blocks = [sign1(encode_payload(envelope), signer) for _, signer, envelope in envelopes()]
    at_ms = STARTED_AT_MS - 120_000
    policy = Policy(30_000, 600_000, 604_800_000)
    records: list[tuple[str, msgspec.Struct, bytes]] = []

    def write(says: str, record: msgspec.Struct) -> None:
        records.append((says, record, sign1(encode_payload(record), HUB)))

    def previous() -> bytes:
        return block_digest(records[-1][2])

    write("the header: the root of the CAR", SegmentHeader(1, NETWORK, 3, 7, UnixMs(at_ms), policy, NO_RECORD))
    write("a beacon", BeaconNotice(1, NETWORK, BEACON, UnixMs(at_ms - 500), UnixMs(at_ms + 500), previous()))
    entries = (
        IntakeEntry(block_digest(blocks[0]), Verdict.ACCEPTED),
        IntakeEntry(block_digest(blocks[0]), Verdict.DUPLICATE),
        IntakeEntry(hashlib.sha256(b"noise").digest(), Verdict.MALFORMED),
    )
    tallies = (Tally(Verdict.MALFORMED, 1_000_000),)
    write(
        "an intake: the commit mark of one batch",
        Intake(1, NETWORK, 0, UnixMs(STARTED_AT_MS + 100), entries, tallies, previous()),
    )
    write("the seal: nothing follows", SegmentSeal(1, NETWORK, 3, 1, 4, UnixMs(STARTED_AT_MS + 1_000), previous()))
    return records


def logbook_valid() -> Document:
    return {
        "says": "The records of one segment of a hub's log, each chained to the one before.",
        "cases": [signed_case(says, HUB, record) for says, record, _ in segment_records()],
    }


def signed_case(says: str, signer: KeyPair, record: msgspec.Struct) -> Case:
    payload = encode_payload(record)
    decode_payload(payload, type(record))
    block = sign1(payload, signer)
    return {
        "says": says,
        "seed_hex": (SEEDS[[DEVICE, SECOND_DEVICE, HUB].index(signer)]).hex(),
        "signer": signer.public_key.name,
        "fields": named(record),
        "payload_hex": payload.hex(),
        "block_hex": block.hex(),
        "cid": str(Cid.of(block)),
    }


def named(value: object) -> object:
    """Return a record as JSON: fields in wire order, bytes as hex, ``kind`` first where it has one."""
    if isinstance(value, msgspec.Struct):
        kind = value.__struct_config__.tag
        fields = {name: named(getattr(value, name)) for name in value.__struct_fields__}
        if isinstance(value, Reading) and value.flags == 0:
            del fields["flags"]  # as on the wire
        return fields if kind is None else {"kind": kind, **fields}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, IntEnum | IntFlag):
        return int(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [named(member) for member in value]
    return value
