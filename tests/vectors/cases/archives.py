"""Cases of what is published and paid: CAR files, piece commitments, Merkle trees, epoch manifests."""

import hashlib
import io
from typing import Final

from cases.primitives import SEEDS, Case, Document, dag_json, refused
from cases.records import HUB, NETWORK, STARTED_AT_MS, envelopes, segment_records

from protocol import dagcbor
from protocol.car import CarBlock, car_header, car_section, read_car
from protocol.cid import CAR, RAW, Cid
from protocol.claim import LEAF_TYPES, Claim
from protocol.cose import sign1
from protocol.identity import KeyPair
from protocol.manifest import ROWS_PER_PAGE, EpochManifest, SegmentRef, VerdictRow, verdict_blocks
from protocol.merkle import Leaf, StandardTree, leaf_hash, verify
from protocol.payload import encode_payload
from protocol.piece import PieceHasher
from protocol.units import UnixMs, Wei
from protocol.varint import encode_varint
from protocol.verdict import Verdict

PIECE_SIZES: Final = (
    1, 64, 65, 126, 127, 128, 254, 255, 508, 509, 1_024, 65_535, 1_040_384, 1_040_385, 1_048_576, 2_080_768,
    10_485_760, 12_345_678,
)  # fmt: skip
_CHAIN_ID: Final = 31_337
_CONTRACT: Final = bytes.fromhex("5fbdb2315678afecb367f032d93f642f64180aa3")


def segment() -> bytes:
    """The segment of cases.records as a file: header, beacon, one device block, intake, seal."""
    _, signer, envelope = envelopes()[0]
    device_block = sign1(encode_payload(envelope), signer)
    header, beacon, intake, seal = (block for _, _, block in segment_records())
    blocks = [header, beacon, device_block, intake, seal]
    return car_header(Cid.of(header)) + b"".join(car_section(Cid.of(block), block) for block in blocks)


def car_valid() -> Document:
    raw = Cid.of(b"", RAW)
    page = dagcbor.encode({"links": [raw]})
    files = {
        "a header and nothing else": car_header(raw),
        "a block of no bytes, and one that links to it": car_header(Cid.of(page))
        + car_section(raw, b"")
        + car_section(Cid.of(page), page),
        "the same block twice: allowed, a log may hear it twice": car_header(raw) + car_section(raw, b"") * 2,
        "a segment of a hub's log": segment(),
    }
    return {
        "says": "CAR files, version 1, one root. Offsets count from the first byte of the file.",
        "cases": [_car_case(says, file) for says, file in files.items()],
    }


def _car_case(says: str, file: bytes) -> Case:
    reader = read_car(io.BytesIO(file))
    blocks = [
        {"cid": str(block.cid), "offset": block.offset, "length": block.length, "block_hex": block.block.hex()}
        for block in reader
    ]
    return {
        "says": says,
        "car_hex": file.hex(),
        "root": str(reader.root),
        "blocks": blocks,
        "end_offset": reader.end_offset,
        "car_cid": str(Cid.of_digest(hashlib.sha256(file).digest(), CAR)),
    }


def car_invalid() -> Document:
    one, other = b"one", b"other"
    cid = Cid.of(one, RAW)
    head, section = car_header(cid), car_section(cid, one)
    two_roots = dagcbor.encode({"roots": [cid, cid], "version": 1})
    no_root = dagcbor.encode({"roots": [], "version": 1})
    second = dagcbor.encode({"roots": [cid], "version": 2})
    sha512 = b"\x01\x55\x13\x40" + hashlib.sha512(one).digest()
    files = {
        "an empty file": b"",
        "the header cut off": head[:-1],
        "two roots": encode_varint(len(two_roots)) + two_roots,
        "no root": encode_varint(len(no_root)) + no_root,
        "version 2 in the header": encode_varint(len(second)) + second,
        "a version 2 pragma": bytes.fromhex("0aa16776657273696f6e02"),
        "the length of a section not minimal": head + section + b"\xa7\x00" + cid.raw + one,
        "the length of a section cut off": head + section + b"\x80",
        "a section cut off inside the block": head + section + section[:-1],
        "a section cut off inside the CID": head + section + section[:10],
        "a section of no bytes": head + section + b"\x00",
        "a block that does not hash to its CID": head + section + car_section(cid, other),
        "a CID of version 0": head + section + car_section(cid, one).replace(cid.raw, b"\x12\x20" + cid.digest),
        "another hash function (SHA-512)": head + section + encode_varint(len(sha512) + 3) + sha512 + one,
        "a section longer than any block may be": head + section + encode_varint(1 << 40) + cid.raw,
    }
    cases: list[Case] = []
    for says, file in files.items():
        cases.append(refused(says, _read_all, file, {"car_hex": file.hex()}) | {"end_offset": _whole_bytes(file)})
    return {
        "says": "Files that are refused, and where the last whole section ends (null: not even the header).",
        "cases": cases,
    }


def _read_all(file: bytes) -> list[CarBlock]:
    return list(read_car(io.BytesIO(file)))


def _whole_bytes(file: bytes) -> int | None:
    try:
        reader = read_car(io.BytesIO(file))
    except ValueError:
        return None
    try:
        list(reader)
    except ValueError:
        return reader.end_offset
    raise AssertionError("the file is whole")


