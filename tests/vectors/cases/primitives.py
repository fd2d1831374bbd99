"""Cases of the smallest forms: varints, CIDs, DAG-CBOR values, keys."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Final, TypeVar

from protocol import dagcbor
from protocol.cid import CAR, DAG_CBOR, RAW, Cid
from protocol.errors import MalformedError, ProtocolError
from protocol.identity import KeyPair, PublicKey
from protocol.varint import decode_varint, encode_varint

Case = dict[str, object]
Document = dict[str, object]
T = TypeVar("T")

SEEDS: Final = tuple(hashlib.sha256(f"cairn test vector {number}".encode()).digest() for number in range(4))


def refused(says: str, read: Callable[[T], object], given: T, fields: Case) -> Case:
    """Return an invalid case, having made sure that our own ``read`` refuses what is ``given``, and why by family."""
    try:
        accepted = read(given)
    except ProtocolError as error:
        return {"says": says, **fields, "error": "malformed" if isinstance(error, MalformedError) else "signature"}
    raise AssertionError(f"accepted, though it should not be: {says}: {accepted}")


def varint_valid() -> Document:
    values = [0, 1, 127, 128, 255, 300, 16_383, 16_384, (1 << 32) - 1, 1 << 53, (1 << 63) - 1]
    return {
        "says": "Unsigned varints: seven bits a byte, low bits first, the high bit says that more follow.",
        "cases": [{"value": str(value), "hex": encode_varint(value).hex()} for value in values],
    }


def varint_invalid() -> Document:
    cases = {
        "nothing there": "",
        "cut off: the last byte says that more follow": "80",
        "not minimal: 1 in two bytes": "8100",
        "not minimal: 0 in two bytes": "8000",
        "ten bytes: more than 63 bits": "80808080808080808001",
    }
    return {
        "says": "No varint at all: a reader refuses each of these.",
        "cases": [refused(says, decode_varint, bytes.fromhex(raw), {"hex": raw}) for says, raw in cases.items()],
    }


def cid_valid() -> Document:
    blocks = [b"", b"cairn", bytes(range(256))]
    named = {"raw": RAW, "dag-cbor": DAG_CBOR, "car": CAR}
    cases: list[Case] = []
    for name, codec in named.items():
        for block in blocks:
            cid = Cid.of(block, codec)
            cases.append(
                {
                    "codec_name": name,
                    "codec": codec,
                    "block_hex": block.hex(),
                    "cid_hex": cid.raw.hex(),
                    "cid": str(cid),
                }
            )
    return {
        "says": "CIDs, version 1, SHA-256. The codec says how to read a block.",
        "cases": cases,
    }


def cid_invalid() -> Document:
    good = Cid.of(b"cairn", RAW)
    padded = "b" + base64.b32encode(good.raw).decode().lower()
    cases = {
        "upper case": "B" + str(good)[1:].upper(),
        "padding": padded if padded.endswith("=") else padded + "=",
        "no multibase prefix": str(good)[1:],
        "base58 (version 0)": "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n",
        "cut off": str(good)[:-4],
        "a character that base32 does not have": str(good)[:-1] + "1",
        "stray bits in the last character": str(good)[:-1] + _next_letter(str(good)[-1]),
        "version 2": "b" + base64.b32encode(b"\x02" + good.raw[1:]).decode().lower().rstrip("="),
        "one byte too many": "b" + base64.b32encode(good.raw + b"\x00").decode().lower().rstrip("="),
        "empty": "",
    }
    return {
        "says": "Texts that are not the one text of a CID.",
        "cases": [refused(says, Cid.parse, text, {"text": text}) for says, text in cases.items()],
    }


def _next_letter(letter: str) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    return alphabet[alphabet.index(letter) ^ 1]


def dagcbor_valid() -> Document:
    link = Cid.of(b"cairn", RAW)
    values: list[object] = [
        None, True, False, 0, 23, 24, 255, 256, 65_535, 65_536, (1 << 32) - 1, 1 << 32, (1 << 53) - 1, (1 << 64) - 1,
        -1, -24, -25, -256, -257, -(1 << 64),
        b"", b"\x00\xff", bytes(24), "", "stone", "Steinmännchen ⛰", [], [1, [2, [3]]], {},
        {"b": 1, "a": 2, "aa": 3, "": 4}, {"ä": 1, "z": 2, "zz": 3}, link, {"links": [link, link], "next": None},
    ]  # fmt: skip
    return {
        "says": "Values and their one encoding. Map keys: shorter first, then by bytes.",
        "cases": [{"value_dag_json": dag_json(value), "hex": dagcbor.encode(value).hex()} for value in values],
    }


def dag_json(value: object) -> str:
    """The value as DAG-JSON text (ipld.io/specs/codecs/dag-json): bytes and links under the key ``/``."""

    def plain(part: object) -> object:
        if isinstance(part, Cid):
            return {"/": str(part)}
        if isinstance(part, bytes):
            return {"/": {"bytes": base64.b64encode(part).decode().rstrip("=")}}
        if isinstance(part, list):
            return [plain(member) for member in part]
        if isinstance(part, dict):
            return {key: plain(member) for key, member in sorted(part.items())}
        return part

    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


_DAGCBOR_REFUSED: Final = {
    "nothing there": "",
    "bytes left over": "0000",
    "array cut off": "8201",
    "integer not minimal: 0 in two bytes": "1800",
    "integer not minimal: 255 in three bytes": "1900ff",
    "length not minimal": "580100",
    "array of indefinite length": "9f00ff",
    "bytes of indefinite length": "5f4100ff",
    "text of indefinite length": "7f6161ff",
    "map of indefinite length": "bf616100ff",
    "keys out of order: longer before shorter": "a262616100617a00",
    "keys out of order: same length": "a2617a00616100",
    "the same key twice": "a2616101616102",
    "a key that is not text": "a10001",
    "text that is not UTF-8": "61ff",
    "undefined": "f7",
    "a simple value": "e0",
    "a date (tag 0)": "c074323032362d30312d30315430303a30303a30305a",
    "a big integer (tag 2)": "c249010000000000000000",
    "shared references (tags 28, 29), which would let few bytes claim many members": "82d81c8100d81d00",
    "a link without the leading zero byte": "d82a450155120100",
    "a link whose CID is cut off": "d82a43000155",
    "a link as text": "d82a6101",
    "half-precision number": "f93c00",
    "nested 33 deep": "81" * 33 + "00",
}
_DAGCBOR_ALLOWED_ELSEWHERE: Final = {
    "a floating-point number: DAG-CBOR, but Cairn signs integers only": "fb3ff8000000000000",
    "nested 33 deep": "81" * 33 + "00",
}


def dagcbor_invalid() -> Document:
    return {
        "says": "Bytes that are not the one encoding of a value that Cairn uses.",
        "cases": [
            refused(
                says,
                dagcbor.decode,
                bytes.fromhex(raw),
                {"hex": raw, "valid_dag_cbor": says in _DAGCBOR_ALLOWED_ELSEWHERE},
            )
            for says, raw in (_DAGCBOR_REFUSED | _DAGCBOR_ALLOWED_ELSEWHERE).items()
        ],
    }


def identity_valid() -> Document:
    cases: list[Case] = []
    for seed in (bytes(32), bytes(range(32)), *SEEDS):
        pair = KeyPair(seed)
        key = pair.public_key
        cases.append(
            {
                "seed_hex": seed.hex(),
                "public_key_hex": key.raw.hex(),
                "key_id_hex": key.key_id.hex(),
                "name": key.name,
                "did": key.did,
                "message_hex": b"cairn".hex(),
                "signature_hex": pair.sign(b"cairn").hex(),
            }
        )
    return {
        "says": "Ed25519 keys from seeds (RFC 8032), and their texts. Never use these keys.",
        "cases": cases,
    }


def identity_invalid() -> Document:
    good = KeyPair(SEEDS[0]).public_key.name
    cases = {
        "another multibase": "b" + good[1:],
        "another method": "did:web:" + good,
        "a character that base58 does not have": good[:-1] + "0",
        "a leading 1, which would be a zero byte": "z1" + good[1:],
        "cut off": good[:-1],
        "an X25519 key": "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
        "white space": good + " ",
        "empty": "",
    }
    return {
        "says": "Texts that are not the one name of an Ed25519 key.",
        "cases": [refused(says, PublicKey.parse, text, {"text": text}) for says, text in cases.items()],
    }
