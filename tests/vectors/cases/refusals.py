"""Envelopes that must be refused. Most are properly signed: the signature alone makes nothing welcome."""

from typing import Final

import cbor2
import msgspec
from cases.own_words import impossible_observations
from cases.primitives import SEEDS, Document, refused
from cases.records import DEVICE, READING, SECOND_DEVICE, TRACK, envelope_with

from protocol.cose import sign1
from protocol.envelope import Envelope, open_envelope
from protocol.identity import KeyPair
from protocol.payload import encode_payload

_ORDER: Final = (1 << 252) + 27742317777372353535851937790883648493  # of Ed25519's base point
_PAYLOAD: Final = encode_payload(envelope_with())
_BLOCK: Final = sign1(_PAYLOAD, DEVICE)
_UNPROTECTED_AT: Final = 43  # 84, 58 28, 40 bytes of protected header
_SIGNATURE_BYTES: Final = 64


def envelope_invalid() -> Document:
    blocks = _framing() | _signed_nonsense() | _bad_signatures()
    cases = [
        refused(says, open_envelope, block, {"block_hex": block.hex(), "lax_libraries_accept": says in _LAX})
        for says, block in blocks.items()
    ]
    return {
        "says": "Blocks that are no envelope. error: malformed = the form is wrong; signature = only the signature is.",
        "cases": cases,
    }


def _framing() -> dict[str, bytes]:
    """Blocks whose outermost form is not the one COSE_Sign1 that `sign1` writes."""
    head, payload_at = _BLOCK[:_UNPROTECTED_AT], _UNPROTECTED_AT + 3  # a0, 58 and one byte of length
    tail = _BLOCK[payload_at:]
    key_id = DEVICE.public_key.key_id
    algorithm, key = b"\x01\x27", b"\x04\x58\x22" + key_id
    return {
        "nothing there": b"",
        "tagged (d2): the tag is not part of the block": b"\xd2" + _BLOCK,
        "one byte too many": _BLOCK + b"\x00",
        "the last byte missing": _BLOCK[:-1],
        "cut off inside the payload": _BLOCK[: payload_at + 20],
        "an array of five": b"\x85" + _BLOCK[1:] + b"\x00",
        "an array of indefinite length": b"\x9f" + _BLOCK[1:] + b"\xff",
        "an unprotected header that is not empty": head + b"\xa1\x04\x41\x00" + _BLOCK[_UNPROTECTED_AT + 1 :],
        "the length of the payload not minimal": head + b"\xa0\x59\x00" + _BLOCK[payload_at - 1 : payload_at] + tail,
        "a payload that is null (detached)": head + b"\xa0\xf6" + _BLOCK[-_SIGNATURE_BYTES - 2 :],
        "a signature of 63 bytes": _BLOCK[: -_SIGNATURE_BYTES - 1] + b"\x3f" + _BLOCK[-63:],
        "another algorithm (ES256)": _BLOCK.replace(b"\xa2\x01\x27\x04", b"\xa2\x01\x26\x04", 1),
        "header keys out of order": _BLOCK.replace(algorithm + key, key + algorithm, 1),
        "no key id": b"\x84\x43\xa1\x01\x27" + _BLOCK[_UNPROTECTED_AT:],
        "a key id of another kind of key (X25519)": _BLOCK.replace(key_id, b"\xec\x01" + key_id[2:], 1),
    }  # fmt: skip


