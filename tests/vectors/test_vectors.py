"""The vectors are what `protocol` writes, what `protocol` reads, and what the README beside them explains."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol import dagcbor
from protocol.adoption import AdoptionLink, parse_adoption, parse_short_code, short_code
from protocol.car import read_car
from protocol.cid import Cid
from protocol.cose import open_sign1
from protocol.envelope import Envelope, open_envelope
from protocol.errors import MalformedError, ProtocolError, SignatureError
from protocol.identity import KeyPair, PublicKey
from protocol.manifest import EpochManifest, verdict_pages, verdict_rows
from protocol.merkle import StandardTree, verify
from protocol.observation import Succession
from protocol.piece import Piece
from protocol.succession import verify_succession
from protocol.varint import decode_varint

HERE = Path(__file__).resolve().parent
DOCUMENTS = sorted(HERE.glob("*/*valid.json"))
ERRORS: dict[str, type[ProtocolError]] = {"malformed": MalformedError, "signature": SignatureError}


def _cases(name: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((HERE / f"{name}.json").read_text("utf-8"))["cases"]
    assert cases
    return cases


def test_generating_again_gives_identical_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(HERE / "generate.py"), "--into", str(tmp_path)], check=True)
    written = {str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.json")}
    committed = {str(path.relative_to(HERE)): path.read_bytes() for path in DOCUMENTS}
    assert written == committed


def test_the_readme_names_every_field() -> None:
    readme = (HERE / "README.md").read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", readme))
    used = {field for path in DOCUMENTS for field in _names(json.loads(path.read_text("utf-8")))}
    assert used <= explained | {"kind"}


def _names(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {name for member in value.values() for name in _names(member)}
    if isinstance(value, list):
        return {name for member in value for name in _names(member)}
    return set()


def _read_car(raw: bytes) -> int:
    return len(list(read_car(io.BytesIO(raw))))


def _believe(block: bytes) -> Envelope:
    signed, envelope = open_envelope(block)
    verify_succession(envelope, signed.key)
    return envelope


READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "varint": ("hex", lambda text: decode_varint(bytes.fromhex(text))),
    "cid": ("text", Cid.parse),
    "dagcbor": ("hex", lambda text: dagcbor.decode(bytes.fromhex(text))),
    "identity": ("text", PublicKey.parse),
    "envelope": ("block_hex", lambda text: open_envelope(bytes.fromhex(text))),
    "adoption": ("payload_hex", lambda text: parse_adoption(bytes.fromhex(text))),
    "shortcode": ("text", parse_short_code),
    "succession": ("block_hex", lambda text: _believe(bytes.fromhex(text))),
    "car": ("car_hex", lambda text: _read_car(bytes.fromhex(text))),
}


@pytest.mark.parametrize(
    ("kind", "case"),
    [pytest.param(kind, case, id=f"{kind}: {case['says']}") for kind in READERS for case in _cases(f"{kind}/invalid")],
)
def test_an_invalid_case_is_refused_for_its_reason(kind: str, case: dict[str, Any]) -> None:
    field, read = READERS[kind]
    with pytest.raises(ERRORS[case["error"]]):
        read(case[field])


def test_numbers_cids_values_and_keys_read_back() -> None:
    for case in _cases("varint/valid"):
        raw = bytes.fromhex(case["hex"])
        assert decode_varint(raw) == (int(case["value"]), len(raw))
    for case in _cases("cid/valid"):
        cid = Cid.parse(case["cid"])
        assert cid.raw.hex() == case["cid_hex"]
        assert cid.codec == case["codec"]
        assert cid.matches(bytes.fromhex(case["block_hex"]))
    for case in _cases("dagcbor/valid"):
        assert dagcbor.encode(dagcbor.decode(bytes.fromhex(case["hex"]))).hex() == case["hex"]
    for case in _cases("identity/valid"):
        key = PublicKey.parse(case["did"])
        assert key == PublicKey.parse(case["name"]) == KeyPair(bytes.fromhex(case["seed_hex"])).public_key
        key.verify(bytes.fromhex(case["message_hex"]), bytes.fromhex(case["signature_hex"]))


@pytest.mark.parametrize("kind", ["envelope", "enrollment", "receipt", "logbook", "modeloffer"])
def test_signed_blocks_open_and_name_their_signer(kind: str) -> None:
    for case in _cases(f"{kind}/valid"):
        block = bytes.fromhex(case["block_hex"])
        signed = open_sign1(block)
        assert (signed.key.name, signed.payload.hex()) == (case["signer"], case["payload_hex"])
        assert str(Cid.of(block)) == case["cid"]
        # The signed bytes are the IPLD block: strict DAG-CBOR as they stand.
        assert dagcbor.encode(dagcbor.decode(block)) == block


def test_adoptions_fit_the_secret_in_their_link() -> None:
    for case in _cases("adoption/valid"):
        hub_url, link = AdoptionLink.parse(case["link"])
        adoption = parse_adoption(bytes.fromhex(case["payload_hex"]))
        adoption.verify(link.secret)
        assert link.text(hub_url) == case["link"]
        assert (adoption.device, adoption.network) == (link.device.key_id, link.network)
        assert (adoption.owner.hex(), adoption.tag.hex()) == (case["owner_hex"], case["tag_hex"])
    for case in _cases("shortcode/valid"):
        assert short_code(PublicKey.parse(case["name"])) == case["code"] == parse_short_code(case["code"].lower())


def test_successions_are_agreed_in_the_words_that_the_vectors_say() -> None:
    for case in _cases("succession/valid"):
        *_, succession = _believe(bytes.fromhex(case["block_hex"])).observations
        assert isinstance(succession, Succession)
        successor = KeyPair(bytes.fromhex(case["successor_seed_hex"]))
        assert succession.successor == successor.public_key.key_id
        assert succession.consent.hex() == case["consent_hex"] == successor.sign(bytes.fromhex(case["words_hex"])).hex()


def test_an_envelope_whose_succession_is_void_is_a_good_envelope_all_the_same() -> None:
    for case in _cases("succession/invalid"):
        open_envelope(bytes.fromhex(case["block_hex"]))


def test_car_files_read_back_with_offsets() -> None:
    for case in _cases("car/valid"):
        file = bytes.fromhex(case["car_hex"])
        reader = read_car(io.BytesIO(file))
        found = list(reader)
        assert [str(block.cid) for block in found] == [block["cid"] for block in case["blocks"]]
        for block, expected in zip(found, case["blocks"], strict=True):
            assert (block.offset, block.length) == (expected["offset"], expected["length"])
            assert file[block.offset : block.offset + block.length].hex() == block.block.hex() == expected["block_hex"]
        assert (str(reader.root), reader.end_offset) == (case["root"], case["end_offset"])


def test_piece_cids_read_back() -> None:
    for case in _cases("piece/valid"):
        piece = Piece.of_cid(Cid.parse(case["cid"]))
        assert (piece.size_bytes, piece.root.hex(), piece.height, piece.padding, str(piece.cid_v1)) == (
            case["size_bytes"], case["root_hex"], case["height"], case["padding"], case["cid_v1"],
        )  # fmt: skip


def _leaf(values: list[str]) -> tuple[int, bytes, bytes, int]:
    return int(values[0]), bytes.fromhex(values[1][2:]), bytes.fromhex(values[2][2:]), int(values[3])


def test_trees_of_claims_read_back() -> None:
    for case in _cases("merkle/valid"):
        leaves = [_leaf(values) for values in case["leaves"]]
        root = bytes.fromhex(case["root"][2:])
        assert StandardTree(leaves[::-1]).root == root
        proofs = [[bytes.fromhex(step[2:]) for step in proof] for proof in case["proofs"]]
        assert all(verify(root, leaf, proof) for leaf, proof in zip(leaves, proofs, strict=True))
    for case in _cases("merkle/invalid"):
        proof = [bytes.fromhex(step[2:]) for step in case["proof"]]
        assert not verify(bytes.fromhex(case["root"][2:]), _leaf(case["leaf"]), proof)


def test_the_manifest_reaches_its_segment_and_verdicts() -> None:
    page, root, manifest = (bytes.fromhex(case["block_hex"]) for case in _cases("manifest/valid"))
    read = EpochManifest.from_block(manifest)
    assert read.verdicts == Cid.of(root)
    assert verdict_pages(root) == (read.epoch, [Cid.of(page)])
    assert [row.verdict.slug for row in verdict_rows(page)] == ["accepted", "duplicate", "malformed"]
    segment = next(case for case in _cases("car/valid") if "segment" in case["says"])
    assert str(read.segments[0].car) == segment["car_cid"]
    assert read.segments[0].size_bytes == len(segment["car_hex"]) // 2