def piece_bytes(count: int) -> bytes:
    """The first ``count`` bytes of sha256(le64(0)) || sha256(le64(1)) || ..."""
    digests = (hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(-(-count // 32)))
    return b"".join(digests)[:count]


def piece_valid() -> Document:
    longest = piece_bytes(max(PIECE_SIZES))
    cases: list[Case] = []
    for size in PIECE_SIZES:
        hasher = PieceHasher()
        hasher.update(memoryview(longest)[:size])
        piece = hasher.piece()
        cases.append(
            {
                "size_bytes": size,
                "root_hex": piece.root.hex(),
                "height": piece.height,
                "padding": piece.padding,
                "cid": str(piece.cid),
                "cid_v1": str(piece.cid_v1),
            }
        )
    return {
        "says": "Piece commitments of the first size_bytes bytes of sha256(le64(0)) || sha256(le64(1)) || ...",
        "cases": cases,
    }


def merkle_valid() -> Document:
    return {
        "says": "Trees of claims: OpenZeppelin standard-v1. Leaves in any order give the same root.",
        "cases": [_merkle_case(count) for count in (1, 2, 3, 4, 5, 7, 8, 13)],
    }


def _leaves(count: int) -> list[Leaf]:
    claims = [
        Claim(hashlib.sha256(f"account {number}".encode()).digest()[:20], Wei(10**18 * number // 7))
        for number in range(count)
    ]
    if count > 1:  # every bit of an amount counts
        claims[-1] = Claim(b"\xff" * 20, Wei(2**256 - 1))
    return [claim.leaf(chain_id=_CHAIN_ID, contract=_CONTRACT) for claim in claims]


def _merkle_case(count: int) -> Case:
    leaves = _leaves(count)
    tree = StandardTree(leaves)
    return {
        "leaf_types": list(LEAF_TYPES),
        "leaves": [leaf_json(leaf) for leaf in leaves],
        "leaf_hashes": [_hex(leaf_hash(leaf)) for leaf in leaves],
        "root": _hex(tree.root),
        "proofs": [[_hex(step) for step in tree.proof(index)] for index in range(count)],
    }


def merkle_invalid() -> Document:
    leaves = _leaves(4)
    tree = StandardTree(leaves)
    chain_id, contract, account, amount = leaves[0]
    proof = tree.proof(0)
    attempts: dict[str, tuple[Leaf, tuple[bytes, ...]]] = {
        "one wei more": ((chain_id, contract, account, amount + 1), proof),
        "another account": ((chain_id, contract, b"\x01" * 20, amount), proof),
        "another chain": ((chain_id + 1, contract, account, amount), proof),
        "another contract": ((chain_id, account, account, amount), proof),
        "the proof of another leaf": (leaves[0], tree.proof(1)),
        "a proof that is one step short": (leaves[0], proof[:-1]),
        "a proof that is one step long": (leaves[0], (*proof, tree.root)),
        "no proof at all": (leaves[0], ()),
    }
    cases: list[Case] = []
    for says, (leaf, steps) in attempts.items():
        if verify(tree.root, leaf, steps):
            raise AssertionError(f"accepted, though it should not be: {says}")
        cases.append(
            {"says": says, "root": _hex(tree.root), "leaf": leaf_json(leaf), "proof": [_hex(step) for step in steps]}
        )
    return {
        "says": "Claims that must not verify under the root.",
        "leaf_types": list(LEAF_TYPES),
        "cases": cases,
        "second_preimage": _second_preimage(tree),
    }


def _second_preimage(tree: StandardTree) -> Case:
    """The children of the root, offered as the ABI bytes of a leaf: with leaves hashed once they would verify."""
    left, right = sorted((tree.proof(0)[-1], _other_child(tree)))
    return {
        "says": "One keccak256 over the 64 bytes of leaf_abi_hex is the root; hashed twice, as leaves are, it is not.",
        "root": _hex(tree.root),
        "leaf_abi_hex": (left + right).hex(),
        "proof": [],
    }


def _other_child(tree: StandardTree) -> bytes:
    top = tree.proof(0)[-1]
    return next(step for index in range(len(tree)) if (step := tree.proof(index)[-1]) != top)


def leaf_json(leaf: Leaf) -> list[str]:
    chain_id, contract, account, amount = leaf
    return [str(chain_id), _hex(contract), _hex(account), str(amount)]


def manifest_valid() -> Document:
    device = KeyPair(SEEDS[0]).public_key
    digest = hashlib.sha256(b"envelope").digest()
    rows = [
        VerdictRow(digest, device, 1, Verdict.ACCEPTED, UnixMs(STARTED_AT_MS), 2),
        VerdictRow(digest, device, 1, Verdict.DUPLICATE, UnixMs(STARTED_AT_MS + 1), 2),
        VerdictRow(hashlib.sha256(b"noise").digest(), None, 0, Verdict.MALFORMED, UnixMs(STARTED_AT_MS + 2), 0),
    ]
    blocks = verdict_blocks(7, rows)
    file = segment()
    hasher = PieceHasher()
    hasher.update(file)
    ref = SegmentRef(Cid.of_digest(hashlib.sha256(file).digest(), CAR), hasher.piece().cid, len(file))
    manifest = EpochManifest(
        network=NETWORK,
        hub=HUB.public_key,
        epoch=7,
        started_at_ms=UnixMs(STARTED_AT_MS),
        ended_at_ms=UnixMs(STARTED_AT_MS + 3_600_000),
        previous=None,
        segments=(ref,),
        verdicts=Cid.of(blocks[-1]),
        counts={"accepted": 1, "duplicate": 1, "malformed": 1_000_001},
    )
    published = {"the verdict page": blocks[0], "the verdict root": blocks[1], "the manifest": manifest.to_block()}
    return {
        "says": f"What an epoch publishes; a verdict page has at most {ROWS_PER_PAGE} rows.",
        "cases": [
            {
                "says": says,
                "value_dag_json": dag_json(dagcbor.decode(block)),
                "block_hex": block.hex(),
                "cid": str(Cid.of(block)),
            }
            for says, block in published.items()
        ],
    }


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
