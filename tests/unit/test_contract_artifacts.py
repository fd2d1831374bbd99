"""The compiled contracts in the package, the sentences for their errors, and where anvil is looked for."""

import hashlib
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

import rewards.contracts
from rewards.chain.anvil_binary import find_anvil
from rewards.chain.artifact import load_artifact
from rewards.chain.errors import ChainError, NodeMissingError
from rewards.chain.refusal import _SENTENCES, known_errors, refusal_from
from rewards.chain.values import Attestation, Bond

SOURCES = Path(str(rewards.contracts.__file__)).parent


@pytest.mark.parametrize("name", ["CairnRewards", "CairnTestToken"])
def test_an_artifact_was_made_from_the_source_beside_it(name: str) -> None:
    source = (SOURCES / f"{name}.sol").read_bytes()
    assert load_artifact(name).sources_sha256[f"{name}.sol"] == hashlib.sha256(source).hexdigest()


def test_the_contract_is_small_enough_for_every_chain() -> None:
    assert len(load_artifact("CairnRewards").deployed_bytecode) < 24_576


def test_code_is_recognised_whatever_it_was_deployed_with() -> None:
    artifact = load_artifact("CairnRewards")
    code = bytearray(artifact.deployed_bytecode)
    for start, length in artifact.immutable_spans:
        code[start : start + length] = b"\x07" * length
    assert artifact.is_code_of(bytes(code))
    assert not artifact.is_code_of(bytes(code[:-1]))
    outside = next(at for at in range(len(code)) if not any(s <= at < s + n for s, n in artifact.immutable_spans))
    code[outside] ^= 1
    assert not artifact.is_code_of(bytes(code))


def test_every_error_of_our_contract_has_its_sentence() -> None:
    ours = {entry["name"] for entry in load_artifact("CairnRewards").abi if entry["type"] == "error"}
    assert ours - set(_SENTENCES) == set()
    assert set(_SENTENCES) - known_errors() == set()


def test_every_sentence_can_be_filled_from_the_errors_own_arguments() -> None:
    samples = {"address": "0x" + "11" * 20, "string": "why", "bytes32": b"\x22" * 32, "bool": True}
    entries = load_artifact("CairnRewards").abi + load_artifact("CairnTestToken").abi
    for entry in (one for one in entries if one["type"] == "error"):
        kinds = [argument["type"] for argument in entry["inputs"]]
        data = bytes(keccak(text=f"{entry['name']}({','.join(kinds)})")[:4])
        data += encode(kinds, [samples.get(kind, 7) for kind in kinds])
        refusal = refusal_from(data, fallback="unused")
        assert refusal.reason == entry["name"]
        assert str(refusal).endswith(".")
        assert "{" not in str(refusal)
        assert len(refusal.facts) == len(kinds)


@pytest.mark.parametrize("data", [b"", b"\x12\x34\x56\x78", bytes(keccak(text="NotAttester(address)")[:4]) + b"\x01"])
def test_unknown_or_torn_revert_bytes_still_give_a_sentence(data: bytes) -> None:
    refusal = refusal_from(data, fallback="execution reverted")
    assert (refusal.reason, str(refusal)) == ("revert", "The contract refused: execution reverted.")


def test_a_missing_artifact_says_so() -> None:
    with pytest.raises(ChainError, match="install it again"):
        load_artifact("CairnNothing")


def test_anvil_is_taken_from_the_variable_then_the_path_then_beside_the_package(tmp_path: Path) -> None:
    with pytest.raises(NodeMissingError, match="run `make setup`"):
        find_anvil({"PATH": ""}, node_folder=tmp_path)
    named, on_path = tmp_path / "mine", tmp_path / "bin" / "anvil"
    on_path.parent.mkdir()
    for program in (named, on_path):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    assert find_anvil({"PATH": str(on_path.parent)}, node_folder=tmp_path) == on_path
    assert find_anvil({"CAIRN_ANVIL": str(named), "PATH": str(on_path.parent)}, node_folder=tmp_path) == named
    with pytest.raises(NodeMissingError, match="is no file: correct it or unset it"):
        find_anvil({"CAIRN_ANVIL": str(tmp_path / "gone")}, node_folder=tmp_path)


def test_values_are_valid_from_birth() -> None:
    with pytest.raises(ChainError, match="device_key must have 32 bytes"):
        Bond(b"\x01", b"\x02" * 20, 1, 0, 0)  # type: ignore[arg-type]
    with pytest.raises(ChainError, match="fit in 96 bits"):
        Attestation(1, b"\x01" * 32, 1 << 96, b"\x01" * 32, b"\x01" * 32, 1)  # type: ignore[arg-type]