def _signed_nonsense() -> dict[str, bytes]:
    """Well signed blocks whose payload is not an envelope in its one encoding."""
    good = cbor2.loads(_PAYLOAD)
    shared = [cbor2.CBORTag(28, good[-1][0]), cbor2.CBORTag(29, 0)]
    endless = _PAYLOAD.replace(b"\x82\x89\x01", b"\x9f\x89\x01", 1) + b"\xff"
    payloads: dict[str, bytes] = {
        "a payload that is empty": b"",
        "a payload with a byte too many": _PAYLOAD + b"\x00",
        "an integer not minimal: the version in two bytes": _PAYLOAD.replace(b"\x8c\x01\x01", b"\x8c\x01\x18\x01", 1),
        "the observations in an array of indefinite length": endless,
        "a field missing": cbor2.dumps(good[:-1]),
        "a field too many": cbor2.dumps([*good, 0]),
        "a map instead of an array": cbor2.dumps(dict(enumerate(good))),
        "shared references (tags 28 and 29)": cbor2.dumps([*good[:-1], shared]),
    }  # fmt: skip
    # Which place of the positional record gets which value.
    replaced: dict[str, tuple[int, object]] = {
        "another kind of record (an enrollment's number)": (0, 2),
        "version 2": (1, 2),
        "a network in upper case": (2, "Testnet-1"),
        "a network that ends in a line feed": (2, "testnet-1\n"),
        "a network of 32 characters": (2, "a" * 32),
        "bytes where text belongs": (2, b"testnet-1"),
        "a negative boot counter": (3, -1),
        "a truth value where a number belongs": (3, True),
        "a floating-point number": (3, 1.0),
        "sequence 0": (4, 0),
        "sequence 2 without a previous envelope": (4, 2),
        "a sequence above 2**53 - 1": (4, 2**53),
        "sequence 1 with a previous envelope": (5, b"\x01" * 32),
        "a digest of 31 bytes": (5, bytes(31)),
        "text where bytes belong": (5, "0" * 32),
        "a beacon without its hash": (6, [21_000_000]),
        "a release with a space": (8, "0.1.0 beta"),
        "a release that ends in a line feed": (8, "0.1.0\n"),
        "north of the pole": (9, [90_000_001, 0, 0, -1]),
        "a heading of 360 degrees": (9, [0, 0, 0, 360_000]),
        "created before 1970": (10, -1),
        "257 observations": (11, [good[11][1]] * 257),
        "an observation of unknown kind": (11, [[8, 0]]),
    }
    for says, (place, value) in replaced.items():
        payloads[says] = cbor2.dumps([*good[:place], value, *good[place + 1 :]])
    impossible = _impossible_observations() | impossible_observations()
    payloads |= {says: _with_observation(observation) for says, observation in impossible.items()}
    return {says: sign1(payload, DEVICE) for says, payload in payloads.items()}


def _impossible_observations() -> dict[str, list[object]]:
    track: list[object] = cbor2.loads(encode_payload(TRACK))
    reading: list[object] = cbor2.loads(encode_payload(READING))
    return {
        "a track that ends before it begins": [*track[:4], int(str(track[3])) - 1, *track[5:]],
        "class 80: the vocabulary ends at 79": [*track[:2], 80, *track[3:]],
        "a confidence above one": [*track[:5], 1_000_001, *track[6:]],
        "a track without a detection": [*track[:6], 0, *track[7:]],
        "0 where a truth value belongs": [*track[:7], 0, *track[8:]],
        "a sketch of 33 bytes": [*track[:8], bytes(33)],
        "a quantity nobody defined": [reading[0], 9, *reading[2:]],
        "a negative uncertainty": [*reading[:4], -1],
    }


def _with_observation(observation: list[object]) -> bytes:
    return cbor2.dumps([*cbor2.loads(_PAYLOAD)[:11], [observation]])


_LAX: Final = frozenset({"a key of small order: this signature fits every message"})


def _bad_signatures() -> dict[str, bytes]:
    """Blocks of the right form whose signature does not fit."""
    later: Envelope = msgspec.structs.replace(envelope_with(), agent_release="0.1.1")
    other = sign1(_PAYLOAD, SECOND_DEVICE)
    s = int.from_bytes(_BLOCK[-32:], "little")
    bare = KeyPair(SEEDS[0]).sign(_PAYLOAD)
    small_order_key = b"\xed\x01" + b"\x01" + bytes(31)  # the neutral element
    return {
        "the signature of another payload": sign1(encode_payload(later), DEVICE)[:-64] + _BLOCK[-64:],
        "the signature of another key": _BLOCK[:-64] + other[-64:],
        "signed over the payload alone, without Sig_structure": _BLOCK[:-64] + bare,
        "one bit of the signature changed": _BLOCK[:-64] + bytes([_BLOCK[-64] ^ 1]) + _BLOCK[-63:],
        "a malleated signature: S + L": _BLOCK[:-32] + (s + _ORDER).to_bytes(32, "little"),
        "a signature of zeros": _BLOCK[:-64] + bytes(64),
        "a key of small order: this signature fits every message": _BLOCK[:-64].replace(
            DEVICE.public_key.key_id, small_order_key, 1
        )
        + b"\x01"
        + bytes(63),
    }
