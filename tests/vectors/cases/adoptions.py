"""Adoptions and short codes: what a device's QR code and a telephone call must compute alike."""

from typing import Final

import cbor2
from cases.primitives import Document, refused
from cases.records import DEVICE, NETWORK, SECOND_DEVICE, named

from protocol.adoption import AdoptionLink, adopt, encode_adoption, parse_adoption, parse_short_code, short_code
from protocol.identity import KeyPair

_OWNER: Final = bytes.fromhex("00112233445566778899aabbccddeeff00112233")
_HUB_URL: Final = "https://hub.example"


def adoption_valid() -> Document:
    made: list[tuple[str, KeyPair, str, bytes, bytes]] = [
        ("an owner adopts a device", DEVICE, NETWORK, bytes(range(16)), _OWNER),
        ("the longest network, another device and owner", SECOND_DEVICE, "a" * 31, b"\xff" * 16, b"\xff" * 20),
    ]  # fmt: skip
    cases = []
    for says, keys, network, secret, owner in made:
        device = keys.public_key
        adoption = adopt(secret, network=network, device=device, owner=owner)
        cases.append(
            {
                "says": says,
                "link": AdoptionLink(device, network, secret).text(_HUB_URL),
                "owner_hex": owner.hex(),
                "tag_hex": adoption.tag.hex(),
                "fields": named(adoption),
                "payload_hex": encode_adoption(adoption).hex(),
            }
        )
    return {"says": "Adoptions: whoever has read a device's QR code takes the device as theirs.", "cases": cases}


def adoption_invalid() -> Document:
    adoption = adopt(bytes(16), network=NETWORK, device=DEVICE.public_key, owner=_OWNER)
    good = encode_adoption(adoption)
    kind, version, network, device, owner, tag = cbor2.loads(good)
    payloads = {
        "nothing there": b"",
        "a byte too many": good + b"\x00",
        "the last byte missing": good[:-1],
        "another kind of record (an enrollment's number)": cbor2.dumps([2, version, network, device, owner, tag]),
        "version 2": cbor2.dumps([kind, 2, network, device, owner, tag]),
        "a network in upper case": cbor2.dumps([kind, version, "Testnet-1", device, owner, tag]),
        "a key id of another kind of key (X25519)": cbor2.dumps(
            [kind, version, network, b"\xec\x01" + device[2:], owner, tag]
        ),
        "an owner of 19 bytes": cbor2.dumps([kind, version, network, device, owner[1:], tag]),
        "a tag of 31 bytes": cbor2.dumps([kind, version, network, device, owner, tag[1:]]),
        "text where bytes belong": cbor2.dumps([kind, version, network, device, owner.hex()[:20], tag]),
        "a field missing": cbor2.dumps([kind, version, network, device, owner]),
        "a field too many": cbor2.dumps([kind, version, network, device, owner, tag, 0]),
        "the version not minimal": good.replace(b"\x86\x08\x01", b"\x86\x08\x18\x01", 1),
    }
    cases = [refused(says, parse_adoption, raw, {"payload_hex": raw.hex()}) for says, raw in payloads.items()]
    return {"says": "Payloads that are no adoption, whatever their tag.", "cases": cases}


def short_code_valid() -> Document:
    return {
        "says": "Short codes: a device's name over the telephone.",
        "cases": [
            {"name": keys.public_key.name, "code": short_code(keys.public_key)} for keys in (DEVICE, SECOND_DEVICE)
        ],
    }


def short_code_invalid() -> Document:
    good = short_code(DEVICE.public_key)
    swapped = good[1] + good[0] + good[2:]
    cases = {
        "one character wrong": ("8" if good[0] != "8" else "9") + good[1:],
        "the first two exchanged": swapped,
        "one character missing": good[:-1],
        "one character too many": good + "0",
        "a character that is in no code: U": "U" + good[1:],
        "nothing there": "",
    }
    cases = {says: text for says, text in cases.items() if text != good}
    return {
        "says": "Codes with a slip in them.",
        "cases": [refused(says, parse_short_code, text, {"text": text}) for says, text in cases.items()],
    }
